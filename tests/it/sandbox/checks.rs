//! Every check of a request, one row each: what is wrong with it, and the code it earns.

use super::{Caller, form, mapi_fields, mapi_query, open_platform_fields, open_platform_form, settings, with};
use takedown::signing::charset::Charset;

#[tokio::test]
async fn a_mapi_request_is_refused_for_what_is_wrong_with_it() {
    let caller = Caller::start(settings("")).await;
    let long = "长".repeat(251);
    let table: [(&str, Option<&str>, &str); 19] = [
        ("partner", None, "ILLEGAL_PARTNER"),
        ("partner", Some("2088000000000000"), "ILLEGAL_PARTNER"),
        ("service", None, "ILLEGAL_SERVICE"),
        ("service", Some("sns.close.goods"), "ILLEGAL_SERVICE"),
        ("sign_type", None, "ILLEGAL_SIGN_TYPE"),
        ("sign_type", Some("rsa"), "ILLEGAL_SIGN_TYPE"),
        ("sign_type", Some("RSA2"), "ILLEGAL_SIGN_TYPE"),
        ("sign_type", Some("MD5"), "ILLEGAL_SECURITY_PROFILE"),
        ("_input_charset", Some("big5"), "ILLEGAL_CHARSET"),
        ("sns_user_id", None, "ILLEGAL_ARGUMENT"),
        ("sns_user_id", Some("somebody"), "NO_AUTHORIZE_ACCOUNT"),
        ("key", None, "ILLEGAL_ARGUMENT"),
        ("key", Some("other"), "ILLEGAL_USER_KEY"),
        ("key", Some("12345678901234567890123456789012345678901"), "ILLEGAL_ARGUMENT"),
        ("close_reason", Some(&long), "ILLEGAL_ARGUMENT"),
        ("close_reason", Some(""), "ILLEGAL_ARGUMENT"),
        ("close_reason", None, "T"),
        ("goods_id", Some("12345678901234567890123456"), "ILLEGAL_ARGUMENT"),
        ("goods_id", None, "T"),
    ];
    for (name, value, code) in table {
        let answer = caller.mapi(with(mapi_fields(), name, value)).await;
        assert_eq!((answer.status, answer.mapi_code()), (200, code), "{name}={value:?}");
        assert_eq!(caller.sandbox.seen().last().unwrap().answered, code);
    }
}

#[tokio::test]
async fn a_mapi_request_is_read_as_gbk_where_its_query_names_no_charset() {
    let caller = Caller::start(settings("")).await;
    let query = mapi_query(with(mapi_fields(), "_input_charset", Some("gbk")));
    let answer = caller.send(caller.post(&caller.sandbox.mapi_url(), query)).await.unwrap();
    assert_eq!((answer.mapi_code(), answer.content_type.as_str()), ("T", "text/xml;charset=gbk"));
    // The same in UTF-8 is not what was signed, as far as the gateway can read it.
    let query = mapi_query(with(mapi_fields(), "close_reason", Some("假")));
    let answer = caller.send(caller.post(&caller.sandbox.mapi_url(), query)).await.unwrap();
    assert_eq!(answer.mapi_code(), "ILLEGAL_SIGN");
}

#[tokio::test]
async fn a_parameter_sent_twice_is_refused_on_both_gateways() {
    let caller = Caller::start(settings("")).await;
    let url = caller.sandbox.mapi_url();
    let request = caller.http.get(format!("{url}?{}&goods_id=1", mapi_query(mapi_fields())));
    assert_eq!(caller.send(request).await.unwrap().mapi_code(), "ILLEGAL_ARGUMENT");
    let (query, body) = open_platform_form(open_platform_fields());
    let url = format!("{}?{query}", caller.sandbox.open_platform_url());
    let answer = caller.send(caller.post(&url, format!("{body}&version=1.0"))).await.unwrap();
    assert_eq!(answer.sub_code(), "isv.invalid-parameter");
}

#[tokio::test]
async fn a_body_that_is_no_form_is_not_read() {
    let caller = Caller::start(settings("")).await;
    let (query, body) = open_platform_form(open_platform_fields());
    let url = format!("{}?{query}", caller.sandbox.open_platform_url());
    let answer = caller.send(caller.http.post(&url).header("content-type", "application/json").body(body)).await;
    assert_eq!(answer.unwrap().sub_code(), "isv.invalid-signature");
}

