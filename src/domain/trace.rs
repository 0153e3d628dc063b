//! The trace a message belongs to, as it travels: `traceparent` and `tracestate` of W3C Trace Context.
//!
//! <https://www.w3.org/TR/trace-context-1/>. Promise: what does not follow the rules is read as no trace at all, and harms
//! nothing; what is written always follows them.

use std::fmt;

use crate::domain::hex::hex;

/// Header of the trace's id and the span that called.
pub const TRACEPARENT: &str = "traceparent";
/// Header of what tracing systems keep for themselves.
pub const TRACESTATE: &str = "tracestate";

/// Entries of a `tracestate` (section 3.3.1.1).
const MAX_ENTRIES: usize = 32;
/// Characters of a `tracestate` that are passed on at least (section 3.3.1.5), and here at most.
const MAX_STATE: usize = 512;

/// A place in a trace: which trace, which span of it, and whether it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// Of the whole trace; never all zeros.
    pub trace_id: [u8; 16],
    /// Of the span that called; never all zeros.
    pub span_id: [u8; 8],
    /// Bit 0: the caller records this trace.
    pub flags: u8,
    /// `tracestate`, valid and at most 512 characters long.
    pub state: Option<String>,
}

impl TraceContext {
    /// Reads both headers. A `traceparent` that breaks a rule is no trace, and then `tracestate` is not looked at; one of
    /// a version yet to come is read as far as version 00 goes (section 4.3). A `tracestate` that breaks a rule is dropped
    /// alone.
    #[must_use]
    pub fn read(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.trim_matches([' ', '\t']).split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = bytes::<1>(version)?;
        // Version ff is forbidden, and version 00 has nothing behind its flags (section 3.2.2).
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace_id, span_id, [flags]) = (bytes::<16>(trace)?, bytes::<8>(span)?, bytes::<1>(flags)?);
        Self::new(trace_id, span_id, flags, tracestate)
    }

    /// Puts a context together; all zeros are no id.
    #[must_use]
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8, tracestate: Option<&str>) -> Option<Self> {
        let is_valid = trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then(|| Self { trace_id, span_id, flags, state: tracestate.and_then(state) })
    }

    /// Says whether the caller records this trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// Writes the trace's id: 32 hex digits.
    #[must_use]
    pub fn trace_id_text(&self) -> String {
        hex(&self.trace_id)
    }

    /// Writes the span's id: 16 hex digits.
    #[must_use]
    pub fn span_id_text(&self) -> String {
        hex(&self.span_id)
    }
}

/// The `traceparent`. Of the flags version 00 knows one, and the others are not passed on (section 3.2.2.5.2).
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex(&self.trace_id), hex(&self.span_id), self.flags & 1)
    }
}

/// Lower-case hex digits only (section 3.2.2).
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let read: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    read?.try_into().ok()
}

/// Reads a `tracestate`. Too long, it loses entries at its end, whole ones (section 3.3.1.5).
fn state(text: &str) -> Option<String> {
    let entries: Vec<&str> = text.split(',').map(|entry| entry.trim_matches([' ', '\t'])).collect();
    let entries: Vec<&str> = entries.into_iter().filter(|entry| !entry.is_empty()).collect();
    if entries.len() > MAX_ENTRIES || !entries.iter().all(|entry| is_entry(entry)) {
        return None;
    }
    let mut kept = String::new();
    for entry in entries {
        if kept.len() + entry.len() + 1 > MAX_STATE {
            break;
        }
        if !kept.is_empty() {
            kept.push(',');
        }
        kept.push_str(entry);
    }
    (!kept.is_empty()).then_some(kept)
}

/// `key=value` (sections 3.3.1.3.1 and 3.3.1.3.2): of a key the characters and the length are looked at, not where its
/// `@` stands.
fn is_entry(entry: &str) -> bool {
    let Some((key, value)) = entry.split_once('=') else { return false };
    let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let begins = key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_value = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    begins
        && key.len() <= 256
        && key.bytes().all(is_key)
        && (1..=256).contains(&value.len())
        && value.bytes().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn read(text: &str) -> Option<TraceContext> {
        TraceContext::read(text, None)
    }

    #[test]
    fn what_follows_the_rules_is_read_and_written_as_it_was() {
        for flags in ["00", "01"] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = read(&text).unwrap();
            assert_eq!(context.to_string(), text);
            assert_eq!((context.trace_id_text().as_str(), context.span_id_text().as_str()), (TRACE, SPAN));
            assert_eq!(context.is_sampled(), flags == "01");
        }
    }

    #[test]
    fn a_version_to_come_is_read_as_far_as_it_is_known() {
        for later in [format!("01-{TRACE}-{SPAN}-01"), format!("cc-{TRACE}-{SPAN}-03-what-the-future-holds")] {
            assert_eq!(read(&later).unwrap().to_string(), format!("00-{TRACE}-{SPAN}-01"), "{later}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_no_trace() {
        let zeros = "0".repeat(32);
        for broken in [
            String::new(),
            "00".into(),
            "-".repeat(55),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{}-{SPAN}-01", &TRACE[..31]),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00-{TRACE}\0-{SPAN}-01"),
            format!("00-{}é-{SPAN}-01", &TRACE[..30]),
            "00-".repeat(100_000),
        ] {
            assert_eq!(read(&broken), None, "{:.80}", broken);
        }
    }

    #[test]
    fn a_state_is_kept_whole_cut_at_an_entry_or_dropped() {
        let state = |text: &str| TraceContext::read(&format!("00-{TRACE}-{SPAN}-01"), Some(text)).unwrap().state;
        assert_eq!(state("a=1, b@v=x y ,,").as_deref(), Some("a=1,b@v=x y"));
        let many: Vec<String> = (0..32).map(|n| format!("k{n}={}", "x".repeat(30))).collect();
        let kept = state(&many.join(",")).unwrap();
        assert!(kept.len() <= MAX_STATE && many.join(",").starts_with(&format!("{kept},")), "{kept}");
        let broken = ["", " ", "a", "=1", "a=", "A=1", "a=1=2", "a=\u{e9}", "a=1\r\nX: y", "a=\u{7f}"];
        for broken in broken.into_iter().map(str::to_owned).chain([
            format!("a={}", "x".repeat(257)),
            format!("{}=1", "k".repeat(257)),
            vec!["a=1"; 33].join(","),
        ]) {
            assert_eq!(state(&broken), None, "{broken}");
        }
    }
}
