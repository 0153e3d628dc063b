//! What goes wrong: by rates, by a script, or both.

use std::time::Duration;

/// One thing that goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `SYSTEM_ERROR`, and the call took effect or did not.
    SystemError(Effect),
    /// No answer within the client's time-out; took effect or not.
    Timeout(Effect),
    /// The connection is reset after the request was read; took effect or not.
    Reset(Effect),
    /// An answer that is no document.
    Garbage,
    /// A success without a signature; took effect.
    UnsignedSuccess,
    /// A success with a wrong signature; took effect.
    BadSignature,
    /// 40005 on the Open Platform, HTTP 429 on mapi.
    Throttled,
    /// The answer is GBK, whatever was asked.
    Gbk,
    /// The answer takes this much longer.
    Latency(Duration),
    /// An unlisted code.
    UnlistedCode,
    /// `isv.invalid-signature` or `ILLEGAL_SIGN`, as if the key were wrong.
    IllegalSign,
}

/// Whether a faulty call takes the item off sale all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Taken,
    /// It does not.
    NotTaken,
}

/// Faults to play.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Played first, one an incoming request that matches (`item` `None` matches any), each once.
    pub script: Vec<Scripted>,
    /// Drawn per request afterwards: probability 0..1 of each; their sum is at most 1.
    pub rates: Vec<(Fault, f64)>,
}

/// One entry of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Scripted {
    /// The item it waits for, or any.
    pub item: Option<String>,
    /// What happens then; `None` lets one request pass untouched.
    pub fault: Option<Fault>,
}
