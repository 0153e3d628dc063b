//! What producers may send, and what is made of it.

use lapin::types::{DecimalValue, FieldArray};
use proptest::prelude::*;

use super::*;
use crate::domain::history::{Entry, What};
use crate::domain::trace::{TRACEPARENT, TRACESTATE};

fn account() -> AccountId {
    AccountId::new("shops").unwrap()
}

fn with_headers(headers: &[(&str, AMQPValue)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (key, value) in headers {
        table.insert(short(key), value.clone());
    }
    BasicProperties::default().with_headers(table)
}

fn read(properties: &BasicProperties) -> Envelope {
    read_envelope(&account(), properties, Redelivery::First)
}

fn header(properties: &BasicProperties, key: &str) -> Option<AMQPValue> {
    properties.headers().as_ref().and_then(|headers| headers.inner().get(key).cloned())
}

fn outcome_with(message: String) -> FinalOutcome {
    FinalOutcome { gateway_message: Some(message), ..unexplained(&Envelope::fresh(account()), b"") }
}

#[test]
fn a_message_without_properties_is_fresh() {
    assert_eq!(read(&BasicProperties::default()), Envelope::fresh(account()));
}

#[test]
fn what_is_sent_on_is_as_it_was_but_for_what_the_broker_would_refuse() {
    let original = with_headers(&[(ATTEMPT, 3.into()), ("trace", 1.into()), ("CC", text("other"))])
        .with_user_id(short("producer"))
        .with_message_id(short("t-1"));
    let sent = sent_on(&original);
    assert_eq!((read(&sent).attempt, read(&sent).message_id.as_deref()), (3, Some("t-1")));
    assert_eq!((header(&sent, "trace"), header(&sent, "CC"), sent.user_id()), (Some(1.into()), None, &None));
}

#[test]
fn odd_header_types_read_as_absent() {
    let odd = [
        AMQPValue::Void,
        AMQPValue::Double(f64::NAN),
        AMQPValue::DecimalValue(DecimalValue { scale: 1, value: 3 }),
        AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::Void])),
        AMQPValue::FieldTable(FieldTable::default()),
        AMQPValue::LongString(vec![0xff, 0xfe].into()),
        AMQPValue::LongLongInt(-7),
        AMQPValue::LongString("many".into()),
        AMQPValue::Timestamp(u64::MAX),
    ];
    for value in odd {
        let keys = [ATTEMPT, DEFERRALS, FIRST_SEEN, NOT_BEFORE, REPLAYS, DELIVERY_COUNT];
        let envelope = read(&with_headers(&keys.map(|key| (key, value.clone()))));
        assert_eq!(envelope, Envelope::fresh(account()), "{value:?}");
    }
}

#[test]
fn numbers_are_read_from_every_integer_type_and_from_text() {
    let three = [
        AMQPValue::ShortShortInt(3),
        AMQPValue::ShortShortUInt(3),
        AMQPValue::ShortInt(3),
        AMQPValue::ShortUInt(3),
        AMQPValue::LongInt(3),
        AMQPValue::LongUInt(3),
        AMQPValue::LongLongInt(3),
        AMQPValue::LongString(" 3 ".into()),
    ];
    for value in three {
        assert_eq!(read(&with_headers(&[(ATTEMPT, value.clone())])).attempt, 3, "{value:?}");
    }
}

#[test]
fn the_brokers_count_alone_makes_a_redelivery() {
    let envelope = read(&with_headers(&[(DELIVERY_COUNT, AMQPValue::LongLongInt(2))]));
    assert_eq!((envelope.redelivery, envelope.delivery_count), (Redelivery::Again, 2));
}

#[test]
fn a_successor_keeps_the_producers_properties_and_plain_headers() {
    let original = with_headers(&[("traceparent", AMQPValue::LongString("00-abc".into()))])
        .with_message_id(short("t-1"))
        .with_content_type(short("application/json"))
        .with_priority(7)
        .with_app_id(short("moderation"));
    let next = successor(&original, &Envelope::fresh(account()));
    assert_eq!(next.message_id(), original.message_id());
    assert_eq!(next.content_type(), original.content_type());
    assert_eq!((next.priority(), next.delivery_mode()), (&Some(7), &Some(PERSISTENT)));
    assert_eq!(header(&next, "traceparent"), Some(AMQPValue::LongString("00-abc".into())));
}

#[test]
fn a_successor_leaves_behind_what_would_change_its_fate() {
    let copies = AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongString("elsewhere".into())]));
    let original = with_headers(&[
        ("CC", copies.clone()),
        ("BCC", copies.clone()),
        ("x-death", copies),
        (DELIVERY_COUNT, AMQPValue::LongLongInt(4)),
        ("padding", AMQPValue::LongString("x".repeat(MAX_FOREIGN_BYTES).into())),
    ])
    .with_expiration(short("1"))
    .with_user_id(short("producer"))
    .with_reply_to(short("somewhere"));
    let next = successor(&original, &Envelope::fresh(account()));
    for key in ["CC", "BCC", "x-death", DELIVERY_COUNT, "padding"] {
        assert_eq!(header(&next, key), None, "{key}");
    }
    assert_eq!((next.expiration(), next.user_id(), next.reply_to()), (&None, &None, &None));
}

#[test]
fn a_dead_letter_shows_its_outcome_and_its_body() {
    let outcome = outcome_with("no such shop".into());
    let properties = dead(&BasicProperties::default(), &Envelope::fresh(account()), &outcome);
    let letter = read_dead(&account(), &properties, b"\xff not json".to_vec());
    assert_eq!(letter.outcome, outcome);
    assert_eq!((letter.id.as_str(), letter.reason), (outcome.id.as_str(), outcome.reason));
    assert_eq!(letter.body, b"\xff not json");
}

