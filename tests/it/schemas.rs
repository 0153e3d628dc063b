//! The schemas say exactly what the program reads and writes: checked with a validator, in both directions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonschema::{Draft, Validator};
use proptest::prelude::*;
use serde_json::{Value, json};
use takedown::domain::ids::{AccountId, BatchId, MerchantId, RequestId};
use takedown::domain::outcome::{FinalOutcome, ItemIds, Reason, Status};
use takedown::domain::secret::Secret;
use takedown::domain::takedown::{Gateway, Item, MapiItem, OpenPlatformItem, Priority, Takedown};

fn validator(text: &str) -> (Value, Validator) {
    let schema: Value = serde_json::from_str(text).unwrap();
    assert!(jsonschema::meta::is_valid(&schema), "the schema itself is sound");
    let validator =
        jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).build(&schema).unwrap();
    (schema, validator)
}

fn takedown_schema() -> (Value, Validator) {
    validator(include_str!("../../schemas/takedown.v1.json"))
}

fn outcome_schema() -> (Value, Validator) {
    validator(include_str!("../../schemas/outcome.v1.json"))
}

fn faults(validator: &Validator, message: &Value) -> Vec<String> {
    validator.iter_errors(message).map(|error| error.to_string()).collect()
}

/// Sets (or with `None` removes) the member at a JSON pointer.
fn with(mut message: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = message.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    message
}

#[test]
fn every_example_of_a_takedown_decodes() {
    let (schema, validator) = takedown_schema();
    let examples = schema["examples"].as_array().unwrap();
    assert!(examples.len() >= 3);
    for example in examples {
        assert_eq!(faults(&validator, example), [""; 0], "{example}");
        let takedown = Takedown::decode(example.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&takedown.encode()).unwrap()["id"], example["id"]);
    }
}

