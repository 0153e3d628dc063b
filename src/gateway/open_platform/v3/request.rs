//! Building the request of protocol v3: what is signed, and the headers that carry the signature.
//!
//! Pure but for [`Stamp::fresh`]: the same account, item and stamp give the same request. Promise: the bytes that are
//! signed are those that are sent, the address as the client writes it and the encrypted body included.

use std::time::{SystemTime, UNIX_EPOCH};

use url::{Position, Url};

use crate::domain::reply::{BrokenCall, Reply};
use crate::domain::secret::Secret;
use crate::domain::takedown::OpenPlatformItem;
use crate::gateway::http::{Body, HttpRequest};
use crate::gateway::open_platform::OpenPlatformAccount;
use crate::gateway::open_platform::request::{BizContent, token};

/// Scheme of the `Authorization` header.
pub const SCHEME: &str = "ALIPAY-SHA256withRSA";

/// What sets one call apart from every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Becomes the timestamp, in milliseconds since 1970.
    pub now: SystemTime,
    /// Signed; the gateway takes each once.
    pub nonce: String,
    /// `alipay-request-id`: not signed, names the call to the gateway's support.
    pub request_id: String,
}

impl Stamp {
    /// Draws a new nonce and request id, 32 hex digits each.
    #[must_use]
    pub fn fresh(now: SystemTime) -> Self {
        let draw = || format!("{:032x}", rand::random::<u128>());
        Self { now, nonce: draw(), request_id: draw() }
    }
}

/// The lines a request's signature covers.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    /// What the `Authorization` header says between its scheme and `,sign=`.
    pub auth: &'a str,
    /// HTTP method, upper case.
    pub method: &'a str,
    /// Path and query as sent, still percent-encoded.
    pub target: &'a str,
    /// Body as sent; its line is there even if it is empty.
    pub body: &'a str,
    /// Value of `alipay-app-auth-token`; without that header there is no line.
    pub token: Option<&'a str>,
}

/// Returns the text that is signed: every line ends in LF, the last one too.
#[must_use]
pub fn signed_text(lines: Lines<'_>) -> String {
    let Lines { auth, method, target, body, token } = lines;
    let mut text = format!("{auth}\n{method}\n{target}\n{body}\n");
    if let Some(token) = token {
        text.push_str(token);
        text.push('\n');
    }
    text
}

/// Returns `app_id=…[,app_cert_sn=…],nonce=…,timestamp=…`.
#[must_use]
pub fn auth(account: &OpenPlatformAccount, stamp: &Stamp) -> String {
    let mut auth = format!("app_id={}", account.app_id);
    if let Some(numbers) = &account.certificates {
        auth.push_str(&format!(",app_cert_sn={}", numbers.app));
    }
    let millis = stamp.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    auth.push_str(&format!(",nonce={},timestamp={millis}", stamp.nonce));
    auth
}

/// Returns path and query of an address as the client sends them.
#[must_use]
pub fn target(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

/// Builds the signed request for one item.
///
/// # Errors
/// [`Reply::NoToken`] when the item names a merchant the account has no token for, or one that cannot be sent;
/// [`Reply::NotEncodable`] when the item's own token cannot be; [`Reply::NotSent`] when the crypto library fails.
pub fn build(account: &OpenPlatformAccount, item: &OpenPlatformItem, stamp: &Stamp) -> Result<HttpRequest, Reply> {
    let token = token(account, item)?;
    if let Some(character) = token.and_then(|token| unsendable(token.expose())) {
        return Err(match &item.merchant {
            Some(merchant) => Reply::NoToken { merchant: merchant.to_string() },
            None => Reply::NotEncodable { field: "app_auth_token".to_owned(), character },
        });
    }
    seal(account, account.endpoint.url(), &BizContent::json(item), token, stamp)
}

/// A header's value loses the blanks around it, cannot hold a line break, and has no charset.
fn unsendable(token: &str) -> Option<char> {
    token.chars().find(|character| !character.is_ascii_graphic())
}

/// Signs a body and lays the request out for the wire; encrypts the body first where the account says so.
///
/// # Errors
/// [`Reply::NotSent`] when the crypto library fails.
pub fn seal(
    account: &OpenPlatformAccount,
    url: &Url,
    json: &str,
    token: Option<&Secret>,
    stamp: &Stamp,
) -> Result<HttpRequest, Reply> {
    let (content_type, text) = match &account.content_key {
        None => ("application/json", json.to_owned()),
        Some(key) => {
            let cipher = key.encrypt(json.as_bytes()).ok_or(Reply::NotSent(BrokenCall::Protocol))?;
            ("text/plain", cipher)
        }
    };
    let token = token.map(Secret::expose);
    let auth = auth(account, stamp);
    let lines = Lines { auth: &auth, method: "POST", target: target(url), body: &text, token };
    let sign = account.signer.sign(signed_text(lines).as_bytes())?;
    let headers = [
        // Asked for by docs open-v3/054oog (alipay/alipay-sdk-nodejs-all:src/alipay.ts), encrypted or not.
        ("accept", Some("application/json".to_owned())),
        ("authorization", Some(format!("{SCHEME} {auth},sign={sign}"))),
        ("alipay-request-id", Some(stamp.request_id.clone())),
        ("alipay-app-auth-token", token.map(str::to_owned)),
        ("alipay-root-cert-sn", account.certificates.as_ref().map(|numbers| numbers.root.clone())),
        ("alipay-encrypt-type", account.content_key.as_ref().map(|_| "AES".to_owned())),
    ];
    Ok(HttpRequest {
        url: url.to_string(),
        headers: headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        body: Some(Body { content_type, text }),
    })
}
