//! What came back from a gateway call, as data: an answer with the verdict on its signature, or a call that broke.
//!
//! Nothing here says what to do about it; that is `classify`. Promise: a reply is built even for garbage, so no call
//! ends as an `Err`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What one gateway call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The gateway, or something in its place, answered.
    Answered(Answer),
    /// The call broke before any byte of the request was written: it cannot have taken effect.
    NotSent(BrokenCall),
    /// The call broke after the request may have been written: it may have taken effect.
    MaybeSent(BrokenCall),
    /// The request could not be written in the configured charset, so nothing was sent.
    NotEncodable {
        /// Parameter at fault.
        field: String,
        /// First character the charset cannot hold.
        character: char,
    },
    /// The item names a merchant the configuration has no token for, or none that can be sent; so nothing was sent.
    NoToken {
        /// The merchant.
        merchant: String,
    },
}

/// An HTTP answer, read and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status code.
    pub http_status: u16,
    /// Verdict on the answer's signature.
    pub signature: Signature,
    /// How the protocol the answer came in treats refusals under this status.
    pub refusals: Refusals,
    /// What the answer says.
    pub claim: Claim,
    /// `Retry-After` (RFC 9110 section 10.2.3), if the answer carried one.
    pub retry_after: Option<Duration>,
    /// The certificate an unverifiable answer says it was signed with; see [`certificate_number`].
    pub unknown_certificate: Option<String>,
}

/// Returns the number of a certificate, 32 hex digits, as it may be logged. Whoever answered may have written something else
/// in its place, such as the token of the call, and that is not passed on.
#[must_use]
pub fn certificate_number(text: &str) -> String {
    let is_number = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_number { text.to_owned() } else { "not a number of one".to_owned() }
}

/// What an answer says; believed only together with its signature verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The item was taken down.
    Success {
        /// The goods the answer speaks of, where the protocol names them.
        goods_id: Option<String>,
        /// Whether that is the item asked for.
        item: ItemMatch,
    },
    /// The gateway refused, with a code; see [`Claim::failure`].
    Failure {
        /// `code` (Open Platform) or `error` (mapi), at most 128 characters.
        code: Option<String>,
        /// `sub_code` (Open Platform 1.0 only), at most 128 characters.
        sub_code: Option<String>,
        /// The gateway's wording, at most 256 characters.
        message: Option<String>,
    },
    /// The body could not be read as an answer of this protocol.
    Unreadable {
        /// Why, in words safe to log.
        problem: String,
        /// A code seen in the text (HTML error pages name one); shown to people, never decided upon.
        named_code: Option<String>,
    },
}

/// Longest code passed on, in characters; the longest of the tables has 43.
const MAX_CODE: usize = 128;

/// Longest wording of the gateway passed on, in characters.
const MAX_MESSAGE: usize = 256;

impl Claim {
    /// Builds a refusal. What the gateway wrote may fill a whole answer, and goes into logs, message headers and outcomes:
    /// it is cut to what those can bear, and to what stands before a repeated request or signed text.
    #[must_use]
    pub fn failure(code: Option<&str>, sub_code: Option<&str>, message: Option<&str>) -> Self {
        let cut =
            |text: Option<&str>, longest| text.map(|text| before_parameters(text).chars().take(longest).collect());
        Self::Failure {
            code: cut(code, MAX_CODE),
            sub_code: cut(sub_code, MAX_CODE),
            message: cut(message, MAX_MESSAGE),
        }
    }
}

/// Cuts a text where parameters begin: `isv.invalid-signature` quotes the whole text it verified, tokens included
/// (protocol page: Open Platform, Verification), and what was signed is nobody's to read in a log.
fn before_parameters(text: &str) -> Cow<'_, str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut names = text.match_indices('=').filter_map(|(equals, _)| {
        let start = text[..equals].trim_end_matches(is_name).len();
        (start < equals).then_some((start, &text[start..equals]))
    });
    let Some((start, first)) = names.next() else { return Cow::Borrowed(text) };
    // One pair may be said in passing, `max=250`; several, or a signature, are a request.
    if first == "sign" || names.next().is_some() {
        Cow::Owned(format!("{}***", &text[..start]))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a signed answer speaks of the item asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemMatch {
    /// The same item, or the protocol does not say.
    Same,
    /// Another item: an old genuine answer, replayed (protocol page: mapi, Verification).
    Other,
}

/// Whether a protocol signs the refusals that come under an HTTP status: where it does, one is not believed without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    /// Business refusals always are: Open Platform 1.0 under 200.
    Signed,
    /// They come unsigned as a rule: mapi under 200, Open Platform v3 under 4xx.
    Unsigned,
    /// None comes under such a status: what is unsigned there may be the word of something in between.
    Foreign,
}

