//! What happens in a worker, as data: `ops` turns each event into its log line and its metrics, once.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::AccountId;
use crate::domain::outcome::FinalOutcome;
use crate::domain::settlement::Deferral;
use crate::limits::pause::HoldChange;

/// One fact of a worker's life. No variant holds a secret, a signature or a body.
#[derive(Debug, Clone)]
pub enum WorkerEvent {
    /// The replica began to take messages.
    Started {
        /// Accounts served.
        accounts: usize,
    },
    /// A message was taken out of the queue, to be worked now.
    Taken {
        /// The account.
        account: AccountId,
        /// How long it had waited since it was put in or fell due, by the clocks of two machines; `None` where the message
        /// does not tell.
        waited: Option<Duration>,
    },
    /// A gateway call ended.
    Called {
        /// The account.
        account: AccountId,
        /// `success`, `retryable`, `terminal` or `account_fault`.
        outcome: &'static str,
        /// Signature verdict of the answer, or how the call broke.
        verdict: &'static str,
        /// Time from the call's start to its reply.
        took: Duration,
    },
    /// An item ended and its outcome is confirmed.
    Finished {
        /// The outcome.
        outcome: Box<FinalOutcome>,
    },
    /// An item will be tried again.
    Retried {
        /// The takedown's id.
        id: String,
        /// The account.
        account: AccountId,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// The gateway's code or the way the call broke.
        code: Option<String>,
        /// Least wait.
        delay: Duration,
    },
    /// An item was put off without using an attempt.
    Deferred {
        /// The takedown's id.
        id: String,
        /// The account.
        account: AccountId,
        /// Why.
        reason: Deferral,
        /// Least wait.
        delay: Duration,
    },
    /// A message was handed back untouched: the replica drains.
    GivenBack {
        /// The takedown's id.
        id: String,
        /// The account.
        account: AccountId,
    },
    /// An answer that should not exist: bad signature, unsigned success, another item. Someone should look.
    Suspicious {
        /// The takedown's id.
        id: String,
        /// The account.
        account: AccountId,
        /// Signature verdict.
        verdict: &'static str,
    },
    /// An answer signed with a certificate that is not held: none of that certificate can be verified.
    UnknownCertificate {
        /// The account.
        account: AccountId,
        /// The certificate's number as the answer names it, cut to letters and digits; `none` where it names none.
        number: String,
    },
    /// A code no table lists.
    UnlistedCode {
        /// The account.
        account: AccountId,
        /// The code, as the gateway wrote it; `none` where it wrote none.
        code: String,
    },
    /// An account (or one of its parties: a merchant, an administrator) was held.
    Held {
        /// The account.
        account: AccountId,
        /// The party, or `None` for the whole account.
        party: Option<String>,
        /// The code that caused it.
        cause: String,
        /// Until the next probe.
        probe_in: Duration,
    },
    /// A hold ended.
    Resumed {
        /// The account.
        account: AccountId,
        /// The party, or `None` for the whole account.
        party: Option<String>,
    },
    /// This replica finds no connection to an account's gateway.
    Unreachable {
        /// The account.
        account: AccountId,
        /// How the last call broke.
        cause: String,
        /// Until the next call tries.
        probe_in: Duration,
    },
    /// A call found the gateway again.
    Reached {
        /// The account.
        account: AccountId,
    },
    /// Another replica, or a person, told of a change of a hold; it counts here too.
    HoldHeard {
        /// The account.
        account: AccountId,
        /// What changed.
        change: HoldChange,
    },
    /// The replicas that share rates are more or fewer than before.
    FleetChanged {
        /// Replicas heard, this one included; 0 while this one is out of the fleet.
        members: usize,
    },
    /// An item had an outcome already, which was told again instead of what this delivery came to.
    EndedBefore {
        /// The takedown's id.
        id: String,
        /// The account.
        account: AccountId,
    },
    /// Whether an item has an outcome already could not be found out; its message goes back.
    NotKnown {
        /// The takedown's id.
        id: String,
        /// The whole error chain.
        error: String,
    },
    /// A delivery was settled: what comes of it is confirmed, and the message acked.
    Settled {
        /// The account.
        account: AccountId,
        /// From the decision to the ack.
        took: Duration,
    },
    /// A settlement failed; the message comes back.
    SettleFailed {
        /// The takedown's id.
        id: String,
        /// The whole error chain.
        error: String,
    },
    /// The pipeline panicked on a message; it is settled as a retry, or at last as a dead letter `crash_loop`.
    Panicked {
        /// The takedown's id.
        id: String,
    },
    /// Draining began.
    Draining {
        /// Messages in hand.
        in_flight: usize,
    },
    /// The replica stopped.
    Stopped {
        /// Deliveries left unsettled; they come back to the queue.
        abandoned: usize,
    },
}

/// Receives every event; must not block.
pub type Observer = Arc<dyn Fn(&WorkerEvent) + Send + Sync>;
