//! The parts, each ready to be run over and over.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use takedown::domain::reply::Signature;
use takedown::domain::secret::Secret;
use takedown::domain::takedown::{MapiItem, OpenPlatformItem};
use takedown::gateway::http::{Endpoint, HttpAnswer};
use takedown::gateway::mapi::{self, GoodsIdField, MapiAccount, Method};
use takedown::gateway::open_platform::{self, GatewayKeys, OpenPlatformAccount, Protocol};
use takedown::signing::canonical::{Fields, Params, SignTypeField, canonical};
use takedown::signing::charset::Charset;
use takedown::signing::generate::key_pair;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

/// One part, and how to run it once.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn Fn() -> usize>,
}

fn case(name: &'static str, run: impl Fn() -> usize + 'static) -> Case {
    Case { name, run: Box::new(run) }
}

/// Names of the signatures, as the table joins them to the bare ones.
pub(crate) const RSA2: &str = "sign RSA2, 2048 bits";
pub(crate) const RSA: &str = "sign RSA, 1024 bits";
pub(crate) const DSA: &str = "sign DSA, 1024 bits";
pub(crate) const MD5: &str = "sign MD5";

/// Everything that is measured, in the order of a call.
pub(crate) fn all() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    canonicals(&mut cases)?;
    signatures(&mut cases)?;
    requests(&mut cases)?;
    answers(&mut cases)?;
    Ok(cases)
}

/// How many bytes of a request of mapi are signed.
pub(crate) fn signed_bytes() -> usize {
    mapi_account(Keys::md5())
        .and_then(|account| {
            Ok(canonical(&mapi::request::params(&account, &goods()), SignTypeField::Excluded, Charset::Utf8)?)
        })
        .map_or(256, |bytes| bytes.len())
}

/// A pair of either side.
struct Keys(Signer, Verifier);

impl Keys {
    fn new(sign_type: SignType) -> Result<Self> {
        let pair = key_pair(sign_type)?;
        Self::load(sign_type, pair.private.expose(), pair.public.expose())
    }

    fn md5() -> Self {
        Self::new(SignType::Md5).expect("invariant: a secret is only random")
    }

    /// RSA of 1024 bits is no longer made, and comes from the vectors.
    fn rsa_1024() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vectors/keys.json");
        let keys: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let text = |form: &str| keys["app_rsa1024"][form].as_str().context(form.to_owned());
        Self::load(SignType::Rsa, text("private_pkcs8_pem")?, text("public_spki_pem")?)
    }

    fn load(sign_type: SignType, private: &str, public: &str) -> Result<Self> {
        Ok(Self(Signer::load(sign_type, private, DsaFormat::Der)?, Verifier::load(sign_type, public, DsaFormat::Der)?))
    }
}

fn mapi_account(Keys(signer, verifier): Keys) -> Result<MapiAccount> {
    Ok(MapiAccount {
        endpoint: Endpoint::new("https://mapi.example.com/cooperate/gateway.do")?,
        partner: "2088000000000001".to_owned(),
        charset: Charset::Utf8,
        method: Method::Get,
        goods_id: GoodsIdField::Sent,
        signer,
        verifier,
    })
}

fn open_platform_account(Keys(signer, verifier): Keys) -> Result<OpenPlatformAccount> {
    Ok(OpenPlatformAccount {
        endpoint: Endpoint::new("https://openapi.example.com/gateway.do")?,
        protocol: Protocol::V1,
        app_id: "2026000000000001".to_owned(),
        charset: Charset::Utf8,
        signer,
        keys: GatewayKeys::Single(verifier),
        merchants: std::collections::BTreeMap::default(),
        content_key: None,
        certificates: None,
    })
}

fn goods() -> MapiItem {
    MapiItem {
        sns_user_id: "douban_admin".to_owned(),
        key: Secret::new("2011041715294812A3F09C55E1D7B684220A9F71"),
        close_reason: Some("spam".to_owned()),
        goods_id: Some("1000000000000000042".to_owned()),
    }
}

fn shop() -> OpenPlatformItem {
    OpenPlatformItem {
        commodity_id: "201505200000770000000".to_owned(),
        shop_id: "2015052000077000042".to_owned(),
        merchant: None,
        app_auth_token: None,
    }
}

fn now() -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn owned(fields: Fields<'_>) -> Params {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
}

