//! Building the request of `alipay.open.servicemarket.commodity.shop.offline` (protocol page: Open
//! Platform, version 1.0).
//!
//! Pure: the same account, item and moment give the same request.

use std::borrow::Cow;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::domain::reply::{BrokenCall, Reply};
use crate::domain::secret::Secret;
use crate::domain::takedown::OpenPlatformItem;
use crate::gateway::form;
use crate::gateway::http::{Body, HttpRequest};
use crate::gateway::open_platform::{METHOD, OpenPlatformAccount};
use crate::signing::canonical::{Fields, SignTypeField, joined, signed};

/// Business parameters, in the order of the interface document.
#[derive(Serialize)]
pub(super) struct BizContent<'a> {
    commodity_id: &'a str,
    shop_id: &'a str,
}

impl<'a> BizContent<'a> {
    pub(super) fn json(item: &'a OpenPlatformItem) -> String {
        let content = Self { commodity_id: &item.commodity_id, shop_id: &item.shop_id };
        serde_json::to_string(&content).expect("invariant: plain strings always serialise")
    }
}

/// Builds the signed request for one item.
///
/// # Errors
/// [`Reply::NoToken`] when the item names a merchant the account has no token for; [`Reply::NotEncodable`] when its text
/// does not fit the account's charset; [`Reply::NotSent`] when the crypto library fails.
pub fn build(account: &OpenPlatformAccount, item: &OpenPlatformItem, now: SystemTime) -> Result<HttpRequest, Reply> {
    seal(account, &params(account, item, now)?)
}

/// Returns the parameters of one item, unsigned, its content encrypted where the account says so.
///
/// # Errors
/// As [`build`].
pub fn params<'a>(
    account: &'a OpenPlatformAccount,
    item: &'a OpenPlatformItem,
    now: SystemTime,
) -> Result<Fields<'a>, Reply> {
    let token = token(account, item)?;
    let mut content = BizContent::json(item);
    if let Some(key) = &account.content_key {
        let bytes = account.charset.encode(&content);
        let bytes = bytes.map_err(|character| Reply::NotEncodable { field: "biz_content".to_owned(), character })?;
        content = key.encrypt(&bytes).ok_or(Reply::NotSent(BrokenCall::Protocol))?;
    }
    let [content, timestamp] = [content, timestamp(now)].map(Cow::Owned);
    let held = |text: &'a str| Some(Cow::Borrowed(text));
    let pairs = [
        ("app_id", held(&account.app_id)),
        ("method", held(METHOD)),
        ("format", held("json")),
        ("charset", held(account.charset.as_str())),
        ("sign_type", held(account.signer.sign_type().as_str())),
        ("timestamp", Some(timestamp)),
        ("version", held("1.0")),
        ("app_auth_token", token.and_then(|token| held(token.expose()))),
        ("app_cert_sn", account.certificates.as_ref().and_then(|numbers| held(&numbers.app))),
        ("alipay_root_cert_sn", account.certificates.as_ref().and_then(|numbers| held(&numbers.root))),
        ("encrypt_type", account.content_key.as_ref().and_then(|_| held("AES"))),
        ("biz_content", Some(content)),
    ];
    Ok(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// The merchant's token: the message's own, or the one the configuration holds under the merchant's name.
pub(in crate::gateway) fn token<'a>(
    account: &'a OpenPlatformAccount,
    item: &'a OpenPlatformItem,
) -> Result<Option<&'a Secret>, Reply> {
    match (&item.app_auth_token, &item.merchant) {
        (Some(token), _) => Ok(Some(token)),
        (None, None) => Ok(None),
        (None, Some(merchant)) => match account.merchants.get(merchant) {
            Some(token) => Ok(Some(token)),
            None => Err(Reply::NoToken { merchant: merchant.to_string() }),
        },
    }
}

/// `yyyy-MM-dd HH:mm:ss` in GMT+8, whatever the zone of the machine (protocol page: Open Platform, version 1.0).
fn timestamp(now: SystemTime) -> String {
    let now = Timestamp::try_from(now).unwrap_or_default();
    now.to_zoned_datetime(TimeZone::fixed(offset(8))).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Signs parameters and lays them out for the wire: `biz_content` in the body, everything else in the query. Empty
/// parameters and a stale `sign` are left out.
///
/// # Errors
/// As [`build`].
pub fn seal<N: AsRef<str>, V: AsRef<str>>(
    account: &OpenPlatformAccount,
    params: &[(N, V)],
) -> Result<HttpRequest, Reply> {
    let pairs = signed(params, SignTypeField::Included);
    let sign = account.signer.sign(&Zeroizing::new(joined(&pairs, account.charset)?))?;
    let is_content = |(name, _): &(&str, &str)| *name == "biz_content";
    let query = pairs.iter().copied().filter(|pair| !is_content(pair)).chain([("sign", sign.as_str())]);
    let url = form::address(account.endpoint.url(), query, account.charset)?;
    let text = form::encode(pairs.iter().copied().filter(is_content), account.charset)?;
    let content_type = form::content_type(account.charset);
    Ok(HttpRequest { url, headers: Vec::new(), body: Some(Body { content_type, text }) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_timestamp_is_that_of_gmt_plus_8() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_406_142_470);
        assert_eq!(timestamp(moment), "2014-07-24 03:07:50");
    }
}
