//! What people paste into `takedown explain`: nothing panics, the work is bounded, and nothing said quotes a secret.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::SystemTime;

use takedown::domain::ids::AccountId;
use takedown::domain::secret::Secret;
use takedown::domain::takedown::{Item, MapiItem};
use takedown::gateway::GatewayAccount;
use takedown::gateway::diagnosis::keyring::Keyring;
use takedown::gateway::diagnosis::pasted::Pasted;
use takedown::gateway::diagnosis::{Cause, Diagnosis, Verdict, answer, request};
use takedown::gateway::http::Endpoint;
use takedown::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use takedown::gateway::open_platform::{OpenPlatformAccount, Protocol};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType, Signer};

use super::fixture;

/// Longest text judged: judging tries mistakes, which costs what length costs; growth is tested by length.
const LONGEST_JUDGED: usize = 2048;

/// Most parameters judged, more than twice as many as any request has, for the same reason.
const MOST_JUDGED: usize = 32;

struct Case {
    account: GatewayAccount,
    item: Item,
    keyring: Keyring,
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let own = |sign_type, name: &str| {
        Signer::load(sign_type, &fixture::key(name, "private_pkcs8_pem"), DsaFormat::Der).unwrap()
    };
    let mapi = GatewayAccount::Mapi(MapiAccount {
        endpoint: Endpoint::new("https://gateway.example/gateway.do").unwrap(),
        partner: "2088002464631181".to_owned(),
        charset: Charset::Gbk,
        method: Method::Get,
        goods_id: GoodsIdField::Sent,
        signer: Signer::load(SignType::Md5, &fixture::key("mapi_md5_key", "value"), DsaFormat::Der).unwrap(),
        verifier: fixture::verifier(SignType::Md5, "mapi_md5_key", DsaFormat::Der),
    });
    let goods = Item::Mapi(MapiItem {
        sns_user_id: "douban_admin".to_owned(),
        key: Secret::new(fixture::USER_KEY),
        close_reason: None,
        goods_id: Some("2011063000011840".to_owned()),
    });
    let shops = |protocol, is_by_certificate| {
        let keys = fixture::gateway_keys(SignType::Rsa2, is_by_certificate);
        GatewayAccount::OpenPlatform(OpenPlatformAccount {
            signer: own(SignType::Rsa2, "app_rsa2048"),
            content_key: Some(fixture::content_key()),
            ..fixture::open_platform(protocol, Charset::Utf8, keys)
        })
    };
    let shop = || Item::OpenPlatform(fixture::open_platform_item());
    let cases = [(mapi, goods), (shops(Protocol::V1, false), shop()), (shops(Protocol::V3, true), shop())];
    let case = |(account, item)| {
        let id = AccountId::new("asked").unwrap();
        let keyring = Keyring::new(&id, &BTreeMap::from([(&id, &account)]));
        Case { account, item, keyring }
    };
    cases.map(case).into()
});

/// Reads the bytes as a request and as an answer, and judges both for each kind of account.
pub fn run(text: &[u8]) {
    let request = Pasted::read(text);
    if let Err(error) = &request {
        is_quiet(&error.to_string(), &[fixture::USER_KEY, fixture::TOKEN]);
    }
    let answer = answer::read(text);
    if let Err(error) = &answer {
        is_quiet(&error.to_string(), &[fixture::USER_KEY, fixture::TOKEN]);
    }
    if let Ok(pasted) = &request {
        hold(pasted, text);
    }
    if text.len() > LONGEST_JUDGED {
        return;
    }
    let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for Case { account, item, keyring } in &*CASES {
        if let Some(pasted) = request.as_ref().ok().filter(|pasted| pasted.fields().len() <= MOST_JUDGED) {
            let secrets = placed(pasted, text);
            for item in [None, Some(item)] {
                let judged = request::judge(account, keyring, pasted, item, now).ok().unwrap();
                is_sound(&judged.diagnosis, &secrets);
                judged.remarks.iter().for_each(|remark| is_told(remark, &secrets));
                assert_eq!(
                    judged.differences.is_some(),
                    item.is_some(),
                    "there is a comparison where there is an item"
                );
            }
        }
        if let Ok(found) = &answer {
            let judged = answer::judge(account, keyring, found, Some(item));
            fixture::hold(&judged.answer);
            is_sound(&judged.diagnosis, &[]);
        }
    }
}

fn hold(pasted: &Pasted, text: &[u8]) {
    let fields = pasted.fields();
    assert!(fields.len() <= 200, "the parameters of a request are few");
    assert!(!pasted.read_as.is_empty() && !pasted.method.is_empty(), "a request was read as something");
    let said = pasted.query.len() + pasted.body.len() + pasted.path.len();
    // An escape `\\uXXXX` of a shell is six bytes for three; a percent-encoded byte is three for one, a lossy one too.
    assert!(said <= 3 * text.len() + 64, "nothing is made up: {said} bytes of {}", text.len());
}

fn is_sound(diagnosis: &Diagnosis, secrets: &[&str]) {
    match diagnosis.verdict {
        Verdict::Right => assert!(diagnosis.causes.is_empty(), "what is right has no cause: {diagnosis:?}"),
        Verdict::Wrong => assert!(!diagnosis.causes.is_empty(), "what is wrong has a cause: {diagnosis:?}"),
        Verdict::Unexplained | Verdict::Unsigned => {}
    }
    diagnosis.causes.iter().for_each(|cause| is_told(cause, secrets));
    diagnosis.certain.iter().for_each(|said| is_quiet(said, secrets));
}

fn is_told(cause: &Cause, secrets: &[&str]) {
    assert!(!cause.name.is_empty() && !cause.what.is_empty() && !cause.remedy.is_empty(), "{cause:?}");
    is_quiet(&cause.what, secrets);
    is_quiet(&cause.remedy, secrets);
}

/// Secrets that stand nowhere but in their own parameters or headers; those that stand elsewhere the command covers.
fn placed(pasted: &Pasted, text: &[u8]) -> Vec<&'static str> {
    let fields = pasted.fields();
    let is_placed = |(secret, names): &(&str, [&str; 2])| {
        let is_own = |name: &[u8], value: &[u8]| {
            names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) && value == secret.as_bytes()
        };
        let placed = fields.iter().filter(|field| is_own(&field.name, &field.value)).count()
            + pasted.headers.iter().filter(|(name, value)| is_own(name.as_bytes(), value.as_bytes())).count();
        placed == text.windows(secret.len()).filter(|window| *window == secret.as_bytes()).count()
    };
    let secrets = [(fixture::USER_KEY, ["key", "key"]), (fixture::TOKEN, ["app_auth_token", "alipay-app-auth-token"])];
    secrets.into_iter().filter(is_placed).map(|(secret, _)| secret).collect()
}

fn is_quiet(said: &str, secrets: &[&str]) {
    assert!(!secrets.iter().any(|secret| said.contains(secret)), "no secret is quoted: {said}");
}