#[test]
fn a_bad_takedown_is_refused_by_schema_and_decoder() {
    let (schema, validator) = takedown_schema();
    let shop = || schema["examples"][1].clone();
    let goods = || schema["examples"][2].clone();
    let long = |n: usize| Some(json!("字".repeat(n)));
    let table = [
        (shop(), "/version", None),
        (shop(), "/version", Some(json!(2))),
        (shop(), "/version", Some(json!("1"))),
        (shop(), "/id", None),
        (shop(), "/id", Some(json!(7))),
        (shop(), "/id", Some(json!(""))),
        (shop(), "/id", Some(json!("a b"))),
        (shop(), "/id", Some(json!("a\n"))),
        (shop(), "/id", Some(json!("x".repeat(129)))),
        (shop(), "/id", Some(Value::Null)),
        (shop(), "/account", None),
        (shop(), "/account", Some(json!("shop.1"))),
        (shop(), "/batch", Some(json!("b/7"))),
        (shop(), "/deadline", Some(json!("2026-11-24T22:00:00"))),
        (shop(), "/deadline", Some(json!("2026-02-30T22:00:00Z"))),
        (shop(), "/deadline", Some(json!("2026-11-24 22:00:00Z"))),
        (shop(), "/deadline", Some(json!(1_795_000_000))),
        (shop(), "/priority", Some(json!("urgent"))),
        (shop(), "/priority", Some(json!({"high": null}))),
        (shop(), "/Priority", Some(json!("high"))),
        (shop(), "/signature", Some(json!("…"))),
        (shop(), "/takedown", None),
        (shop(), "/takedown", Some(Value::Null)),
        (shop(), "/takedown", Some(json!(["open_platform", "c", "s", null, null]))),
        (shop(), "/takedown/gateway", None),
        (shop(), "/takedown/gateway", Some(json!("taobao"))),
        (shop(), "/takedown/gateway", Some(json!("mapi"))),
        (shop(), "/takedown/shop_id", None),
        (shop(), "/takedown/shop_id", Some(json!(2_015_052_000_077_i64))),
        (shop(), "/takedown/shop_id", Some(json!(" \u{3000}\u{85}"))),
        (shop(), "/takedown/shop_id", Some(json!("a\u{7f}"))),
        (shop(), "/takedown/shop_id", long(33)),
        (shop(), "/takedown/commodity_id", long(33)),
        (shop(), "/takedown/merchant", Some(json!("tea house"))),
        (shop(), "/takedown/app_auth_token", Some(json!("t"))),
        (shop(), "/takedown/goods_id", Some(json!("1"))),
        (goods(), "/takedown/sns_user_id", long(51)),
        (goods(), "/takedown/key", Some(Value::Null)),
        (goods(), "/takedown/key", long(41)),
        (goods(), "/takedown/close_reason", Some(json!(""))),
        (goods(), "/takedown/close_reason", Some(json!("line\nbreak"))),
        (goods(), "/takedown/close_reason", long(251)),
        (goods(), "/takedown/goods_id", long(26)),
        (goods(), "/takedown/shop_id", Some(json!("s"))),
    ];
    for (message, pointer, value) in table {
        let bad = with(message, pointer, value);
        assert!(!validator.is_valid(&bad), "the schema accepts {bad}");
        assert!(Takedown::decode(bad.to_string().as_bytes()).is_err(), "the decoder accepts {bad}");
    }
    for bad in [json!(7), Value::Null, json!([1, "t", "shops", null, null, null, {}])] {
        assert!(!validator.is_valid(&bad) && Takedown::decode(bad.to_string().as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn the_longest_values_pass_both() {
    let (schema, validator) = takedown_schema();
    let mut message = schema["examples"][2].clone();
    for (pointer, length) in [("/sns_user_id", 50), ("/key", 40), ("/close_reason", 250), ("/goods_id", 25)] {
        message = with(message, &format!("/takedown{pointer}"), Some(json!("𠮷".repeat(length))));
    }
    assert_eq!(faults(&validator, &message), [""; 0]);
    Takedown::decode(message.to_string().as_bytes()).unwrap();
}

fn outcome(gateway: Option<Gateway>, reason: Reason) -> FinalOutcome {
    let some = |text: &str| Some(text.to_owned());
    FinalOutcome {
        id: "t-1".into(),
        batch: (reason == Reason::BatchCancelled).then(|| "b-1".into()),
        account: "desk".into(),
        gateway,
        reason,
        gateway_code: some("isv.app-call-limited"),
        gateway_message: some("调用频率超限"),
        attempts: u32::MAX,
        deferrals: 0,
        first_seen: UNIX_EPOCH + Duration::new(1_795_000_000, 1),
        finished_at: UNIX_EPOCH + Duration::from_secs(1_795_000_001),
        verified: reason.status() == Status::Success,
        item: match gateway {
            Some(Gateway::Mapi) => ItemIds { goods_id: some("g"), ..ItemIds::default() },
            Some(Gateway::OpenPlatform) => ItemIds { goods_id: None, commodity_id: some("c"), shop_id: some("s") },
            None => ItemIds::default(),
        },
        worker: "worker-1".into(),
        replays: 1,
    }
}

#[test]
fn every_outcome_the_program_writes_fits_the_schema() {
    let (_, validator) = outcome_schema();
    for reason in Reason::ALL {
        for gateway in [Some(Gateway::Mapi), Some(Gateway::OpenPlatform)] {
            let written: Value = serde_json::from_slice(&outcome(gateway, *reason).encode()).unwrap();
            assert_eq!(faults(&validator, &written), [""; 0], "{reason} {gateway:?}");
        }
    }
    for reason in [Reason::InvalidMessage, Reason::CrashLoop, Reason::UnknownAccount] {
        let mut unread = outcome(None, reason);
        (unread.gateway_code, unread.first_seen) = (None, SystemTime::now());
        let written: Value = serde_json::from_slice(&unread.encode()).unwrap();
        assert_eq!(faults(&validator, &written), [""; 0], "{reason}");
    }
    let without_goods = FinalOutcome { item: ItemIds::default(), ..outcome(Some(Gateway::Mapi), Reason::TakenDown) };
    let written: Value = serde_json::from_slice(&without_goods.encode()).unwrap();
    assert_eq!(faults(&validator, &written), [""; 0]);
}

#[test]
fn the_schema_pairs_every_reason_with_its_status_alone() {
    let (_, validator) = outcome_schema();
    for reason in Reason::ALL {
        for status in Status::ALL {
            let written: Value = serde_json::from_slice(&outcome(Some(Gateway::Mapi), *reason).encode()).unwrap();
            let claimed = with(written, "/status", Some(json!(status.as_str())));
            let is_right = *status == reason.status();
            assert_eq!(validator.is_valid(&claimed), is_right, "{reason} as {status}");
            assert_eq!(FinalOutcome::decode(claimed.to_string().as_bytes()).is_ok(), is_right, "{reason} as {status}");
        }
    }
}

#[test]
fn every_example_of_an_outcome_decodes_to_itself() {
    let (schema, validator) = outcome_schema();
    for example in schema["examples"].as_array().unwrap() {
        assert_eq!(faults(&validator, example), [""; 0], "{example}");
        let outcome = FinalOutcome::decode(example.to_string().as_bytes()).unwrap();
        assert_eq!(&serde_json::from_slice::<Value>(&outcome.encode()).unwrap(), example);
    }
}

#[test]
fn a_bad_outcome_is_refused_by_schema_and_decoder() {
    let (schema, validator) = outcome_schema();
    let good = || schema["examples"][0].clone();
    let table = [
        ("/reason", Some(json!("gone"))),
        ("/status", Some(json!("failed"))),
        ("/attempts", Some(json!(-1))),
        ("/attempts", Some(json!(4_294_967_296_i64))),
        ("/took_ms", Some(json!("160"))),
        ("/first_seen", Some(json!("yesterday"))),
        ("/gateway", Some(json!("taobao"))),
        ("/item/title", Some(json!("x"))),
        ("/item", None),
        ("/verified", None),
        ("/worker", Some(Value::Null)),
        ("/extra", Some(json!(1))),
    ];
    for (pointer, value) in table {
        let bad = with(good(), pointer, value);
        assert!(!validator.is_valid(&bad), "the schema accepts {bad}");
        assert!(FinalOutcome::decode(bad.to_string().as_bytes()).is_err(), "the decoder accepts {bad}");
    }
}

fn text(max: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::char::any(), 1..=max)
        .prop_map(|chars| chars.into_iter().filter(|c| !c.is_control()).collect::<String>())
        .prop_filter("not blank", |text| !text.trim().is_empty())
}

fn item() -> impl Strategy<Value = Item> {
    let mapi = (text(50), text(40), prop::option::of(text(250)), prop::option::of(text(25))).prop_map(
        |(sns_user_id, key, close_reason, goods_id)| {
            Item::Mapi(MapiItem { sns_user_id, key: Secret::new(key), close_reason, goods_id })
        },
    );
    let party = prop_oneof![
        Just((None, None)),
        "[A-Za-z0-9._-]{1,64}".prop_map(|name| (Some(MerchantId::new(name).unwrap()), None)),
        text(128).prop_map(|token| (None, Some(Secret::new(token)))),
    ];
    let shop = (text(32), text(32), party).prop_map(|(commodity_id, shop_id, (merchant, app_auth_token))| {
        Item::OpenPlatform(OpenPlatformItem { commodity_id, shop_id, merchant, app_auth_token })
    });
    prop_oneof![mapi, shop]
}

fn takedown() -> impl Strategy<Value = Takedown> {
    let deadline = (0..253_402_207_200_u64, 0..1_000_000_000_u32).prop_map(|(s, n)| UNIX_EPOCH + Duration::new(s, n));
    (
        "[A-Za-z0-9._:-]{1,128}",
        "[A-Za-z0-9_-]{1,64}",
        prop::option::of("[A-Za-z0-9._:-]{1,128}"),
        prop::option::of(deadline),
        prop_oneof![Just(Priority::Normal), Just(Priority::High)],
        item(),
    )
        .prop_map(|(id, account, batch, deadline, priority, item)| Takedown {
            id: RequestId::new(id).unwrap(),
            account: AccountId::new(account).unwrap(),
            batch: batch.map(|batch| BatchId::new(batch).unwrap()),
            deadline,
            priority,
            item,
        })
}

/// A value for a member: right, nearly right, or wrong.
fn odd() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        Just(Some(json!(1))),
        Just(Some(json!(1.0))),
        Just(Some(json!("normal"))),
        Just(Some(json!("mapi"))),
        Just(Some(json!("open_platform"))),
        Just(Some(json!("9999-12-31T23:59:59Z"))),
        Just(Some(json!({"high": null}))),
        Just(Some(json!([]))),
        "[\\t \u{a0}\u{2028}\u{feff}x字]{0,3}".prop_map(|text| Some(json!(text))),
        "[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?"
            .prop_map(|text| Some(json!(text))),
    ]
}

const MEMBERS: &[&str] = &[
    "/version",
    "/id",
    "/account",
    "/batch",
    "/deadline",
    "/priority",
    "/takedown/gateway",
    "/takedown/sns_user_id",
    "/takedown/key",
    "/takedown/close_reason",
    "/takedown/goods_id",
    "/takedown/commodity_id",
    "/takedown/shop_id",
    "/takedown/merchant",
    "/takedown/app_auth_token",
];

proptest! {
    #[test]
    fn whatever_is_encoded_fits_the_schema_and_decodes_to_itself(takedown in takedown()) {
        let (_, validator) = takedown_schema();
        let written = takedown.encode();
        prop_assert_eq!(faults(&validator, &serde_json::from_slice(&written).unwrap()), [""; 0]);
        prop_assert_eq!(Takedown::decode(&written).unwrap(), takedown);
    }

    #[test]
    fn schema_and_decoder_agree_on_odd_messages(
        example in 0_usize..3,
        changes in prop::collection::vec((prop::sample::select(MEMBERS), odd()), 1..4),
    ) {
        let (schema, validator) = takedown_schema();
        let mut message = schema["examples"][example].clone();
        for (pointer, value) in changes {
            message = with(message, pointer, value);
        }
        let decoded = Takedown::decode(message.to_string().as_bytes());
        prop_assert_eq!(validator.is_valid(&message), decoded.is_ok(), "{}: {:?}", message, decoded);
    }
}
