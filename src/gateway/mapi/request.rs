//! Building the request of `sns.admin.close.goods` (protocol page: mapi).
//!
//! Pure: the same account and item give the same request, DSA's RFC 6979 nonce included.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::domain::reply::Reply;
use crate::domain::takedown::MapiItem;
use crate::gateway::form;
use crate::gateway::http::{Body, HttpRequest};
use crate::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use crate::signing::canonical::{Fields, SignTypeField, joined, signed};

/// The operation.
const SERVICE: &str = "sns.admin.close.goods";

/// Builds the signed request for one item.
///
/// # Errors
/// [`Reply::NotEncodable`] when the item's text does not fit the account's charset; [`Reply::NotSent`] when the crypto
/// library refuses to sign.
pub fn build(account: &MapiAccount, item: &MapiItem) -> Result<HttpRequest, Reply> {
    seal(account, &params(account, item))
}

/// Returns the parameters of one item, unsigned. The administrator's `key` is an ordinary parameter and is signed.
#[must_use]
pub fn params<'a>(account: &'a MapiAccount, item: &'a MapiItem) -> Fields<'a> {
    let goods_id = match account.goods_id {
        GoodsIdField::Sent => item.goods_id.as_deref(),
        GoodsIdField::NotSent => None,
    };
    let pairs = [
        ("service", Some(SERVICE)),
        ("partner", Some(account.partner.as_str())),
        ("_input_charset", Some(account.charset.as_str())),
        ("sns_user_id", Some(item.sns_user_id.as_str())),
        ("key", Some(item.key.expose())),
        ("close_reason", item.close_reason.as_deref()),
        ("goods_id", goods_id),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name, Cow::Borrowed(value?)))).collect()
}

/// Signs parameters and lays them out for the wire; empty ones and a stale `sign` or `sign_type` are left out.
///
/// # Errors
/// As [`build`].
pub fn seal<N: AsRef<str>, V: AsRef<str>>(account: &MapiAccount, params: &[(N, V)]) -> Result<HttpRequest, Reply> {
    let pairs = signed(params, SignTypeField::Excluded);
    let sign = account.signer.sign(&Zeroizing::new(joined(&pairs, account.charset)?))?;
    let signature = [("sign", sign.as_str()), ("sign_type", account.signer.sign_type().as_str())];
    let all = pairs.iter().copied().chain(signature);
    let url = account.endpoint.url();
    let (url, body) = match account.method {
        Method::Get => (form::address(url, all, account.charset)?, None),
        Method::Post => {
            // The gateway reads a body by the charset of the query, and by GBK if there is none (protocol page: On the
            // wire).
            let charset = pairs.iter().copied().filter(|(name, _)| *name == "_input_charset");
            let text = form::encode(all, account.charset)?;
            let body = Body { content_type: form::content_type(account.charset), text };
            (form::address(url, charset, account.charset)?, Some(body))
        }
    };
    Ok(HttpRequest { url, headers: Vec::new(), body })
}