fn canonicals(cases: &mut Vec<Case>) -> Result<()> {
    let params = owned(mapi::request::params(&mapi_account(Keys::md5())?, &goods()));
    cases.push(case("canonical string, mapi", move || {
        canonical(&params, SignTypeField::Excluded, Charset::Utf8).map_or(0, |bytes| bytes.len())
    }));
    let account = open_platform_account(Keys::new(SignType::Rsa2)?)?;
    let item = shop();
    let params = open_platform::request::params(&account, &item, now());
    let params = owned(params.map_err(|reply| anyhow::anyhow!("{reply:?}"))?);
    cases.push(case("canonical string, Open Platform", move || {
        canonical(&params, SignTypeField::Included, Charset::Utf8).map_or(0, |bytes| bytes.len())
    }));
    Ok(())
}

fn signatures(cases: &mut Vec<Case>) -> Result<()> {
    let bytes = vec![b'a'; signed_bytes()];
    let all = [
        (RSA2, "verify RSA2, 2048 bits", Keys::new(SignType::Rsa2)?),
        (RSA, "verify RSA, 1024 bits", Keys::rsa_1024()?),
        (DSA, "verify DSA, 1024 bits", Keys::new(SignType::Dsa)?),
        (MD5, "verify MD5", Keys::md5()),
    ];
    for (sign, verify, Keys(signer, verifier)) in all {
        let signature = signer.sign(&bytes)?;
        let signed = bytes.clone();
        cases.push(case(sign, move || signer.sign(&signed).map_or(0, |sign| sign.len())));
        let signed = bytes.clone();
        cases.push(case(verify, move || usize::from(verifier.is_valid(&signed, &signature))));
    }
    Ok(())
}

fn requests(cases: &mut Vec<Case>) -> Result<()> {
    let (account, item) = (mapi_account(Keys::md5())?, goods());
    cases.push(case("request, mapi, MD5", move || {
        mapi::request::build(&account, &item).map_or(0, |request| request.url.as_str().len())
    }));
    let (account, item) = (open_platform_account(Keys::new(SignType::Rsa2)?)?, shop());
    cases.push(case("request, Open Platform, RSA2", move || {
        open_platform::request::build(&account, &item, now()).map_or(0, |request| request.url.as_str().len())
    }));
    Ok(())
}

fn answer(body: String) -> HttpAnswer {
    HttpAnswer { status: 200, headers: hyper::header::HeaderMap::new(), body: body.into_bytes(), retry_after: None }
}

/// Signed, and as the same without a signature, which is not verified then.
fn answers(cases: &mut Vec<Case>) -> Result<()> {
    let keys = Keys::md5();
    let sign = keys.0.sign(b"goods_id=1000000000000000042")?;
    let body = |sign: &str| {
        answer(format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><alipay><is_success>T</is_success><request/><response><goods>\
             <goods_id>1000000000000000042</goods_id></goods></response>{sign}</alipay>"
        ))
    };
    let signed = body(&format!("<sign>{sign}</sign><sign_type>MD5</sign_type>"));
    let (account, item, unsigned) = (mapi_account(keys)?, goods(), body(""));
    let parsed = mapi::response::parse(&account, &item, &signed);
    anyhow::ensure!(parsed.signature == Signature::Valid, "the answer of mapi is {:?}", parsed.signature);
    let account = std::rc::Rc::new((account, item));
    for (name, body) in [("answer, mapi, verified (MD5)", signed), ("answer, mapi, unsigned", unsigned)] {
        let account = std::rc::Rc::clone(&account);
        cases.push(case(name, move || usize::from(mapi::response::parse(&account.0, &account.1, &body).http_status)));
    }

    let keys = Keys::new(SignType::Rsa2)?;
    let node = r#"{"code":"10000","msg":"Success"}"#;
    let sign = keys.0.sign(node.as_bytes())?;
    let body =
        |sign: &str| answer(format!(r#"{{"alipay_open_servicemarket_commodity_shop_offline_response":{node}{sign}}}"#));
    let (account, item) = (open_platform_account(keys)?, shop());
    let (signed, unsigned) = (body(&format!(r#","sign":"{sign}""#)), body(""));
    let parsed = open_platform::response::parse(&account, &item, &signed);
    anyhow::ensure!(parsed.signature == Signature::Valid, "the answer of the Open Platform is {:?}", parsed.signature);
    let account = std::rc::Rc::new((account, item));
    let both = [("answer, Open Platform, verified (RSA2)", signed), ("answer, Open Platform, unsigned", unsigned)];
    for (name, body) in both {
        let account = std::rc::Rc::clone(&account);
        cases.push(case(name, move || {
            usize::from(open_platform::response::parse(&account.0, &account.1, &body).http_status)
        }));
    }
    Ok(())
}
