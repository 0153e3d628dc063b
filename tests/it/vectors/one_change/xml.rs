//! The same of XML answers, whose signed text is joined by `&` with nothing escaped.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use takedown::domain::reply::{Answer, Claim, ItemMatch, Signature};
use takedown::domain::takedown::Gateway;
use takedown::gateway::mapi::{self, MapiAccount, Method};
use takedown::signing::canonical::{SignTypeField, canonical};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};

use super::super::accounts::{self, mapi_item, signer, verifier};
use super::super::openapi_v3::bare;
use super::{TRAIL, is_success};

/// Signed leaves of an XML answer. The gateway always names the goods.
fn leaves() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = select(vec!["close_reason", "memo", "a", "z", "goods", "goods_id2", "subject"]);
    let value = prop_oneof![
        TRAIL,
        select(vec!["x&goods_id=666", "x&notify_id=7", "666&z=1", "&", "a=b", "]]>", "<goods_id>666</goods_id>"])
            .prop_map(str::to_owned)
    ];
    proptest::collection::btree_map(name.prop_map(str::to_owned), value, 0..4).prop_map(|others| {
        let goods = ("goods_id".to_owned(), "2011063000011840".to_owned());
        others.into_iter().chain([goods]).collect()
    })
}

fn xml_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn xml(leaves: &[(String, String)], sign: &str, declared: &str) -> String {
    let inside: String =
        leaves.iter().map(|(name, value)| format!("<{name}>{}</{name}>", xml_escaped(value))).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"{declared}\"?><alipay><is_success>T</is_success><response><goods>{inside}</goods>\
         </response><sign>{sign}</sign></alipay>"
    )
}

static MAPI: LazyLock<MapiAccount> = LazyLock::new(|| {
    let secret = signer(SignType::Md5, "mapi_md5_key", DsaFormat::Der);
    accounts::mapi(Charset::Utf8, Method::Get, secret, verifier(SignType::Md5, "mapi_md5_key", DsaFormat::Der))
});

fn judge_xml(body: &[u8], goods_id: &str) -> Answer {
    mapi::response::parse(&MAPI, &mapi_item(Some(goods_id)), &bare(200, body))
}

