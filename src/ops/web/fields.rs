//! What a form or a query brings: names and values, in order, of bounded size.

use url::form_urlencoded;

/// Fields as a browser sent them; nothing in them is trusted.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::ops::web) struct Fields(Vec<(String, String)>);

/// More fields than this no page of ours has.
const MOST: usize = 200;

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    pub(in crate::ops::web) fn read(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).take(MOST).map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Returns the first value of a name, trimmed; `None` where it is absent or empty.
    pub(in crate::ops::web) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.trim()).find(|value| !value.is_empty())
    }

    /// Returns every value of a name that is not empty, trimmed.
    pub(in crate::ops::web) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.0.iter().filter(move |(known, _)| known == name);
        of_name.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns the first value of a name as it came.
    pub(in crate::ops::web) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Writes a query of the pairs that have a value, with its question mark; nothing where none has.
pub(in crate::ops::web) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        text.append_pair(name, &value);
    }
    let text = text.finish();
    if text.is_empty() { text } else { format!("?{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_empty_ones_count_as_absent() {
        let fields = Fields::read(b"account=a&account=+b+&reason=&code=isv.x%26y&text=%E6%A0%B8");
        assert_eq!(fields.all("account").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((fields.get("reason"), fields.get("nothing")), (None, None));
        assert_eq!((fields.get("code"), fields.get("text")), (Some("isv.x&y"), Some("核")));
        assert_eq!(fields.raw("account"), Some("a"));
    }

    #[test]
    fn a_query_is_written_as_it_is_read() {
        let text = query([("code", "a&b=c".to_owned()), ("text", String::new()), ("q", "核 1".to_owned())]);
        let fields = Fields::read(text.trim_start_matches('?').as_bytes());
        assert_eq!((fields.get("code"), fields.get("text"), fields.get("q")), (Some("a&b=c"), None, Some("核 1")));
        assert_eq!(query([("text", String::new())]), "");
    }

    #[test]
    fn a_flood_of_fields_is_cut_off() {
        let fields = Fields::read("a=1&".repeat(10_000).as_bytes());
        assert_eq!(fields.all("a").count(), MOST);
    }
}