#[test]
fn an_endless_fault_text_does_not_outgrow_a_frame() {
    let properties =
        dead(&BasicProperties::default(), &Envelope::fresh(account()), &outcome_with("漢".repeat(100_000)));
    let Some(AMQPValue::LongString(text)) = header(&properties, OUTCOME) else { panic!("no outcome") };
    assert!(text.len() < 16 * 1024, "{}", text.len());
    let letter = read_dead(&account(), &properties, Vec::new());
    assert_eq!(letter.outcome.gateway_message.map(|text| text.chars().count()), Some(MAX_TEXT));
}

#[test]
fn a_letter_the_broker_put_there_reads_as_a_crash_loop() {
    let body = br#"{"version":1,"id":"t-9","account":"shops","takedown":{"gateway":"open_platform","commodity_id":"c","shop_id":"s"}}"#;
    let letter = read_dead(&account(), &BasicProperties::default(), body.to_vec());
    assert_eq!((letter.id.as_str(), letter.reason), ("t-9", Reason::CrashLoop));
}

#[test]
fn a_short_string_is_cut_between_characters() {
    assert_eq!(short(&"漢".repeat(100)).as_str().len(), 255);
    assert_eq!(short(&format!("x{}", "漢".repeat(100))).as_str().len(), 253);
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn a_trace_is_read_only_where_it_follows_the_rules() {
    let traced = with_headers(&[(TRACEPARENT, text(PARENT)), (TRACESTATE, text("a=1"))]);
    assert_eq!(read(&traced).trace, TraceContext::read(PARENT, Some("a=1")));
    for odd in [text("00-zero-zero-01"), AMQPValue::LongString(vec![0xff].into()), 7.into(), text(&PARENT.repeat(999))]
    {
        let broken = with_headers(&[(TRACEPARENT, odd.clone()), (TRACESTATE, text("a=1"))]);
        assert_eq!(read(&broken).trace, None);
        // As it came, until the message has a trace of its own.
        assert_eq!(header(&successor(&broken, &read(&broken)), TRACEPARENT), Some(odd));
        let own = Envelope { trace: TraceContext::read(PARENT, None), ..read(&broken) };
        let next = successor(&broken, &own);
        assert_eq!((header(&next, TRACEPARENT), header(&next, TRACESTATE)), (Some(text(PARENT)), None));
    }
}

#[test]
fn a_trace_goes_with_retries_letters_and_outcomes() {
    let traced = with_headers(&[(TRACEPARENT, text(PARENT)), (TRACESTATE, text("a=1"))]);
    let ended = outcome_with("gone".into());
    let envelope = read(&traced).retried(Effect::None, None, SystemTime::UNIX_EPOCH);
    let next = successor(&traced, &envelope);
    let letter = dead(&next, &read(&next).dead(&ended, SystemTime::UNIX_EPOCH), &ended);
    let entry = Entry::new(What::Replay, 1, "k7mq2x", "ada", SystemTime::UNIX_EPOCH);
    let replayed = successor(&letter, &read_dead(&account(), &letter, Vec::new()).envelope.replayed(entry));
    for properties in [&next, &letter, &replayed, &told(&ended, envelope.trace.as_ref())] {
        assert_eq!(read(properties).trace, read(&traced).trace);
    }
    assert!(told(&ended, None).headers().is_none());
}

#[test]
fn a_message_is_due_when_it_was_sent_or_put_back_for() {
    let at = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
    let sent = BasicProperties::default().with_timestamp(1_700_000_000);
    assert_eq!(read(&sent).due, Some(at(1_700_000_000_000)));
    let put_back = successor(&sent, &Envelope { due: None, ..read(&sent) });
    assert_eq!(read(&put_back).due, None, "what waited once waits from another time");
    let put_back = successor(&sent, &Envelope { due: Some(at(1_800_000_000_123)), ..read(&sent) });
    assert_eq!(read(&put_back).due, Some(at(1_800_000_000_123)));
    let nonsense = BasicProperties::default().with_timestamp(u64::MAX);
    assert_eq!(read(&nonsense).due, None);
}

proptest! {
    #[test]
    fn an_envelope_survives_its_headers(
        attempt in 1u32.., deferrals: u32, replays: u32, first in proptest::option::of(0u64..4_102_444_800_000),
        before in proptest::option::of(0u64..4_102_444_800_000), is_ambiguous: bool,
        due in proptest::option::of(0u64..4_102_444_800_000), trace in proptest::array::uniform16(1u8..),
        plan in proptest::option::of("[a-z0-9-]{1,32}"), how in ".{0,200}",
        code in proptest::option::of("[a-z.A-Z_0-9-]{0,64}"), id in proptest::option::of("[A-Za-z0-9._:-]{1,128}"),
    ) {
        let at = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let mut history = Record::default();
        history.push(Entry::new(What::Attempt, attempt, &how, "worker-1", at(first.unwrap_or(7))));
        let envelope = Envelope {
            message_id: id.clone(),
            attempt,
            deferrals,
            first_seen: first.map(at),
            not_before: before.map(at),
            effect: if is_ambiguous { Effect::Possible } else { Effect::None },
            last_code: code,
            replays,
            due: due.map(at),
            trace: TraceContext::new(trace, [7; 8], 1, Some("a=1")),
            plan: plan.map(|id| PlanId::new(id).unwrap()),
            history,
            ..Envelope::fresh(account())
        };
        let mut original = BasicProperties::default();
        if let Some(id) = id {
            original = original.with_message_id(short(&id));
        }
        prop_assert_eq!(read(&successor(&original, &envelope)), envelope);
    }
}