fn sign_leaves(leaves: &[(String, String)], charset: Charset) -> String {
    let bytes = canonical(leaves, SignTypeField::Excluded, charset).unwrap();
    MAPI.signer.sign(&bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_genuine_xml_answer_is_read_as_it_was_signed(
        leaves in leaves(),
        charset in select(vec![Charset::Utf8, Charset::Gbk]),
    ) {
        let sign = sign_leaves(&leaves, charset);
        let body = charset.encode(&xml(&leaves, &sign, charset.as_str())).unwrap();
        let answer = judge_xml(&body, "2011063000011840");
        // A value that could be cut into other goods makes the whole ambiguous, and no other value does.
        let decides = ["&goods_id=", "&notify_id="];
        let is_plain = !leaves.iter().any(|(_, value)| decides.iter().any(|field| value.contains(field)));
        prop_assert_eq!(answer.signature, if is_plain { Signature::Valid } else { Signature::Structure });
        prop_assert_eq!(is_success(Gateway::Mapi, &answer), is_plain, "{:?}", answer);
        prop_assert!(!is_success(Gateway::Mapi, &judge_xml(&body, "666")));
    }

    /// The same signed text, cut into leaves in another way, is never a success of other goods.
    #[test]
    fn signed_text_cut_anew_is_no_success_of_other_goods(leaves in leaves(), merged in any::<Index>()) {
        let sign = sign_leaves(&leaves, Charset::Utf8);
        let text = canonical(&leaves, SignTypeField::Excluded, Charset::Utf8).unwrap();
        let text = String::from_utf8(text).unwrap();
        let pieces: Vec<&str> = text.split('&').collect();
        // Every piece its own leaf; then each pair of neighbours in one.
        let leaf = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut cuts = vec![pieces.iter().map(|piece| (*piece).to_owned()).collect::<Vec<_>>()];
        let at = merged.index(pieces.len());
        for width in 1..=pieces.len() - at {
            let mut cut: Vec<String> = pieces[..at].iter().map(|piece| (*piece).to_owned()).collect();
            cut.push(pieces[at..at + width].join("&"));
            cut.extend(pieces[at + width..].iter().map(|piece| (*piece).to_owned()));
            cuts.push(cut);
        }
        for cut in cuts {
            let Some(leaves) = cut.iter().map(|text| leaf(text)).collect::<Option<Vec<_>>>() else { continue };
            let body = xml(&leaves, &sign, "utf-8");
            for goods_id in ["666", "1"] {
                let answer = judge_xml(body.as_bytes(), goods_id);
                prop_assert!(!is_success(Gateway::Mapi, &answer), "{} {:?}", body, answer);
            }
        }
    }

    #[test]
    fn an_xml_answer_with_one_thing_changed_is_no_success(leaves in leaves()) {
        let sign = sign_leaves(&leaves, Charset::Utf8);
        let genuine = xml(&leaves, &sign, "utf-8");
        let goods = "<goods_id>2011063000011840</goods_id>";
        for (what, body) in [
            ("the goods again", genuine.replace(goods, &goods.repeat(2))),
            ("other goods before", genuine.replace(goods, &format!("<goods_id>666</goods_id>{goods}"))),
            ("another group", genuine.replace("</goods></response>", "</goods><goods><goods_id>666</goods_id></goods></response>")),
            ("another response", genuine.replace("<response>", "<response><goods><goods_id>666</goods_id></goods></response><response>")),
            ("another flag", genuine.replace("<response>", "<is_success>F</is_success><response>")),
            ("an error", genuine.replace("<response>", "<error>ILLEGAL_SIGN</error><response>")),
            ("another sign", genuine.replace("<sign>", "<sign>0</sign><sign>")),
            ("another sign type", genuine.replace("<sign>", "<sign_type>RSA</sign_type><sign>")),
            ("a comment", genuine.replace(goods, &goods.replace("2011", "2011<!-- -->"))),
            ("an entity", genuine.replace("<alipay>", "<!DOCTYPE alipay [<!ENTITY x '2011'>]><alipay>")),
            ("nested goods", genuine.replace(goods, &format!("<goods_id>{goods}</goods_id>"))),
            ("text beside", genuine.replace("<response>", "<response>x")),
            ("text beside the goods", genuine.replace(goods, &format!("x{goods}"))),
            ("another root", genuine.clone() + "<alipay/>"),
            ("a prefix", genuine.replace("goods_id>", "x:goods_id>")),
            ("a space in the goods", genuine.replace(goods, &goods.replace("2011", " 2011"))),
        ] {
            for asked in ["2011063000011840", "666"] {
                let answer = judge_xml(body.as_bytes(), asked);
                prop_assert!(!is_success(Gateway::Mapi, &answer), "{}: {:?}", what, answer);
            }
        }
    }
}

/// Goods of which the gateway once sent a notification: it is signed with the same key, and so is no proof of a takedown.
#[test]
fn a_notification_written_as_an_answer_is_no_success() {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let goods = field("goods_id", "2011063000011840");
    let notification = [goods.clone(), field("memo", "m"), field("notify_id", "70fe"), field("notify_type", "sync")];
    let hidden = [goods, field("memo", "m&notify_id=70fe&notify_type=sync")];
    let sign = sign_leaves(&notification, Charset::Utf8);
    assert_eq!(sign, sign_leaves(&hidden, Charset::Utf8));
    for leaves in [&notification[..], &hidden] {
        let answer = judge_xml(xml(leaves, &sign, "utf-8").as_bytes(), "2011063000011840");
        assert!(!is_success(Gateway::Mapi, &answer), "{answer:?}");
        assert!(matches!(answer.claim, Claim::Success { goods_id: None, item: ItemMatch::Other }), "{answer:?}");
    }
}
