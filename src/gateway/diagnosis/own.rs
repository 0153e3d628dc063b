//! What takedown itself would send for an item: parameters, canonical string, signature, request.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::domain::reply::Reply;
use crate::domain::takedown::{Gateway, Item, OpenPlatformItem};
use crate::gateway::GatewayAccount;
use crate::gateway::http::HttpRequest;
use crate::gateway::mapi::{self, GoodsIdField};
use crate::gateway::open_platform::v3::request::{Lines, Stamp};
use crate::gateway::open_platform::{self, OpenPlatformAccount, Protocol, v3};
use crate::signing::canonical::{Fields, Params, SignTypeField, canonical, signed};
use crate::signing::charset::Charset;
use crate::signing::{SignType, Signer};

/// One item's request, taken apart.
pub struct Own {
    /// The parameters that are signed, in the order of the canonical string.
    pub signed: Params,
    /// What is left out, and why.
    pub left_out: Vec<(&'static str, String)>,
    /// The bytes that are signed.
    pub canonical: Vec<u8>,
    /// The signature.
    pub sign: String,
    /// The whole request.
    pub request: HttpRequest,
}

/// Builds and signs what would be sent at this moment; protocol v3 takes this nonce, or draws one.
///
/// # Errors
/// A [`Reply`] that says why nothing would be sent.
pub fn explain(account: &GatewayAccount, item: &Item, now: SystemTime, nonce: Option<&str>) -> Result<Own, Reply> {
    if let (GatewayAccount::OpenPlatform(account), Item::OpenPlatform(item)) = (account, item)
        && account.protocol == Protocol::V3
    {
        return lines(account, item, now, nonce);
    }
    let params = params(account, item, now)?;
    let (field, charset) = account.scheme();
    let canonical = canonical(&params, field, charset)?;
    let sign = account.signer().sign(&canonical)?;
    let request = match account {
        GatewayAccount::Mapi(account) => mapi::request::seal(account, &params)?,
        GatewayAccount::OpenPlatform(account) => open_platform::request::seal(account, &params)?,
    };
    let signed = signed(&params, field).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Own { signed, left_out: left_out(account, item, &params), canonical, sign, request })
}

/// Takes a request of protocol v3 apart.
fn lines(
    account: &OpenPlatformAccount,
    item: &OpenPlatformItem,
    now: SystemTime,
    nonce: Option<&str>,
) -> Result<Own, Reply> {
    let mut stamp = Stamp::fresh(now);
    if let Some(nonce) = nonce {
        nonce.clone_into(&mut stamp.nonce);
    }
    let request = v3::request::build(account, item, &stamp)?;
    let header = |name: &str| request.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    let auth = v3::request::auth(account, &stamp);
    let token = header("alipay-app-auth-token");
    let body = request.body.as_ref().map_or("", |body| body.text.as_str());
    let target = v3::request::target(account.endpoint.url());
    let lines = Lines { auth: &auth, method: "POST", target, body, token };
    let canonical = v3::request::signed_text(lines).into_bytes();
    let sign =
        header("authorization").and_then(|value| value.split_once(",sign=")).map_or("", |(_, sign)| sign).to_owned();
    let named = [
        ("auth", Some(lines.auth)),
        ("method", Some(lines.method)),
        ("path", Some(lines.target)),
        ("body", Some(body)),
        ("app_auth_token", token),
    ];
    let signed = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    let mut left_out = vec![
        ("scheme", format!("{} before the auth string is sent, not signed", v3::request::SCHEME)),
        ("alipay-request-id", "names the call to the gateway's support, not signed".to_owned()),
    ];
    if token.is_none() {
        left_out.push(("alipay-app-auth-token", "the item has none: neither the header nor its line".to_owned()));
    }
    Ok(Own { signed, left_out, canonical, sign, request })
}

fn params<'a>(account: &'a GatewayAccount, item: &'a Item, now: SystemTime) -> Result<Fields<'a>, Reply> {
    match (account, item) {
        (GatewayAccount::Mapi(account), Item::Mapi(item)) => Ok(mapi::request::params(account, item)),
        (GatewayAccount::OpenPlatform(account), Item::OpenPlatform(item)) => {
            open_platform::request::params(account, item, now)
        }
        (GatewayAccount::Mapi(_), Item::OpenPlatform(_)) | (GatewayAccount::OpenPlatform(_), Item::Mapi(_)) => {
            Err(Reply::NotSent(crate::domain::reply::BrokenCall::Protocol))
        }
    }
}