#[tokio::test]
async fn an_open_platform_request_is_refused_for_what_is_wrong_with_it() {
    let caller = Caller::start(settings("")).await;
    let long = format!("{{\"commodity_id\":\"{}\",\"shop_id\":\"s\"}}", "1".repeat(33));
    let table: [(&str, Option<&str>, &str); 26] = [
        ("charset", None, "isv.invalid-charset"),
        ("charset", Some("big5"), "isv.invalid-charset"),
        ("app_id", None, "isv.missing-app-id"),
        ("app_id", Some("2014072300007149"), "isv.invalid-app-id"),
        ("method", None, "isv.missing-method"),
        ("method", Some("alipay.trade.close"), "isv.invalid-method"),
        ("sign_type", None, "isv.missing-signature-type"),
        ("sign_type", Some("rsa2"), "isv.invalid-signature-type"),
        ("sign_type", Some("RSA"), "isv.missing-signature-config"),
        ("format", Some("xml"), "isv.invalid-format"),
        ("version", None, "isv.missing-version"),
        ("version", Some("2.0"), "isv.invalid-parameter"),
        ("timestamp", None, "isv.missing-timestamp"),
        ("timestamp", Some("2026-11-25T10:00:00"), "isv.invalid-timestamp"),
        ("timestamp", Some("2026-11-25 10:00"), "isv.invalid-timestamp"),
        ("notify_url", Some(""), "isv.invalid-parameter"),
        ("app_auth_token", Some("stolen"), "aop.invalid-app-auth-token"),
        ("biz_content", None, "PARAMS_ERROR"),
        ("biz_content", Some("{"), "isv.illegal-json"),
        ("biz_content", Some("{\"commodity_id\":\"c\"}"), "PARAMS_ERROR"),
        ("biz_content", Some("{\"commodity_id\":1,\"shop_id\":\"s\"}"), "PARAMS_ERROR"),
        ("biz_content", Some("{\"commodity_id\":\"c\",\"commodity_id\":\"d\",\"shop_id\":\"s\"}"), "PARAMS_ERROR"),
        ("biz_content", Some("[\"c\",\"s\"]"), "PARAMS_ERROR"),
        ("biz_content", Some(&long), "PARAMS_ERROR"),
        ("app_auth_token", Some("t0ken"), "10000"),
        ("biz_content", Some("{ \"shop_id\":\"s\",\"memo\":\"假\",\"commodity_id\":\"c\"}"), "10000"),
    ];
    for (name, value, code) in table {
        let answer = caller.open_platform(with(open_platform_fields(), name, value)).await;
        assert_eq!((answer.status, answer.sub_code()), (200, code), "{name}={value:?}");
        // An answer is signed as soon as the gateway knows with whose key.
        let is_identified = !["isv.invalid-charset", "isv.missing-app-id", "isv.invalid-app-id"].contains(&code);
        assert_eq!(answer.has("\"sign\":"), is_identified, "{name}={value:?}");
        assert!(!is_identified || answer.is_signed_by_open_platform(), "{name}={value:?}");
    }
}

#[tokio::test]
async fn an_unsigned_request_is_refused_on_both_gateways() {
    let caller = Caller::start(settings("")).await;
    let query = form(&mapi_fields(), Charset::Utf8);
    let answer = caller.send(caller.http.get(format!("{}?{query}", caller.sandbox.mapi_url()))).await.unwrap();
    assert_eq!(answer.mapi_code(), "ILLEGAL_SIGN");
    let query = form(&with(open_platform_fields(), "biz_content", None), Charset::Utf8);
    let answer = caller.send(caller.http.get(format!("{}?{query}", caller.sandbox.open_platform_url()))).await.unwrap();
    assert_eq!(answer.sub_code(), "isv.missing-signature");
}

#[tokio::test]
async fn a_refused_request_uses_up_no_fault() {
    let caller = Caller::start(settings("{\"fault\":\"garbage\"}")).await;
    let refused = caller.mapi(with(mapi_fields(), "key", Some("other"))).await;
    assert_eq!(refused.mapi_code(), "ILLEGAL_USER_KEY");
    assert!(!caller.mapi(mapi_fields()).await.has("is_success>T"));
    let faults: Vec<_> = caller.sandbox.seen().into_iter().map(|seen| seen.fault).collect();
    assert_eq!(faults, [None, Some("garbage".into())]);
}
