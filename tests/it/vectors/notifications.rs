//! mapi notifications: the verdict on every vector, the bytes it is over, and what is refused before any verdict.

use std::collections::BTreeSet;

use takedown::domain::reply::Signature;
use takedown::gateway::http::Endpoint;
use takedown::gateway::mapi::notification::{
    MAX_NOTIFICATION_BYTES, Notification, NotificationError, read, verify_url,
};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{signer, verifier};
use super::{cases, hex, tell, text};

const ID: &str = "70fec0c2730b27528665af4517c27b95";

#[test]
fn every_notification_has_its_verdict_and_its_fields() {
    let mut ran = 0;
    for case in cases("notifications.json") {
        let id = text(&case["id"]);
        let sign_type: SignType = serde_json::from_value(case["sign_type"].clone()).unwrap();
        let charset = Charset::from_label(text(&case["charset"])).unwrap();
        let gateway = verifier(sign_type, text(&case["verify_key"]), DsaFormat::Der);
        let found = read(&gateway, charset, text(&case["post_body"]).as_bytes()).unwrap();
        assert_eq!(found.signature.as_str(), text(&case["expect"]["signature"]), "{id}");
        assert_eq!((found.notify_id.as_str(), found.notify_type.as_str()), (ID, "goods_status_sync"), "{id}");
        assert_eq!(found.notify_time, "2011-08-07 11:08:32", "{id}");
        assert_eq!(found.charset, charset, "{id}");
        let names: Vec<_> = found.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["notify_type", "notify_id", "notify_time", "goods_id", "subject", "memo"], "{id}");
        assert_eq!(found.fields[4].1, "iphone手机", "{id}");
        if let Some(signed) = case["signed_hex"].as_str() {
            assert!(gateway.is_valid(&hex(signed), text(&case["sign"])), "{id}");
        }
        ran += 1;
    }
    tell("notifications.json", ran, 12);
}

/// The body of the first vector.
fn genuine() -> String {
    text(&cases("notifications.json")[0]["post_body"]).to_owned()
}

fn judge(body: impl AsRef<[u8]>) -> Result<Notification, NotificationError> {
    read(&verifier(SignType::Md5, "mapi_md5_key", DsaFormat::Der), Charset::Utf8, body.as_ref())
}

fn refusal(body: impl AsRef<[u8]>) -> String {
    judge(body).unwrap_err().to_string()
}

/// Signs a canonical text as the gateway does and adds it to a body.
fn sealed(canonical: &[u8], body: &str) -> String {
    let sign = signer(SignType::Md5, "mapi_md5_key", DsaFormat::Der).sign(canonical).unwrap();
    format!("{body}&sign={sign}&sign_type=MD5")
}

#[test]
fn order_and_escaping_on_the_way_do_not_matter() {
    let genuine = genuine();
    let mut pairs: Vec<_> = genuine.split('&').collect();
    pairs.reverse();
    assert_eq!(judge(pairs.join("&")).unwrap().signature, Signature::Valid);
    for same in [genuine.replace('+', "%20"), genuine.replace("%E6", "%e6"), genuine.replace("&memo=", "&memo")] {
        assert_eq!(judge(&same).unwrap().signature, Signature::Valid, "{same}");
    }
}

#[test]
fn only_the_configured_algorithm_counts() {
    let genuine = genuine();
    let verdict = |body: String| judge(body).unwrap().signature;
    assert_eq!(verdict(genuine.replace("sign_type=MD5", "sign_type=RSA")), Signature::Invalid);
    assert_eq!(verdict(genuine.replace("sign_type=MD5", "sign_type=RSA2")), Signature::Invalid);
    assert_eq!(verdict(genuine.replace("&sign_type=MD5", "")), Signature::Valid);
    assert_eq!(verdict(genuine.replace("&sign_type=MD5", "&sign_type=")), Signature::Valid);
    assert_eq!(verdict(genuine.replace("&sign=", "&signature=")), Signature::Unsigned);
    let (before, _) = genuine.split_once("&sign=").unwrap();
    assert_eq!(verdict(format!("{before}&sign=&sign_type=MD5")), Signature::Unsigned);
    assert_eq!(verdict(format!("{before}&sign=%FF%FE")), Signature::Invalid);
}