/// Returns every parameter takedown would send but `sign`, at the moment of another request, in its charset.
pub(super) fn sent(
    account: &GatewayAccount,
    item: &Item,
    now: SystemTime,
    timestamp: Option<&[u8]>,
    charset: Charset,
) -> Result<Vec<(String, Vec<u8>)>, Reply> {
    let mut params = params(account, item, now)?;
    if account.gateway() == Gateway::Mapi {
        params.push(("sign_type", account.sign_type().as_str().into()));
    }
    let encode = |(name, value): (&str, Cow<'_, str>)| {
        let value = match timestamp.filter(|_| name == "timestamp") {
            Some(timestamp) => timestamp.to_vec(),
            None => charset.encode(&value).unwrap_or_else(|_| value.as_bytes().to_vec()),
        };
        (name.to_owned(), value)
    };
    Ok(params.into_iter().filter(|(_, value)| !value.is_empty()).map(encode).collect())
}

/// Returns the parameters in the order of the interface documents, which some sign them in.
pub(super) fn documented(gateway: Gateway) -> Vec<String> {
    let names: &[&str] = match gateway {
        Gateway::Mapi => &[
            "service",
            "partner",
            "_input_charset",
            "sign_type",
            "sign",
            "sns_user_id",
            "key",
            "close_reason",
            "goods_id",
        ],
        Gateway::OpenPlatform => &[
            "app_id",
            "method",
            "format",
            "charset",
            "sign_type",
            "timestamp",
            "version",
            "app_auth_token",
            "app_cert_sn",
            "alipay_root_cert_sn",
            "encrypt_type",
            "biz_content",
        ],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn left_out(account: &GatewayAccount, item: &Item, params: &Fields<'_>) -> Vec<(&'static str, String)> {
    let mut left_out = vec![("sign", "the signature itself".to_owned())];
    match (account, item) {
        (GatewayAccount::Mapi(account), Item::Mapi(item)) => {
            left_out.push(("sign_type", "sent, and not signed: so mapi has it".to_owned()));
            if item.goods_id.is_some() && account.goods_id == GoodsIdField::NotSent {
                left_out.push(("goods_id", "neither sent nor signed: send_goods_id = false".to_owned()));
            }
        }
        (GatewayAccount::OpenPlatform(_), Item::OpenPlatform(item))
            if item.merchant.is_some() && item.app_auth_token.is_some() =>
        {
            left_out.push(("merchant", "the item's own app_auth_token is used instead of the merchant's".to_owned()));
        }
        _ => {}
    }
    let has = |name: &str| params.iter().any(|(n, value)| *n == name && !value.is_empty());
    let optional: &[&'static str] = match account.gateway() {
        Gateway::Mapi => &["close_reason", "goods_id"],
        Gateway::OpenPlatform => &["app_auth_token"],
    };
    for name in optional.iter().filter(|name| !has(name)) {
        if !left_out.iter().any(|(known, _)| known == name) {
            left_out.push((name, "the item has none; an empty value is neither sent nor signed".to_owned()));
        }
    }
    left_out
}

impl GatewayAccount {
    /// Returns the algorithm the account signs with.
    #[must_use]
    pub fn sign_type(&self) -> SignType {
        self.signer().sign_type()
    }

    /// Returns the charset of the account's requests.
    #[must_use]
    pub fn charset(&self) -> Charset {
        self.scheme().1
    }

    /// Returns the parameter that names the caller, and its value.
    #[must_use]
    pub fn identity(&self) -> (&'static str, &str) {
        match self {
            Self::Mapi(account) => ("partner", &account.partner),
            Self::OpenPlatform(account) => ("app_id", &account.app_id),
        }
    }

    pub(super) fn signer(&self) -> &Signer {
        match self {
            Self::Mapi(account) => &account.signer,
            Self::OpenPlatform(account) => &account.signer,
        }
    }

    fn scheme(&self) -> (SignTypeField, Charset) {
        match self {
            Self::Mapi(account) => (SignTypeField::Excluded, account.charset),
            Self::OpenPlatform(account) => (SignTypeField::Included, account.charset),
        }
    }
}
