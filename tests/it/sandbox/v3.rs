//! Protocol v3 over real sockets: every check, the vectors, the faults, and that no request counts twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::HeaderMap;
use serde_json::Value;
use takedown::sandbox::{ItemState, SandboxClock, SandboxSettings};
use takedown::signing::{DsaFormat, SignType};

use super::{COMMODITY, Caller, PLUG_IN, SHOP, fixture, settings, signer, verifier};

const PATH: &str = "/v3/alipay/open/servicemarket/commodity/shop/offline";

/// A request in its parts, put together and signed when it is sent.
#[derive(Clone)]
struct Call {
    scheme: String,
    auth: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    target: String,
    body: String,
}

/// An answer with its headers.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Call {
    fn new() -> Self {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let pair = |name: &str, value: String| (name.to_owned(), value);
        Self {
            scheme: "ALIPAY-SHA256withRSA".into(),
            auth: vec![
                pair("app_id", "2014072300007148".into()),
                pair("nonce", format!("{:032x}", rand::random::<u128>())),
                pair("timestamp", millis.to_string()),
            ],
            headers: vec![("content-type", "application/json".into()), ("alipay-request-id", "r1".into())],
            target: PATH.into(),
            body: format!("{{\"commodity_id\":\"{COMMODITY}\",\"shop_id\":\"{SHOP}\"}}"),
        }
    }

    fn auth(mut self, name: &str, value: Option<&str>) -> Self {
        self.auth.retain(|(known, _)| known != name);
        self.auth.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }

    fn header(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    fn authorization(&self) -> String {
        let auth: Vec<_> = self.auth.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let auth = auth.join(",");
        let token = self.headers.iter().find(|(name, _)| *name == "alipay-app-auth-token");
        let token = token.map(|(_, token)| format!("{token}\n")).unwrap_or_default();
        let text = format!("{auth}\nPOST\n{}\n{}\n{token}", self.target, self.body);
        let sign = signer("app_rsa2048", SignType::Rsa2, DsaFormat::Der).sign(text.as_bytes()).unwrap();
        format!("{} {auth},sign={sign}", self.scheme)
    }

    fn request(&self, caller: &Caller) -> reqwest::RequestBuilder {
        let url = format!("http://{}{}", caller.sandbox.address(), self.target);
        let request = caller.http.post(url).header("authorization", self.authorization()).body(self.body.clone());
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }

    async fn send(&self, caller: &Caller) -> Answer {
        read(self.request(caller)).await
    }
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned() }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        body["code"].as_str().unwrap_or("none").to_owned()
    }

    fn is_signed(&self) -> bool {
        let Some(sign) = self.header("alipay-signature") else { return false };
        let (timestamp, nonce) = (self.header("alipay-timestamp").unwrap(), self.header("alipay-nonce").unwrap());
        let text = format!("{timestamp}\n{nonce}\n{}\n", self.body);
        verifier("gateway_rsa2048", SignType::Rsa2, DsaFormat::Der).is_valid(text.as_bytes(), sign)
    }
}

