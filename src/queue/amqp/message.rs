//! Between AMQP properties and an envelope: which headers are read, written, kept and left behind.
//!
//! A producer may send anything. Promise: no header, however odd, fails or changes the fate of a message; at worst it
//! is read as absent. `x-death` is not read (it counts what the broker did, not what we did).

mod size;
mod trace;

pub(super) use size::header_bytes;
pub(super) use trace::told;

use std::time::{Duration, SystemTime};

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::domain::classify::{Effect, Redelivery};
use crate::domain::history::Record;
use crate::domain::ids::{AccountId, PlanId};
use crate::domain::outcome::{FinalOutcome, ItemIds, Reason};
use crate::domain::takedown::{Priority, Takedown};
use crate::domain::trace::TraceContext;
use crate::queue::DeadLetter;
use crate::queue::envelope::Envelope;

const ATTEMPT: &str = "x-td-attempt";
const DEFERRALS: &str = "x-td-deferrals";
const FIRST_SEEN: &str = "x-td-first-seen";
const NOT_BEFORE: &str = "x-td-not-before";
const AMBIGUOUS: &str = "x-td-ambiguous";
const LAST_CODE: &str = "x-td-last-code";
const REPLAYS: &str = "x-td-replays";
const DUE: &str = "x-td-due";
const PLAN: &str = "x-td-plan";
const HISTORY: &str = "x-td-history";
const REASON: &str = "x-td-reason";
const OUTCOME: &str = "x-td-outcome";
const DIED_AT: &str = "x-td-died-at";
const DELIVERY_COUNT: &str = "x-delivery-count";

/// All properties of a message travel in one frame; a producer's headers may have this much of it. The least
/// `frame_max` a broker is run with in practice is 128 KiB.
const MAX_FOREIGN_BYTES: usize = 16 * 1024;

/// Longest header text of our own, in characters; longer ones (a quoted fault of an invalid message) are cut.
const MAX_TEXT: usize = 2048;

/// `type` of an outcome.
pub(super) const OUTCOME_TYPE: &str = "takedown.outcome.v1";

/// Header of a message read from a stream: where it lies there.
const STREAM_OFFSET: &str = "x-stream-offset";

/// `delivery_mode` of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Makes an AMQP short string, cut at 255 bytes instead of panicking.
pub(super) fn short(text: &str) -> ShortString {
    let end = (0..=255.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    ShortString::from(&text[..end])
}

/// Reads what is known about a message.
pub(super) fn read_envelope(account: &AccountId, properties: &BasicProperties, redelivery: Redelivery) -> Envelope {
    let empty = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&empty);
    let count = |key| number(headers, key).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let time = |key| number(headers, key).and_then(moment);
    let delivery_count = count(DELIVERY_COUNT);
    let is_again = redelivery == Redelivery::Again || delivery_count > 0;
    Envelope {
        account: account.clone(),
        message_id: properties.message_id().as_ref().map(ToString::to_string),
        attempt: count(ATTEMPT).max(1),
        deferrals: count(DEFERRALS),
        first_seen: time(FIRST_SEEN),
        not_before: time(NOT_BEFORE),
        effect: if flag(headers, AMBIGUOUS) { Effect::Possible } else { Effect::None },
        last_code: string(headers, LAST_CODE),
        replays: count(REPLAYS),
        trace: trace::read(headers),
        due: time(DUE).or_else(|| sent_at(properties, headers)),
        plan: string(headers, PLAN).and_then(|id| PlanId::new(id).ok()),
        history: string(headers, HISTORY).map(|text| Record::decode(&text)).unwrap_or_default(),
        redelivery: if is_again { Redelivery::Again } else { Redelivery::First },
        delivery_count,
    }
}

/// When a producer says it sent a message that no worker has put back yet: a property in whole seconds
/// (AMQP 0-9-1, basic class, `timestamp`). One that was put back waits anew, from a time of our own.
fn sent_at(properties: &BasicProperties, headers: &FieldTable) -> Option<SystemTime> {
    if headers.inner().contains_key(ATTEMPT) {
        return None;
    }
    moment(i64::try_from(*properties.timestamp().as_ref()?).ok()?.checked_mul(1000)?)
}

/// Returns the properties of a message of which nothing is known.
pub(super) fn raw() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(PERSISTENT)
}

/// Returns the properties of a takedown that is enqueued for the first time.
///
/// Quorum queues of RabbitMQ 4 serve priorities above 4 first; older ones take no notice.
pub(super) fn first(takedown: &Takedown, now: SystemTime, trace: Option<&TraceContext>) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(short(DUE), milliseconds(now).into());
    trace::write(&mut headers, trace);
    let properties = raw()
        .with_content_type(short("application/json"))
        .with_message_id(short(takedown.id.as_str()))
        .with_timestamp(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
        .with_headers(headers);
    match takedown.priority {
        Priority::Normal => properties,
        Priority::High => ranked(properties, Priority::High),
    }
}

