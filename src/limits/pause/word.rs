//! What an outcome says about the credentials it was made with.

use crate::domain::classify::{Cause, Outcome};
use crate::domain::codes::{Certainty, Scope};
use crate::domain::fleet::hold::Proof;
use crate::domain::outcome::Reason;
use crate::domain::reply::Reply;

/// What an outcome says about the credentials tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// They are at fault.
    Fault(Scope, Certainty),
    /// They are good.
    Passed(Proof),
    /// The answer's signature does not hold: someone forged it, or the gateway's key is not the one configured.
    Disbelieved,
    /// Too many calls; says nothing, unless it was for that that the account is held.
    Throttled,
    /// Nothing: the call broke, or was never sent.
    Nothing,
}

impl Word {
    pub(super) fn of(reply: &Reply, outcome: &Outcome) -> Self {
        let passed = Self::Passed(if reply.is_verified() { Proof::Signed } else { Proof::Unsigned });
        match outcome {
            Outcome::AccountFault(scope, certainty) => Self::Fault(*scope, *certainty),
            // Refused by our own encoder: nothing was sent.
            Outcome::Terminal(Reason::NotEncodable) => Self::Nothing,
            Outcome::Success(_) | Outcome::Terminal(_) => passed,
            Outcome::Retryable(cause, _) => match cause {
                // The gateway itself answered, and found no fault with the credentials.
                Cause::Code | Cause::UnlistedCode => passed,
                Cause::Throttled(_) => Self::Throttled,
                // What answered may be a proxy, or nobody.
                Cause::Unreachable | Cause::Broken | Cause::ServerError | Cause::Unreadable => Self::Nothing,
                Cause::Untrusted => Self::Disbelieved,
            },
        }
    }
}