#[tokio::test]
async fn an_authentic_request_takes_the_item_down_and_its_answer_is_signed() {
    let caller = Caller::start(settings("")).await;
    let answer = Call::new().send(&caller).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    assert!(answer.is_signed(), "{answer:?}");
    assert_eq!(caller.sandbox.item(PLUG_IN), ItemState::OffSale);
    for (state, code) in [
        (ItemState::OffSale, "SHOP_STATUS_NOT_SUPPORT"),
        (ItemState::Missing, "COMMODITY_SHOP_NOT_EXIST"),
        (ItemState::Forbidden, "NO_PERMISSION_OFFLINE_SHOP"),
    ] {
        caller.sandbox.set_item(PLUG_IN, state);
        let answer = Call::new().send(&caller).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{answer:?}");
        assert!(answer.is_signed(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_is_refused_for_what_is_wrong_with_it() {
    let caller = Caller::start(settings("")).await;
    let call = Call::new;
    let old = (SystemTime::now() - Duration::from_secs(601)).duration_since(UNIX_EPOCH).unwrap().as_millis();
    let old = old.to_string();
    let numbers = "0".repeat(32);
    let table = [
        (Call { scheme: "ALIPAY-SHA1withRSA".into(), ..call() }, 401, "invalid-signature-type"),
        (Call { scheme: "Bearer".into(), ..call() }, 401, "invalid-signature-type"),
        (call().auth("app_id", None), 400, "missing-app-id"),
        (call().auth("app_id", Some("2014072300007149")), 400, "invalid-app-id"),
        (call().auth("timestamp", None), 400, "missing-timestamp"),
        (call().auth("timestamp", Some(&old)), 400, "invalid-timestamp"),
        (call().auth("timestamp", Some(&old[..10])), 400, "invalid-timestamp"),
        (call().auth("timestamp", Some("+170000000012")), 400, "invalid-timestamp"),
        (call().auth("nonce", None), 400, "invalid-signature"),
        (call().auth("app_cert_sn", Some(&numbers)), 400, "missing-alipay-root-cert-sn"),
        (call().header("alipay-root-cert-sn", Some(&numbers)), 400, "missing-app-cert-sn"),
        (call().header("content-type", Some("text/plain")), 400, "invalid-content-type"),
        (call().header("alipay-encrypt-type", Some("AES")), 400, "decryption-error-not-valid-encrypt-key"),
        (call().header("alipay-request-id", None), 400, "invalid-request-data"),
        (call().header("alipay-app-auth-token", Some("stolen")), 401, "invalid-app-auth-token"),
        (call().body(""), 400, "PARAMS_ERROR"),
        (call().body("{"), 400, "illegal-json"),
        (call().body("[\"c\",\"s\"]"), 400, "PARAMS_ERROR"),
        (call().body("{\"commodity_id\":\"c\"}"), 400, "PARAMS_ERROR"),
    ];
    for (call, status, code) in table {
        let answer = call.send(&caller).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
        assert!(answer.header("alipay-signature").is_none(), "{answer:?}");
    }
    assert!(caller.sandbox.seen().iter().all(|seen| !seen.took_effect));
    let good = call().auth("app_cert_sn", Some(&numbers)).header("alipay-root-cert-sn", Some(&numbers));
    let good = good.header("alipay-app-auth-token", Some("t0ken")).auth("expired_seconds", Some("120"));
    assert_eq!(good.send(&caller).await.status, 200);
}

#[tokio::test]
async fn what_is_sent_is_what_must_be_signed() {
    let caller = Caller::start(settings("")).await;
    let altered = |change: fn(&mut Call)| {
        let genuine = Call::new();
        let authorization = genuine.authorization();
        let mut other = genuine;
        change(&mut other);
        let url = format!("http://{}{}", caller.sandbox.address(), other.target);
        let request = caller.http.post(url).header("authorization", authorization).body(other.body.clone());
        other.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    };
    let changes: [fn(&mut Call); 4] = [
        |call| call.body = call.body.replace("33400", "33401"),
        |call| call.body.push('\n'),
        |call| call.target.push_str("?a=1"),
        |call| call.headers.push(("alipay-app-auth-token", "t0ken".into())),
    ];
    for change in changes {
        assert_eq!(read(altered(change)).await.code(), "invalid-signature");
    }
    let twice = Call::new();
    let twice = twice.request(&caller).header("authorization", twice.authorization());
    assert_eq!(read(twice).await.code(), "invalid-signature");
    let url = format!("http://{}{PATH}", caller.sandbox.address());
    assert_eq!(read(caller.http.post(&url)).await.code(), "missing-signature");
    let get = caller.http.get(&url).header("authorization", Call::new().authorization());
    assert_eq!(read(get).await.code(), "invalid-http-method");
    assert!(caller.sandbox.items().is_empty());
    let mut with_query = Call::new();
    with_query.target.push_str("?a=1&b=%E5%81%87");
    assert_eq!(with_query.send(&caller).await.status, 200);
}

#[tokio::test]
async fn a_request_sent_again_is_refused() {
    let caller = Caller::start(settings("")).await;
    let call = Call::new();
    assert_eq!(call.send(&caller).await.status, 200);
    caller.sandbox.set_item(PLUG_IN, ItemState::OnSale);
    assert_eq!(call.send(&caller).await.code(), "invalid-signature");
    assert_eq!(caller.sandbox.item(PLUG_IN), ItemState::OnSale);
    assert_eq!(Call::new().send(&caller).await.status, 200);
}

#[tokio::test]
async fn every_vector_passes_as_far_as_its_body_goes() {
    let mut ran = 0;
    for case in fixture("openapi_v3.json")["requests"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let clock = SandboxClock::Fixed(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
        let mut settings = SandboxSettings { clock, ..settings("") };
        settings.apps[0].tokens.clear();
        let caller = Caller::start(settings).await;
        let url = format!("http://{}{}", caller.sandbox.address(), text(&case["path_and_query"]));
        let request = caller.http.post(url).body(text(&case["body"]));
        let headers = case["headers"].as_object().unwrap().iter();
        let request = headers.fold(request, |request, (name, value)| request.header(name, text(value)));
        let answer = read(request).await;
        let expected = if case["id"] == "empty-body" { "PARAMS_ERROR" } else { "none" };
        assert_eq!(answer.code(), expected, "{case}");
        ran += 1;
    }
    assert_eq!(ran, 5);
}

#[tokio::test]
async fn faults_are_put_into_the_words_of_the_protocol() {
    let table = [
        ("system_error:taken", 500, "SYSTEM_ERROR", true, ItemState::OffSale),
        ("system_error:not_taken", 500, "SYSTEM_ERROR", true, ItemState::OnSale),
        ("throttled", 429, "app-call-limited", false, ItemState::OnSale),
        ("unlisted_code", 400, "SANDBOX_UNLISTED", true, ItemState::OnSale),
        ("illegal_sign", 400, "invalid-signature", true, ItemState::OnSale),
        ("unsigned_success", 200, "none", false, ItemState::OffSale),
        ("bad_signature", 200, "none", false, ItemState::OffSale),
        ("gbk", 200, "none", true, ItemState::OffSale),
        ("latency:5ms", 200, "none", true, ItemState::OffSale),
    ];
    for (fault, status, code, is_signed, after) in table {
        let caller = Caller::start(settings(&format!("{{\"fault\":\"{fault}\"}}"))).await;
        let answer = Call::new().send(&caller).await;
        assert_eq!((answer.status, answer.code().as_str(), answer.is_signed()), (status, code, is_signed), "{fault}");
        assert_eq!(answer.header("retry-after").is_some(), fault == "throttled", "{fault}");
        assert_eq!(answer.header("alipay-signature").is_some(), is_signed || fault == "bad_signature", "{fault}");
        assert_eq!(caller.sandbox.item(PLUG_IN), after, "{fault}");
        let seen = caller.sandbox.seen().remove(0);
        assert_eq!((seen.item.as_str(), seen.fault.as_deref()), (PLUG_IN, Some(fault)));
    }
}

#[tokio::test]
async fn garbage_and_a_reset_meet_this_protocol_too() {
    let caller = Caller::start(settings("{\"fault\":\"garbage\"}\n{\"fault\":\"reset:taken\"}")).await;
    let answer = Call::new().send(&caller).await;
    assert!(answer.status == 200 && serde_json::from_str::<Value>(&answer.body).is_err(), "{answer:?}");
    caller.sandbox.set_item(PLUG_IN, ItemState::OnSale);
    let error = Call::new().request(&caller).send().await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    assert_eq!(caller.sandbox.item(PLUG_IN), ItemState::OffSale);
}

#[tokio::test]
async fn both_protocols_see_the_same_items() {
    let caller = Caller::start(settings("")).await;
    assert_eq!(caller.open_platform(super::open_platform_fields()).await.sub_code(), "10000");
    assert_eq!(Call::new().send(&caller).await.code(), "SHOP_STATUS_NOT_SUPPORT");
}
