//! XML answers: what was not signed never passes for the gateway's word.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use takedown::domain::reply::{Answer, Claim, ItemMatch, Signature};
use takedown::domain::secret::Secret;
use takedown::domain::takedown::MapiItem;
use takedown::gateway::http::Endpoint;
use takedown::gateway::mapi::response::parse;
use takedown::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};

use super::fixture;

static ACCOUNTS: LazyLock<Vec<MapiAccount>> = LazyLock::new(|| {
    let keys = [
        (SignType::Md5, "mapi_md5_key", DsaFormat::Der),
        (SignType::Rsa, "gateway_rsa1024", DsaFormat::Der),
        (SignType::Rsa, "gateway_rsa2048", DsaFormat::Der),
        (SignType::Dsa, "gateway_dsa1024", DsaFormat::Der),
        (SignType::Dsa, "gateway_dsa1024", DsaFormat::Raw),
    ];
    let account = |(sign_type, key, format)| MapiAccount {
        endpoint: Endpoint::new("https://gateway.example/gateway.do").unwrap(),
        partner: "2088002464631181".to_owned(),
        charset: Charset::Utf8,
        method: Method::Get,
        goods_id: GoodsIdField::Sent,
        signer: fixture::signer(),
        verifier: fixture::verifier(sign_type, key, format),
    };
    keys.map(account).into()
});

static SIGNED: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(fixture::signed_mapi_answers);

fn item(goods_id: Option<&str>) -> MapiItem {
    MapiItem {
        sns_user_id: "douban_admin".to_owned(),
        key: Secret::new(fixture::USER_KEY),
        close_reason: None,
        goods_id: goods_id.map(str::to_owned),
    }
}

/// Reads the bytes as the answer of each kind of account, about goods that are named and goods that are not.
pub fn run(body: &[u8]) {
    let asked = "2011063000011840";
    let http = fixture::answer(body);
    let mut kinds = BTreeSet::new();
    for account in &*ACCOUNTS {
        for goods_id in [Some(asked), None] {
            let answer = parse(account, &item(goods_id), &http);
            fixture::hold(&answer);
            is_signed_where_valid(&answer);
            kinds.insert(match &answer.claim {
                Claim::Success { goods_id: found, item } => {
                    assert!(found.is_none() || answer.signature == Signature::Valid, "unverified goods are not named");
                    let is_same = goods_id.is_none() || found.as_deref() == goods_id;
                    assert_eq!(*item == ItemMatch::Same, is_same, "goods are the item's only by their signed id");
                    "success".to_owned()
                }
                Claim::Failure { .. } | Claim::Unreadable { .. } => format!("{:?}", answer.claim),
            });
        }
    }
    assert_eq!(kinds.len(), 1, "what an answer says does not depend on the key it is verified with: {kinds:?}");
}

/// The fuzzer cannot sign: whatever verifies was cut out of a vector, goods id included.
fn is_signed_where_valid(answer: &Answer) {
    let Claim::Success { goods_id: Some(goods_id), .. } = &answer.claim else { return };
    let line = [b"goods_id=", goods_id.as_bytes()].concat();
    let is_known = SIGNED.iter().any(|text| text.windows(line.len()).any(|window| window == line));
    assert!(is_known, "only what the gateway signed verifies: {answer:?}");
}
