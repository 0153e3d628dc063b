//! What the gateways answer to authentic requests: codes by item state, signatures, charsets.

use takedown::sandbox::ItemState;
use takedown::signing::charset::Charset;

use super::{Caller, GOODS, PLUG_IN, mapi_fields, open_platform_fields, settings, with};

#[tokio::test]
async fn mapi_answers_by_the_state_of_the_goods() {
    let caller = Caller::start(settings("")).await;
    let success = caller.mapi(mapi_fields()).await;
    assert_eq!(success.mapi_code(), "T");
    assert!(success.is_signed_by_mapi(), "{success:?}");
    assert_eq!(success.text_between("<goods_id>", "</goods_id>"), GOODS);
    assert_eq!(caller.mapi(mapi_fields()).await.mapi_code(), "ILLEGAL_GOODS_STATUS");
    for (state, code) in [
        (ItemState::Missing, "GOODS_NOT_EXIST"),
        (ItemState::Forbidden, "ILLEGAL_ARGUMENT"),
        (ItemState::OffSale, "ILLEGAL_GOODS_STATUS"),
        (ItemState::OnSale, "T"),
    ] {
        caller.sandbox.set_item(GOODS, state);
        let answer = caller.mapi(mapi_fields()).await;
        assert_eq!(answer.mapi_code(), code, "{state:?}");
        assert_eq!(answer.has("<sign>"), code == "T", "{state:?}");
    }
}

#[tokio::test]
async fn the_open_platform_answers_by_the_state_of_the_plug_in() {
    let caller = Caller::start(settings("")).await;
    assert_eq!(caller.open_platform(open_platform_fields()).await.sub_code(), "10000");
    assert_eq!(caller.sandbox.item(PLUG_IN), ItemState::OffSale);
    assert_eq!(caller.open_platform(open_platform_fields()).await.sub_code(), "SHOP_STATUS_NOT_SUPPORT");
    for (state, code) in [
        (ItemState::Missing, "COMMODITY_SHOP_NOT_EXIST"),
        (ItemState::Forbidden, "NO_PERMISSION_OFFLINE_SHOP"),
        (ItemState::OffSale, "SHOP_STATUS_NOT_SUPPORT"),
        (ItemState::OnSale, "10000"),
    ] {
        caller.sandbox.set_item(PLUG_IN, state);
        let answer = caller.open_platform(open_platform_fields()).await;
        assert_eq!(answer.sub_code(), code, "{state:?}");
        assert!(answer.is_signed_by_open_platform(), "{state:?}");
    }
}

#[tokio::test]
async fn goods_without_an_id_are_told_apart_by_administrator_and_reason() {
    let caller = Caller::start(settings("")).await;
    let nameless = |reason| with(with(mapi_fields(), "goods_id", None), "close_reason", Some(reason));
    let first = caller.mapi(nameless("one")).await;
    assert!(first.mapi_code() == "T" && first.is_signed_by_mapi(), "{first:?}");
    assert_eq!(first.text_between("<goods_id>", "</goods_id>"), caller.sandbox.seen()[0].item);
    assert_eq!(caller.mapi(nameless("two")).await.mapi_code(), "T");
    assert_eq!(caller.mapi(nameless("one")).await.mapi_code(), "ILLEGAL_GOODS_STATUS");
}

#[tokio::test]
async fn both_gateways_answer_gbk_requests_in_gbk() {
    let caller = Caller::start(settings("")).await;
    let answer = caller.mapi(with(mapi_fields(), "_input_charset", Some("gbk"))).await;
    assert_eq!(answer.content_type, "text/xml;charset=gbk");
    assert!(answer.is_signed_by_mapi(), "{answer:?}");
    let text = Charset::Gbk.decode(&answer.body).unwrap();
    assert!(
        text.starts_with("<?xml version=\"1.0\" encoding=\"GBK\"?>") && text.contains("假冒货，严厉打击"),
        "{text}"
    );

    caller.sandbox.set_item(PLUG_IN, ItemState::Missing);
    let answer = caller.open_platform(with(open_platform_fields(), "charset", Some("gbk"))).await;
    assert_eq!(answer.content_type, "text/html;charset=gbk");
    assert!(answer.is_signed_by_open_platform(), "{answer:?}");
    let text = Charset::Gbk.decode(&answer.body).unwrap();
    assert!(text.contains("店铺插件不存在"), "{text}");
}

#[tokio::test]
async fn mapi_failures_declare_the_charset_of_the_settings() {
    let mut settings = settings("");
    settings.mapi_failure_charset = Charset::Gb2312;
    let caller = Caller::start(settings).await;
    caller.sandbox.set_item(GOODS, ItemState::Missing);
    let answer = caller.mapi(mapi_fields()).await;
    assert!(answer.has("<?xml version=\"1.0\" encoding=\"GB2312\"?>"), "{answer:?}");
}

#[tokio::test]
async fn odd_goods_ids_survive_the_answer_and_its_signature() {
    let caller = Caller::start(settings("{\"fault\":\"gbk\"}")).await;
    let answer = caller.mapi(with(mapi_fields(), "goods_id", Some("𠮷<&>"))).await;
    assert_eq!(answer.text_between("<goods_id>", "</goods_id>"), "𠮷&lt;&amp;&gt;");
    let plain = "goods_id=𠮷<&>".as_bytes();
    let verifier = super::verifier("gateway_rsa1024", takedown::signing::SignType::Rsa, Default::default());
    assert!(verifier.is_valid(plain, answer.text_between("<sign>", "</sign>")));
}

#[tokio::test]
async fn of_many_calls_at_once_one_takes_the_item_down() {
    let caller = Caller::start(settings("")).await;
    let calls = (0..40).map(|_| caller.mapi(mapi_fields()));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.mapi_code() == "T").count(), 1);
    assert_eq!(caller.sandbox.seen().iter().filter(|seen| seen.took_effect).count(), 1);
    assert_eq!(caller.sandbox.seen().len(), 40);
}