/// Verdict on the signature of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signature {
    /// Verified with the configured algorithm and the gateway's key.
    Valid,
    /// Present and wrong.
    Invalid,
    /// Absent or empty.
    Unsigned,
    /// The bytes may verify, but the envelope is one that two parsers could read differently.
    Structure,
    /// Signed with a certificate whose key is not held.
    Unverifiable,
    /// No complete document to look for a signature in.
    Malformed,
    /// What is signed and what is not contradict each other (a refusal around a signed success, a refusal under an
    /// HTTP status of success): the unsigned part was altered.
    Contradictory,
}

impl Signature {
    /// Returns the name used in vectors, logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Unsigned => "unsigned",
            Self::Structure => "structure",
            Self::Unverifiable => "unverifiable",
            Self::Malformed => "malformed",
            Self::Contradictory => "contradictory",
        }
    }
}

/// How a call broke; the words are fixed so that no URL (which holds the signature) slips into a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BrokenCall {
    /// Name resolution or connecting failed.
    Connect,
    /// Connecting took longer than the connect time-out.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// The gateway's certificate is not accepted.
    Certificate(CertificateFault),
    /// No complete answer within the total time-out.
    Timeout,
    /// The connection was reset or closed before a complete answer.
    Reset,
    /// The answer's body is larger than the cap.
    BodyTooLarge,
    /// The HTTP exchange broke in another way.
    Protocol,
}

/// Why the certificate of the other end of a TLS connection is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateFault {
    /// It is out of date.
    Expired,
    /// Its time has not come: it is new, or this machine's clock is behind.
    NotYetValid,
    /// It is somebody else's: the name that was called is not in it.
    WrongName,
    /// Nobody trusted issued it; it may have issued itself.
    UnknownIssuer,
    /// It is an authority's own, made to issue others (as `openssl req -x509` makes them), and may not serve.
    Authority,
    /// Another reason: damaged, or not meant for servers.
    Refused,
}

impl CertificateFault {
    /// Returns the name used in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "certificate_expired",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::WrongName => "certificate_of_another_name",
            Self::UnknownIssuer => "certificate_of_unknown_issuer",
            Self::Authority => "certificate_of_an_authority",
            Self::Refused => "certificate_refused",
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl BrokenCall {
    /// Returns the name used in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls_failed",
            Self::Certificate(fault) => fault.as_str(),
            Self::Timeout => "timeout",
            Self::Reset => "connection_reset",
            Self::BodyTooLarge => "body_too_large",
            Self::Protocol => "http_protocol",
        }
    }
}

impl fmt::Display for BrokenCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reply {
    /// Returns the most telling code: the sub-code, else the code, else the way the call broke.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Answered(answer) => match &answer.claim {
                Claim::Success { .. } => None,
                Claim::Failure { code, sub_code, .. } => sub_code.as_deref().or(code.as_deref()),
                Claim::Unreadable { named_code, .. } => named_code.as_deref(),
            },
            Self::NotSent(broken) | Self::MaybeSent(broken) => Some(broken.as_str()),
            Self::NotEncodable { .. } => Some("request_not_encodable"),
            Self::NoToken { .. } => Some("merchant_token_missing"),
        }
    }

    /// Returns the gateway's wording, or ours where it said nothing.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Answered(answer) => match &answer.claim {
                Claim::Success { .. } => None,
                Claim::Failure { message, .. } => message.clone(),
                Claim::Unreadable { problem, .. } => Some(problem.clone()),
            },
            Self::NotSent(_) | Self::MaybeSent(_) => None,
            Self::NotEncodable { field, character } => {
                Some(format!("`{field}` holds {character:?}, which the configured charset has no bytes for"))
            }
            Self::NoToken { merchant } => {
                Some(format!("no token that can be sent is configured for merchant {merchant}"))
            }
        }
    }

    /// Says whether the deciding answer carried a valid signature.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, Self::Answered(answer) if answer.signature == Signature::Valid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_of_a_certificate_is_not_passed_on() {
        let number = "0a2b2af0e64e9007f958ddfae391702b";
        assert_eq!(certificate_number(number), number);
        for other in ["", "201509BBeff9351ad1874306903e96b91d248A36", "0a2b2af0e64e9007f958ddfae391702é", "x"] {
            assert_eq!(certificate_number(other), "not a number of one", "{other}");
        }
    }

    #[test]
    fn a_text_is_cut_where_a_request_or_what_was_signed_begins() {
        for (text, expected) in [
            (
                "验签出错，网关生成的验签字符串为：app_id=1&app_auth_token=x&biz_content={}",
                "验签出错，网关生成的验签字符串为：***",
            ),
            ("GET /gateway.do?service=x&amp;key=y HTTP/1.1", "GET /gateway.do?***"),
            ("Authorization: ALIPAY-SHA256withRSA app_id=1,nonce=2,sign=3", "Authorization: ALIPAY-SHA256withRSA ***"),
            ("wrong: sign=AAAA", "wrong: ***"),
            ("too long, max=250", "too long, max=250"),
            ("a = b, == c", "a = b, == c"),
            ("=x&=y", "=x&=y"),
        ] {
            let claim = Claim::failure(Some(text), None, None);
            assert_eq!(claim, Claim::Failure { code: Some(expected.to_owned()), sub_code: None, message: None });
        }
    }
}
