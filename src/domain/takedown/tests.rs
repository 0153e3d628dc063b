use super::*;

const MAPI: &str = r#"{"version":1,"id":"t-1","account":"desk","batch":"b-7","deadline":"2026-11-24T22:00:00+08:00","priority":"high","takedown":{"gateway":"mapi","sns_user_id":"douban_admin","key":"k3y","close_reason":"假冒货","goods_id":"2011063000011840"}}"#;
const SHOP: &str = r#"{"version":1,"id":"t-2","account":"shops","takedown":{"gateway":"open_platform","commodity_id":"c","shop_id":"s","merchant":"m1"}}"#;

fn fault(body: &str) -> String {
    Takedown::decode(body.as_bytes()).unwrap_err().to_string()
}

#[test]
fn both_gateways_decode_and_encode_to_the_same_value() {
    for body in [MAPI, SHOP] {
        let takedown = Takedown::decode(body.as_bytes()).unwrap();
        assert_eq!(Takedown::decode(&takedown.encode()).unwrap(), takedown);
    }
}

#[test]
fn debug_hides_the_user_key() {
    let shown = format!("{:?}", Takedown::decode(MAPI.as_bytes()).unwrap());
    assert!(!shown.contains("k3y"), "{shown}");
}

#[test]
fn every_fault_names_its_field() {
    let cases = [
        (SHOP.replace(r#""shop_id":"s","#, ""), "field `takedown.shop_id` is missing"),
        (SHOP.replace(r#""shop_id":"s""#, r#""shop_id":7"#), "field `takedown.shop_id` must be a string"),
        (SHOP.replace(r#""shop_id":"s""#, r#""shop_id":"  ""#), "field `takedown.shop_id` is empty"),
        (
            SHOP.replace(r#""shop_id""#, r#""shopId""#),
            "field `takedown.shopId` is not known; remove it (names are case-sensitive)",
        ),
        (SHOP.replace(r#""version":1"#, r#""version":2"#), "field `version` is 2, this worker reads version 1"),
        (
            SHOP.replace(r#""id":"t-2""#, r#""id":"t 2""#),
            "field `id` contains ' ', only A-Z a-z 0-9 . _ : - are allowed",
        ),
        (
            SHOP.replace("open_platform", "taobao"),
            "field `takedown.gateway` is \"taobao\", expected mapi or open_platform",
        ),
        (
            SHOP.replace(r#""takedown":{"#, r#""priority":"urgent","takedown":{"#),
            "field `priority` must be `normal` or `high`",
        ),
        (SHOP.replace(r#""takedown":{"#, r#""id":"x","takedown":{"#), "field `id` appears twice"),
        (
            MAPI.replace("+08:00", ""),
            "field `deadline` is \"2026-11-24T22:00:00\", expected RFC 3339 with a zone such as 2026-11-24T22:00:00+08:00",
        ),
        (
            SHOP.replace(r#""commodity_id":"c""#, &format!(r#""commodity_id":"{}""#, "9".repeat(33))),
            "field `takedown.commodity_id` has 33 characters, at most 32 are allowed",
        ),
        (
            SHOP.replace(r#""merchant":"m1""#, r#""merchant":"m1","app_auth_token":"t""#),
            "field `takedown.merchant` and `takedown.app_auth_token` exclude each other; keep one",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(fault(&body), expected, "{body}");
    }
}

#[test]
fn a_wrongly_typed_secret_is_not_quoted() {
    let body = MAPI.replace(r#""key":"k3y""#, r#""key":20110417"#);
    assert!(!fault(&body).contains("20110417"), "{}", fault(&body));
}

#[test]
fn a_fault_quotes_no_more_than_a_line_can_bear() {
    let long = "长".repeat(9000);
    for body in [
        MAPI.replace("2026-11-24T22:00:00+08:00", &long),
        SHOP.replace("open_platform", &long),
        SHOP.replace("shop_id", &long),
        SHOP.replace("\"version\"", &format!("\"{long}\"")),
    ] {
        let text = fault(&body);
        assert!(text.contains("(9000 characters, not shown)") && text.chars().count() < 200, "{text}");
    }
}

#[test]
fn what_is_not_json_is_told_with_its_place() {
    assert_eq!(fault("{\"version\":1,\n oops"), "message is not JSON: key must be a string at line 2 column 2");
    assert!(fault("[]").contains("must be"), "{}", fault("[]"));
    assert_eq!(
        fault(&format!("{SHOP} x")),
        format!("message is not JSON: trailing characters at line 1 column {}", SHOP.len() + 2)
    );
}

#[test]
fn size_and_encoding_are_checked_first() {
    assert_eq!(
        Takedown::decode(&vec![b' '; MAX_MESSAGE_BYTES + 1]),
        Err(MessageError::TooLarge { bytes: MAX_MESSAGE_BYTES + 1 })
    );
    assert_eq!(Takedown::decode(b"{\xff"), Err(MessageError::NotUtf8 { offset: 1 }));
}

#[test]
fn an_array_is_no_object_however_well_it_fits() {
    assert_eq!(fault(r#"[1,"t","shops",null,null,null,{}]"#), "field `message` must be an object");
    assert_eq!(fault("7"), "field `message` must be an object");
    for item in [r#"["open_platform","c","s",null,null]"#, "7", "null"] {
        let body = format!(r#"{{"version":1,"id":"t","account":"shops","takedown":{item}}}"#);
        assert_eq!(fault(&body), "field `takedown` must be an object", "{item}");
    }
}

#[test]
fn a_priority_is_a_word_and_a_version_a_number() {
    let with = |priority: &str| SHOP.replace(r#""takedown":{"#, &format!(r#""priority":{priority},"takedown":{{"#));
    assert_eq!(fault(&with(r#"{"high":null}"#)), "field `priority` must be a string");
    assert_eq!(Takedown::decode(with("null").as_bytes()).unwrap().priority, Priority::Normal);
    assert!(Takedown::decode(SHOP.replace(":1,", ":1.0,").as_bytes()).is_ok());
    assert_eq!(fault(&SHOP.replace(":1,", ":\"1\",")), "field `version` must be a JSON number");
}

#[test]
fn a_deadline_is_rfc_3339_and_nothing_wider() {
    let with = |deadline: &str| Takedown::decode(MAPI.replace("2026-11-24T22:00:00+08:00", deadline).as_bytes());
    for good in ["2026-11-24t14:00:00z", "2026-11-24T14:00:00.123456789-00:00", "2026-11-24T22:00:00.5+08:00"] {
        let takedown = with(good).unwrap();
        assert_eq!(Takedown::decode(&takedown.encode()).unwrap(), takedown, "{good}");
    }
    for bad in [
        "2026-11-24",
        "2026-11-24 14:00:00Z",
        "20261124T140000Z",
        "2026-11-24T14:00Z",
        "2026-11-24T14:00:00+08",
        "2026-11-24T14:00:00+08:00[Asia/Shanghai]",
        "2026-11-24T14:00:00.Z",
        "2026-11-24T14:00:00.0123456789Z",
        "2026-02-30T14:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-12-31T23:59:60Z",
        "2026-11-24T14:00:00+24:00",
        "9999-02-30T14:00:00Z",
        "２026-11-24T14:00:00Z",
    ] {
        assert!(with(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_deadline_beyond_the_calendar_is_its_end() {
    for far in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:00", "0000-01-01T00:00:00+08:00"] {
        let takedown = Takedown::decode(MAPI.replace("2026-11-24T22:00:00+08:00", far).as_bytes()).unwrap();
        assert_eq!(Takedown::decode(&takedown.encode()).unwrap(), takedown, "{far}");
    }
}
