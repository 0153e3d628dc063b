//! Building the request of `sns.admin.close.goods` (protocol page: mapi).
//!
//! Pure: the same account and item give the same request, DSA's RFC 6979 nonce included.

use zeroize::Zeroizing;

use crate::domain::reply::Reply;
use crate::domain::takedown::MapiItem;
use crate::gateway::form;
use crate::gateway::http::{Body, HttpRequest};
use crate::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use crate::signing::canonical::{Params, SignTypeField, canonical, signed};

/// The operation.
const SERVICE: &str = "sns.admin.close.goods";

/// Builds the signed request for one item.
///
/// # Errors
/// [`Reply::NotEncodable`] when the item's text does not fit the account's charset; [`Reply::NotSent`] when the crypto
/// library refuses to sign.
pub fn build(account: &MapiAccount, item: &MapiItem) -> Result<HttpRequest, Reply> {
    seal(account, &Zeroizing::new(params(account, item)))
}

/// Returns the parameters of one item, unsigned. The administrator's `key` is an ordinary parameter and is signed.
#[must_use]
pub fn params(account: &MapiAccount, item: &MapiItem) -> Params {
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
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
}

/// Signs parameters and lays them out for the wire; empty ones and a stale `sign` or `sign_type` are left out.
///
/// # Errors
/// As [`build`].
pub fn seal(account: &MapiAccount, params: &Params) -> Result<HttpRequest, Reply> {
    let bytes = Zeroizing::new(canonical(params, SignTypeField::Excluded, account.charset)?);
    let sign = account.signer.sign(&bytes)?;
    let mut pairs = signed(params, SignTypeField::Excluded);
    // The gateway reads a body by the charset of the query, and by GBK if there is none (protocol page: On the wire).
    let charset = pairs.iter().copied().filter(|(name, _)| *name == "_input_charset").collect::<Vec<_>>();
    pairs.push(("sign", &sign));
    pairs.push(("sign_type", account.signer.sign_type().as_str()));
    let all = form::encode(pairs, account.charset)?;
    let mut url = account.endpoint.url().clone();
    let body = match account.method {
        Method::Get => {
            url.set_query(Some(&all));
            None
        }
        Method::Post => {
            url.set_query(Some(&form::encode(charset, account.charset)?));
            let content_type = format!("application/x-www-form-urlencoded;charset={}", account.charset.as_str());
            Some(Body { content_type, text: all })
        }
    };
    Ok(HttpRequest { url, headers: Vec::new(), body })
}