/// Returns properties with the priority of a message that had another.
pub(super) fn ranked(properties: BasicProperties, priority: Priority) -> BasicProperties {
    properties.with_priority(match priority {
        Priority::Normal => 0,
        Priority::High => 9,
    })
}

/// Returns the properties of an outcome.
pub(super) fn outcome(outcome: &FinalOutcome) -> BasicProperties {
    raw()
        .with_content_type(short("application/json"))
        .with_message_id(short(&outcome.outcome_id()))
        .with_type(short(OUTCOME_TYPE))
        .with_timestamp(outcome.finished_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// Reads where a message lies in its stream.
pub(super) fn stream_offset(properties: &BasicProperties) -> Option<u64> {
    number(properties.headers().as_ref()?, STREAM_OFFSET).and_then(|offset| u64::try_from(offset).ok())
}

/// Returns the properties of a message that goes round again: the producer's, and the envelope's headers.
pub(super) fn successor(original: &BasicProperties, envelope: &Envelope) -> BasicProperties {
    kept(original).with_headers(headers_of(original, envelope))
}

/// Returns the properties of a message that is published once more as it was: all headers but those by which the broker
/// would send copies elsewhere a second time, and the broker's count of its deliveries so far.
pub(super) fn sent_on(original: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (key, value) in original.headers().iter().flat_map(|headers| headers.inner()) {
        if !["CC", "BCC", DELIVERY_COUNT].contains(&key.as_str()) {
            headers.insert(key.clone(), value.clone());
        }
    }
    kept(original).with_headers(headers)
}

/// Returns the properties of a dead letter: a successor's, and the outcome for the operator to see.
pub(super) fn dead(original: &BasicProperties, envelope: &Envelope, outcome: &FinalOutcome) -> BasicProperties {
    let mut headers = headers_of(original, envelope);
    let shown = FinalOutcome {
        gateway_code: outcome.gateway_code.as_deref().map(cut),
        gateway_message: outcome.gateway_message.as_deref().map(cut),
        ..outcome.clone()
    };
    headers.insert(short(REASON), text(outcome.reason.as_str()));
    headers.insert(short(OUTCOME), AMQPValue::LongString(shown.encode().into()));
    headers.insert(short(DIED_AT), AMQPValue::LongLongInt(milliseconds(outcome.finished_at)));
    kept(original).with_headers(headers)
}

/// Reads a dead letter.
///
/// One without an outcome was put there by the broker (handed out more often than the work queue allows, so that a
/// worker never came to its end) or by hand; it is shown as what that means.
pub(super) fn read_dead(account: &AccountId, properties: &BasicProperties, body: Vec<u8>) -> DeadLetter {
    // Being looked at is not a redelivery of the work.
    let envelope = Envelope {
        redelivery: Redelivery::First,
        delivery_count: 0,
        ..read_envelope(account, properties, Redelivery::First)
    };
    let empty = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&empty);
    let outcome = string(headers, OUTCOME)
        .and_then(|text| FinalOutcome::decode(text.as_bytes()).ok())
        .unwrap_or_else(|| unexplained(&envelope, &body));
    DeadLetter {
        id: outcome.id.clone(),
        account: account.to_string(),
        reason: outcome.reason,
        died_at: number(headers, DIED_AT).and_then(moment).unwrap_or(outcome.finished_at),
        outcome,
        body,
        envelope,
    }
}

fn unexplained(envelope: &Envelope, body: &[u8]) -> FinalOutcome {
    let takedown = Takedown::decode(body).ok();
    let first_seen = envelope.first_seen.unwrap_or(SystemTime::UNIX_EPOCH);
    FinalOutcome {
        id: takedown
            .as_ref()
            .map(|t| t.id.to_string())
            .or_else(|| envelope.message_id.clone())
            .unwrap_or_else(|| "unknown".into()),
        batch: takedown.as_ref().and_then(|t| t.batch.as_ref()).map(ToString::to_string),
        account: envelope.account.to_string(),
        gateway: takedown.as_ref().map(|t| t.item.gateway()),
        reason: Reason::CrashLoop,
        gateway_code: envelope.last_code.clone(),
        gateway_message: Some("dead-lettered by the broker; no outcome was published".into()),
        attempts: envelope.attempt.saturating_sub(1),
        deferrals: envelope.deferrals,
        first_seen,
        finished_at: first_seen,
        verified: false,
        item: ItemIds::default(),
        worker: String::new(),
        replays: envelope.replays,
    }
}

/// Returns what of a producer's properties travels on. Left behind: `expiration` (a dead letter would vanish by it),
/// `user_id` (the broker refuses one that is not the publisher's own), `reply_to` and `cluster_id`.
fn kept(original: &BasicProperties) -> BasicProperties {
    let mut kept = raw();
    let copy = |value: &Option<ShortString>| value.clone();
    if let Some(value) = copy(original.content_type()) {
        kept = kept.with_content_type(value);
    }
    if let Some(value) = copy(original.content_encoding()) {
        kept = kept.with_content_encoding(value);
    }
    if let Some(value) = copy(original.message_id()) {
        kept = kept.with_message_id(value);
    }
    if let Some(value) = copy(original.correlation_id()) {
        kept = kept.with_correlation_id(value);
    }
    if let Some(value) = copy(original.kind()) {
        kept = kept.with_type(value);
    }
    if let Some(value) = copy(original.app_id()) {
        kept = kept.with_app_id(value);
    }
    if let Some(value) = *original.timestamp() {
        kept = kept.with_timestamp(value);
    }
    if let Some(value) = *original.priority() {
        kept = kept.with_priority(value);
    }
    kept
}

/// Returns a producer's own headers, as far as they are plain and small (`traceparent` and the like).
///
/// Left behind: ours, the broker's (`x-…`), and `CC` and `BCC`, by which the broker would send copies elsewhere
/// (rabbitmq.com/docs/sender-selected).
fn foreign_headers(original: &BasicProperties) -> FieldTable {
    let mut kept = FieldTable::default();
    let mut room = MAX_FOREIGN_BYTES;
    for (key, value) in original.headers().iter().flat_map(|headers| headers.inner()) {
        let name = key.as_str();
        if name.starts_with("x-") || name == "CC" || name == "BCC" {
            continue;
        }
        if matches!(value, AMQPValue::FieldTable(_) | AMQPValue::FieldArray(_)) {
            continue;
        }
        let Some(left) = room.checked_sub(size::of_pair(key, value)) else { continue };
        room = left;
        kept.insert(key.clone(), value.clone());
    }
    kept
}

/// Returns a producer's headers and ours. A trace that could not be read is replaced as a whole, once the message has one
/// of its own (W3C Trace Context, section 4.3): its `tracestate` is of no other.
fn headers_of(original: &BasicProperties, envelope: &Envelope) -> FieldTable {
    let mut headers = FieldTable::default();
    for (key, value) in foreign_headers(original).inner() {
        if envelope.trace.is_none() || !trace::is_header(key.as_str()) {
            headers.insert(key.clone(), value.clone());
        }
    }
    write_envelope(&mut headers, envelope);
    headers
}

fn write_envelope(headers: &mut FieldTable, envelope: &Envelope) {
    let Envelope {
        account: _,
        message_id: _,
        attempt,
        deferrals,
        first_seen,
        not_before,
        effect,
        last_code,
        replays,
        trace,
        due,
        plan,
        history,
        redelivery: _,
        delivery_count: _,
    } = envelope;
    trace::write(headers, trace.as_ref());
    let mut put = |key, value: AMQPValue| {
        headers.insert(short(key), value);
    };
    put(ATTEMPT, i64::from(*attempt).into());
    put(DEFERRALS, i64::from(*deferrals).into());
    put(REPLAYS, i64::from(*replays).into());
    put(AMBIGUOUS, (*effect == Effect::Possible).into());
    if let Some(time) = first_seen {
        put(FIRST_SEEN, milliseconds(*time).into());
    }
    if let Some(time) = not_before {
        put(NOT_BEFORE, milliseconds(*time).into());
    }
    if let Some(time) = due {
        put(DUE, milliseconds(*time).into());
    }
    if let Some(code) = last_code {
        put(LAST_CODE, text(code));
    }
    if let Some(id) = plan {
        put(PLAN, text(id.as_str()));
    }
    if !history.is_empty() {
        put(HISTORY, AMQPValue::LongString(history.encode().into()));
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(cut(value).into())
}

fn cut(value: &str) -> String {
    value.chars().take(MAX_TEXT).collect()
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn moment(milliseconds: i64) -> Option<SystemTime> {
    let since = Duration::from_millis(u64::try_from(milliseconds).ok()?);
    // Also keeps what jiff can write: up to the year 9999.
    (since < Duration::from_secs(253_402_300_799)).then(|| SystemTime::UNIX_EPOCH + since)
}

fn number(headers: &FieldTable, key: &str) -> Option<i64> {
    match headers.inner().get(key)? {
        AMQPValue::ShortShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortShortUInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortUInt(n) => Some(i64::from(*n)),
        AMQPValue::LongInt(n) => Some(i64::from(*n)),
        AMQPValue::LongUInt(n) => Some(i64::from(*n)),
        AMQPValue::LongLongInt(n) => Some(*n),
        AMQPValue::LongString(_) | AMQPValue::ShortString(_) => string(headers, key)?.trim().parse().ok(),
        _ => None,
    }
}

fn string(headers: &FieldTable, key: &str) -> Option<String> {
    match headers.inner().get(key)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn flag(headers: &FieldTable, key: &str) -> bool {
    match headers.inner().get(key) {
        Some(AMQPValue::Boolean(is_set)) => *is_set,
        Some(_) => number(headers, key).is_some_and(|n| n != 0) || string(headers, key).is_some_and(|t| t == "true"),
        None => false,
    }
}

#[cfg(test)]
mod tests;
