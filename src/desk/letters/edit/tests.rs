use std::time::SystemTime;

use super::*;
use crate::domain::cause::chain;
use crate::domain::ids::AccountId;
use crate::domain::outcome::Reason;
use crate::domain::outcome::sample::sample;
use crate::queue::envelope::Envelope;

const MAPI: &str = r#"{"version":1,"id":"t-1","account":"desk","takedown":{"gateway":"mapi","sns_user_id":"u-1",
    "key":"2011041704C579B6A4F446E7AA4421BC4CD218D7","close_reason":"fake"}}"#;

fn letter(body: &str, message_id: Option<&str>) -> DeadLetter {
    let outcome = sample(Reason::InvalidMessage);
    let envelope =
        Envelope { message_id: message_id.map(Into::into), ..Envelope::fresh(AccountId::new("desk").unwrap()) };
    DeadLetter {
        id: "t-1".into(),
        account: "desk".into(),
        reason: outcome.reason,
        died_at: outcome.finished_at,
        outcome,
        body: body.as_bytes().to_vec(),
        envelope,
    }
}

fn settings() -> DeskSettings {
    let accounts = [("desk", Gateway::Mapi), ("desk-2", Gateway::Mapi), ("shops", Gateway::OpenPlatform)];
    let accounts = accounts.map(|(name, gateway)| (AccountId::new(name).unwrap(), gateway)).into();
    DeskSettings { accounts, by: "ada@desk".into(), ..DeskSettings::default() }
}

fn apply(letter: &DeadLetter, edit: &Edit) -> Result<(Takedown, Vec<String>), EditError> {
    edit.apply(letter, &settings(), SystemTime::UNIX_EPOCH).map(|(edited, takedown, fields)| {
        assert_eq!(Takedown::decode(&edited.body).unwrap(), takedown);
        assert_eq!(edited.entry.by, "ada@desk");
        (takedown, fields)
    })
}

fn set(fields: &[(&str, Option<&str>)]) -> Edit {
    Edit::Set(fields.iter().map(|(name, value)| ((*name).to_owned(), value.map(ToOwned::to_owned))).collect())
}

#[test]
fn fields_are_set_and_taken_out_by_name() {
    let edit = set(&[("close_reason", Some("counterfeit")), ("takedown.goods_id", Some("2012")), ("deadline", None)]);
    let body = MAPI.replace(r#""account""#, r#""deadline":"soon","account""#);
    let (takedown, fields) = apply(&letter(&body, Some("t-1")), &edit).unwrap();
    assert_eq!(fields, ["deadline", "takedown.close_reason", "takedown.goods_id"]);
    assert_eq!(takedown.item.label(), "2012");
}

#[test]
fn what_is_no_takedown_is_refused_with_its_field() {
    for (fields, told) in [
        (&[("close_reasons", Some("x"))][..], "field `close_reasons` is not known"),
        (&[("close_reason", Some(""))], "field `takedown.close_reason` is empty"),
        (&[("deadline", Some("tomorrow"))], "field `deadline` is \"tomorrow\""),
        (
            &[("account", Some("nobody"))],
            "field `account` is nobody, which is not configured; name one of: desk, desk-2, shops",
        ),
        (
            &[("account", Some("shops"))],
            "field `account` is shops, which is of open_platform, and `takedown.gateway` is mapi; name one of: desk, desk-2",
        ),
        (&[("id", Some("t-2"))], "field `id` is \"t-2\" and must stay \"t-1\""),
        (&[("sns_user_id", None)], "field `takedown.sns_user_id` is missing"),
    ] {
        let error = apply(&letter(MAPI, None), &set(fields)).unwrap_err();
        let text = chain(&error);
        assert_eq!(text.matches(told).count(), 1, "{text}");
    }
}

#[test]
fn a_masked_secret_stays_what_it_was() {
    let shown = MAPI.replace("2011041704C579B6A4F446E7AA4421BC4CD218D7", "***").replace("fake", "counterfeit");
    let (takedown, fields) = apply(&letter(MAPI, None), &Edit::Whole(shown.clone().into_bytes())).unwrap();
    assert_eq!(fields, ["takedown.close_reason"]);
    assert!(String::from_utf8(takedown.encode()).unwrap().contains("2011041704C579B6A4F446E7AA4421BC4CD218D7"));
    let nothing = letter("{}", None);
    let error = apply(&nothing, &Edit::Whole(shown.into_bytes())).unwrap_err();
    assert_eq!(error, EditError::Masked { field: "takedown.key".into() });
}

#[test]
fn a_message_that_is_no_object_is_replaced_as_a_whole_under_its_id() {
    let broken = letter("{\"version\":1,", Some("t-1"));
    assert_eq!(apply(&broken, &set(&[("batch", Some("b"))])).unwrap_err(), EditError::NotAnObject);
    let (takedown, fields) = apply(&broken, &Edit::Whole(MAPI.into())).unwrap();
    assert_eq!((takedown.id.as_str(), fields), ("t-1", vec!["message".to_owned()]));
    let other = MAPI.replace("t-1", "t-2");
    assert!(matches!(apply(&broken, &Edit::Whole(other.into_bytes())), Err(EditError::Id { .. })));
}

#[test]
fn nothing_changed_is_told() {
    let edit = set(&[("close_reason", Some("fake")), ("priority", Some("normal"))]);
    assert_eq!(apply(&letter(MAPI, None), &edit).unwrap_err(), EditError::Nothing);
}

#[test]
fn no_value_is_in_the_debug_text() {
    let edit = set(&[("key", Some("k3y"))]);
    assert!(!format!("{edit:?}").contains("k3y"));
}
