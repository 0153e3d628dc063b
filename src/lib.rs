//! Bulk takedown worker: messages from RabbitMQ (or an embedded queue), signed calls to two gateways, one outcome an item.
//!
//! # The promise
//! At least once to the gateway, at least once to the result exchange, every outcome has a stable id; nothing is acked
//! before its successor is confirmed; no message is ever dropped.
//!
//! # Layers
//! Import order, low to high; `tests/it/architecture.rs` holds it.
//!
//! | layer | holds | knows |
//! |---|---|---|
//! | [`clock`] | the time of day, and how far to believe a clock that was set | nothing |
//! | [`domain`] | takedown, reply, codes, classification, retry, settlement | nothing: pure functions |
//! | [`signing`] | canonical bytes, MD5, DSA, RSA, keys, certificates, charsets, content encryption; both directions | domain |
//! | [`tls`] | whom to trust over TLS, as whom to come, why a handshake failed | domain |
//! | [`trace`] | spans of a process, for whoever collects them | domain |
//! | [`gateway`] | the two gateways by three protocols: requests and answers over HTTP, notifications, why a signature fails | domain, signing, tls |
//! | [`limits`] | an account's rate and its share among replicas, calls in flight, holds | domain |
//! | [`queue`] | the queue port; RabbitMQ and embedded adapters | domain, tls, trace |
//! | [`desk`] | what operators see and do: outcomes counted, batches | domain, queue |
//! | [`worker`] | the pipeline that joins the three above | everything below |
//! | [`sandbox`] | both gateways and all three protocols on loopback, strict, scriptable | domain, signing |
//! | [`ops`] | configuration, command line, metrics, status | everything |
//!
//! `gateway`, `limits` and `queue` do not know one another, and all but `domain` and `signing` may ask the [`clock`]. The
//! two gateways are an enum; the queue is a trait, because two adapters exist and one contract suite runs over both.
//!
//! What goes over the wire, with worked examples, is a page of its own: [`gateway::protocol`], "the protocol page".
//!
//! # One takedown
//! 1. [`queue::Queue::next`] hands out a [`queue::Delivery`]; the worker spawns [`worker::pipeline`] for it. A panic is
//!    caught and settled.
//! 2. [`domain::takedown::Takedown::decode`]: what is not a takedown becomes a dead letter `invalid_message`, bytes kept.
//!    [`queue::Queue::told`]: what has an outcome already is told again, and that is all.
//! 3. Cancelled batch, deadline, not-before, account, hold: cancelled and expired items end, early and held ones are
//!    deferred. Which batches are cancelled is told by the operators' log ([`queue::Queue::ledger`]), which a worker reads
//!    before its first message.
//! 4. [`limits`]: waits for its turn while the wait is short, else defers. A cancel ends the wait.
//! 5. [`gateway::GatewayAccount::call`], by the account's protocol: build, encrypt where the app has that, sign, send, read,
//!    verify with the gateway's key or the one of the certificate the answer names. The result is a
//!    [`domain::reply::Reply`], never an `Err`: a broken call is data, *not sent* or *maybe sent*. A gateway whose
//!    certificate does not hold is not sent to, and holds its account.
//! 6. [`domain::classify::classify`]: reply and history to an [`domain::classify::Outcome`]. A success counts only signed.
//! 7. [`domain::settlement::decide`]: outcome, attempt, age and policy to a decision. Of a batch cancelled meanwhile,
//!    nothing is tried again: what the call came to stands, and else the item ends as cancelled.
//! 8. [`queue::Queue::settle`]: claim, publish, confirm, ack (RabbitMQ) or one transaction (embedded). Callers cannot get
//!    the order wrong.
//! 9. One [`worker::event::WorkerEvent`], which `ops` turns into one log line and its metrics.
//!
//! # Beside it
//! `takedown explain` ([`gateway::diagnosis`]) builds requests and reads answers by the very code of step 5, sends nothing,
//! and looks for the mistake in signatures of others. [`gateway::mapi::notification`] verifies what mapi posts to one's own
//! address; it is a library, the takedown asks for no notification. [`sandbox`] plays both gateways for rehearsals and
//! tests; it shares [`signing`] with step 5 and no line of building or reading.
//!
//! What could not be resolved is an operator's: [`desk`] reads, plans and replays, and `takedown desk` and every worker show
//! it in a browser ([`ops::web`]). A worker whose pages nobody looks at holds nothing for them.
//!
//! # One rate, many replicas
//! An account's rate belongs to the account. Replicas tell each other what they want of it ([`domain::fleet`]) over a
//! fanout exchange ([`queue::amqp::fleet`]); [`limits::fleet`] makes shares of that, with a proof that they never come to
//! more than the whole; [`worker::fleet`] beats, hears and gives them out.
//!
//! # What is told meanwhile
//! Metrics ([`ops::metrics`], with a table of them all, a dashboard and alert rules), lines of the log ([`ops::observe`]) and
//! spans. The trace a message belongs to ([`domain::trace`]) comes by its headers and goes on to the gateway's call, to
//! retries and dead letters, and to the outcome, whether or not spans are made. They are ([`trace`]) where a collector is
//! configured ([`ops::telemetry`]): of the delivery, and as its parts of the time in hand before a task took it, the wait
//! for its turn, the call and the settlement. (The embedded queue keeps no trace: each attempt begins one.)
//!
//! # Attempts and deferrals
//! An attempt is a call that used up a try. A deferral (throttled, held, unreachable, rate-limited, early) does not.
//! An attempt is *ambiguous* when it may have taken effect although nobody said so: a time-out after sending, `SYSTEM_ERROR`, an
//! unsigned success. After one, a gateway that says "not on sale" means success (`taken_down_earlier`); and an item whose
//! attempts run out ends as `outcome_unknown`, never as merely failed.
//!
//! # Crashes
//! A crash between the gateway's answer and the claim of its outcome repeats one call; the redelivered message then meets
//! the goal state and ends as `success/taken_down_earlier`. From the claim on the outcome is decided: it is in the journal
//! ([`queue::amqp`], a stream that every worker reads) before anyone is told, the first claim of an item counts for every
//! copy of its message, and a copy that comes after it makes no call and tells the same outcome once more, under the same
//! id. So an item never has two outcomes in one round of replays, however its copies are judged: off sale before we came,
//! out of attempts, past its deadline. (The embedded queue has one copy of a message, and ends it in one transaction.)
//!
//! Which copy comes first is chance, though. A crash while an item is being put back to wait leaves two messages that
//! may be called for at the same time, and the one that finds the work of the other done may claim first; so a message
//! that was put back reads the goal state as `taken_down_earlier`, whatever it finds. What the journal leaves open is
//! told in `queue::amqp::journal`.
//!
//! A message that kills the process is called for alone after three deaths, when the others in work have ended, and no
//! more after twenty: `dead/crash_loop`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

/// Where a build for tests may be made to die; nothing at all in any other.
macro_rules! fault_point {
    ($point:ident) => {
        #[cfg(feature = "fault-points")]
        $crate::fault_points::Point::$point.reach();
    };
}

pub mod clock;
pub mod desk;
pub mod domain;
#[cfg(feature = "fault-points")]
pub mod fault_points;
pub mod gateway;
pub mod limits;
pub mod ops;
pub mod queue;
pub mod sandbox;
pub mod signing;
pub mod tls;
pub mod trace;
pub mod worker;