#[test]
fn a_body_that_two_readers_could_read_differently_is_refused() {
    let genuine = genuine();
    for name in ["goods_id", "notify_id", "sign", "sign_type", "memo"] {
        let twice = refusal(format!("{genuine}&{name}=2"));
        assert_eq!(twice, format!("field `{name}` appears twice"));
    }
    for odd in ["&x%5B%5D=1", "&=1", "&", "&&x=1", "&%73ign=1", "&x+y=1", "&手=1"] {
        assert!(refusal(format!("{genuine}{odd}")).contains("has an odd name"), "{odd}");
    }
    assert!(refusal("").contains("field 1 has an odd name"));
    for bad in ["%", "%4", "%G1", "%1g", "%+1", "%%41", "a b", "a\r\n", "手", "\0", "\u{7f}"] {
        let expected =
            format!("byte {} is not percent-encoding", genuine.len() + 3 + usize::from(bad.starts_with('a')));
        assert!(refusal(format!("{genuine}&x={bad}")).starts_with(&expected), "{bad:?}");
    }
}

#[test]
fn the_charset_is_the_one_named_else_the_accounts() {
    let head = "notify_id=1&notify_time=t&notify_type=s&subject=";
    let found = |prefix: &str| {
        let canonical = [prefix.as_bytes(), head.as_bytes(), b"\xCF\xC2\xBC\xDC"].concat();
        judge(sealed(&canonical, &format!("{prefix}{head}%CF%C2%BC%DC")))
    };
    for named in ["_input_charset=GBK&", "charset=GBK&"] {
        let found = found(named).unwrap();
        assert_eq!((found.signature, found.charset), (Signature::Valid, Charset::Gbk), "{named}");
        assert_eq!(found.fields.last().unwrap().1, "下架", "{named}");
    }
    assert_eq!(
        found("").unwrap_err().to_string(),
        "field `subject` is not utf-8; give the charset the gateway sends to this URL"
    );
    for odd in ["&charset=big5", "&charset=gbk&_input_charset=utf-8", "&_input_charset=%FF"] {
        assert!(refusal(format!("{head}{odd}")).contains("names no charset of the protocol"), "{odd}");
    }
}

/// Text that the strict encoder would not write: it is verified as it came, and only shown by our tables.
#[test]
fn bytes_are_verified_as_they_came_whatever_tables_say_of_them() {
    let head = "charset=gbk&notify_id=1&notify_time=t&notify_type=s&x=";
    for (bytes, written) in [(&b"\x80"[..], "%80"), (b"\xA2\xE3", "%A2%E3"), (b"\x81\x30\x81\x30", "%810%810")] {
        let body = sealed(&[head.as_bytes(), bytes].concat(), &format!("{head}{written}"));
        assert_eq!(judge(&body).unwrap().signature, Signature::Valid, "{written}");
        assert_eq!(judge(body.replacen("notify_id=1", "notify_id=2", 1)).unwrap().signature, Signature::Invalid);
    }
}

#[test]
fn what_names_a_notification_has_to_be_there() {
    for name in ["notify_id", "notify_type", "notify_time"] {
        let expected = format!("field `{name}` is missing; is this a notification of mapi?");
        assert_eq!(refusal(genuine().replace(&format!("{name}="), &format!("{name}=&x_{name}="))), expected);
        assert_eq!(refusal(genuine().replace(&format!("{name}="), &format!("x_{name}="))), expected);
    }
}

#[test]
fn a_notification_beyond_the_cap_is_not_read() {
    let filled = |length: usize| format!("{}&x={}", genuine(), "x".repeat(length - genuine().len() - 3));
    assert_eq!(judge(filled(MAX_NOTIFICATION_BYTES)).unwrap().signature, Signature::Invalid);
    assert_eq!(
        judge(filled(MAX_NOTIFICATION_BYTES + 1)),
        Err(NotificationError::TooLarge { bytes: MAX_NOTIFICATION_BYTES + 1 })
    );
}

#[test]
fn debug_shows_no_field_and_no_sign() {
    let shown = format!("{:?}", judge(genuine()).unwrap());
    assert_eq!(shown, "Notification(6 fields, valid, ***)");
}

/// The flow of the module's example, over a delivery and its repeats.
#[test]
fn repeats_are_one_notification_by_their_id() {
    let (mut seen, mut acted) = (BTreeSet::new(), 0);
    for _ in 0..3 {
        let notification = judge(genuine()).unwrap();
        assert_eq!(notification.signature, Signature::Valid);
        acted += usize::from(seen.insert(notification.notify_id));
    }
    assert_eq!(acted, 1);
}

#[test]
fn the_gateway_is_asked_at_the_address_configured() {
    let gateway = Endpoint::new("https://mapi.alipay.com/gateway.do").unwrap();
    assert_eq!(
        verify_url(&gateway, "2088002464631181", "a/b+c&d=下").as_str(),
        "https://mapi.alipay.com/gateway.do?service=notify_verify&partner=2088002464631181&notify_id=a%2Fb%2Bc%26d%3D%E4%B8%8B"
    );
}
