//! The little XML this protocol needs, and nothing beyond: elements and text.
//!
//! Promise: a document that two parsers could read differently is refused. DOCTYPE (and with it every entity but the
//! five of XML), comments, processing instructions, text beside elements, and deep nesting do not get through.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use crate::signing::charset::{Charset, without_mark};

/// Deepest nesting read; the protocol's answers have four levels.
const MAX_DEPTH: usize = 8;

/// One element: its text, entities resolved, or its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Element {
    pub(in crate::gateway) name: String,
    pub(in crate::gateway) text: String,
    pub(in crate::gateway) children: Vec<Element>,
}

impl Element {
    /// Returns the one child of a name; `Err` if there are more.
    pub(in crate::gateway) fn child(&self, name: &str) -> Result<Option<&Self>, &'static str> {
        let mut found = self.children.iter().filter(|child| child.name == name);
        let first = found.next();
        if found.next().is_some() { Err("an element is repeated") } else { Ok(first) }
    }
}

/// Reads a document: its root and the charset of its declaration (UTF-8 if it declares none).
pub(in crate::gateway) fn parse(body: &[u8]) -> Result<(Element, Charset), &'static str> {
    let body = without_mark(body);
    let charset = declared(body)?;
    let text = charset.read(body).ok_or("the bytes are not of the charset the XML declares")?;
    tree(&text).map(|root| (root, charset))
}

/// Reads the charset out of the XML declaration, which is ASCII in every charset of this protocol.
fn declared(body: &[u8]) -> Result<Charset, &'static str> {
    if !body.starts_with(b"<?xml") {
        return Ok(Charset::Utf8);
    }
    let end = body.iter().take(256).position(|byte| *byte == b'>').ok_or("the XML declaration has no end")?;
    let declaration = std::str::from_utf8(&body[..=end]).map_err(|_| "the XML declaration is not ASCII")?;
    let Ok(Event::Decl(declaration)) = Reader::from_str(declaration).read_event() else {
        return Err("the XML declaration is malformed");
    };
    match declaration.encoding() {
        None => Ok(Charset::Utf8),
        Some(Err(_)) => Err("the XML declaration is malformed"),
        // The gateway writes GBK under the narrower name too; both have the same bytes for what both hold.
        Some(Ok(label)) if label.eq_ignore_ascii_case("gb18030") => Ok(Charset::Gbk),
        Some(Ok(label)) => match Charset::from_label(&label) {
            Some(Charset::Gb2312) => Ok(Charset::Gbk),
            Some(charset) => Ok(charset),
            None => Err("the XML declares an unknown charset"),
        },
    }
}

fn tree(text: &str) -> Result<Element, &'static str> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut is_first = true;
    loop {
        let event = reader.read_event().map_err(|_| "the XML is malformed")?;
        match event {
            Event::Start(tag) => {
                if root.is_some() || open.len() == MAX_DEPTH {
                    return Err("the XML has a second root or is nested too deep");
                }
                open.push(Element { name: name(tag.name().as_ref())?, ..Element::default() });
            }
            Event::Empty(tag) => {
                let element = Element { name: name(tag.name().as_ref())?, ..Element::default() };
                close(element, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop().ok_or("the XML is malformed")?;
                if !element.children.is_empty() && !element.text.trim().is_empty() {
                    return Err("the XML has text beside elements");
                }
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => append(&text.xml10_content(), &mut open)?,
            Event::CData(text) => append(&text.xml10_content(), &mut open)?,
            Event::GeneralRef(reference) => append(resolve(&reference)?.encode_utf8(&mut [0; 4]), &mut open)?,
            Event::Decl(_) if is_first => {}
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => return Err("the XML has comments or instructions"),
            Event::DocType(_) => return Err("the XML has a DOCTYPE"),
            Event::Eof => {
                return root.filter(|_| open.is_empty()).ok_or("the XML ends before its root element does");
            }
        }
        is_first = false;
    }
}

fn name(name: &str) -> Result<String, &'static str> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if is_plain && !name.is_empty() { Ok(name.to_owned()) } else { Err("the XML has an odd element name") }
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), &'static str> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err("the XML has a second root"),
    }
    Ok(())
}

fn append(text: &str, open: &mut [Element]) -> Result<(), &'static str> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("the XML has text outside its root element"),
    }
    Ok(())
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, &'static str> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(character),
        Ok(None) => match reference.as_ref() {
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "amp" => Ok('&'),
            "quot" => Ok('"'),
            "apos" => Ok('\''),
            _ => Err("the XML has an unknown entity"),
        },
        Err(_) => Err("the XML has a malformed character reference"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Result<Element, &'static str> {
        parse(text.as_bytes()).map(|(root, _)| root)
    }

    #[test]
    fn entities_and_cdata_are_resolved_and_white_space_kept() {
        let root = root("<a> x&amp;&#x4E0B;<![CDATA[<y>]]>\r\n</a>").unwrap();
        assert_eq!(root.text, " x&下<y>\n");
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for text in [
            "<!DOCTYPE a><a/>",
            "<a>&x;</a>",
            "<a><!-- c --></a>",
            "<a><?pi?></a>",
            "<a>x<b/></a>",
            "<a/><b/>",
            "<a></a>x",
            "x<a/>",
            "<a><b></a></b>",
            "<a>",
            "",
            "<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>x",
            " <?xml version=\"1.0\"?><a/>",
            "<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>",
            "<a>&#0;</a>",
        ] {
            assert!(root(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_declared_charset_is_the_one_read() {
        let gbk = Charset::Gbk.encode("<?xml version='1.0' encoding='GB2312'?><a>下架</a>").unwrap();
        let (root, charset) = parse(&gbk).unwrap();
        assert_eq!((root.text.as_str(), charset), ("下架", Charset::Gbk));
        assert!(parse(&gbk[38..]).is_err());
    }
}
