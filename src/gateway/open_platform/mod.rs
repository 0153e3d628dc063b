//! `alipay.open.servicemarket.commodity.shop.offline`: its account, request and response.

pub mod content;
pub mod request;
pub mod response;

mod span;

use std::collections::BTreeMap;

use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::gateway::http::Endpoint;
use crate::gateway::open_platform::content::ContentKey;
use crate::signing::charset::Charset;
use crate::signing::{Signer, Verifier};

/// The operation.
const METHOD: &str = "alipay.open.servicemarket.commodity.shop.offline";

/// The gateway's keys an answer may be verified with.
#[derive(Debug)]
pub enum GatewayKeys {
    /// Key mode: one key.
    Single(Verifier),
    /// Certificate mode: by `alipay_cert_sn`; an unknown number is unverifiable.
    ByCertificate(BTreeMap<String, Verifier>),
}

/// One app's credentials and settings.
#[derive(Debug)]
pub struct OpenPlatformAccount {
    /// Where to call.
    pub endpoint: Endpoint,
    /// App id, up to 32 characters.
    pub app_id: String,
    /// Charset of requests and answers.
    pub charset: Charset,
    /// Own key and algorithm.
    pub signer: Signer,
    /// Gateway's keys.
    pub keys: GatewayKeys,
    /// Tokens by merchant.
    pub merchants: BTreeMap<MerchantId, Secret>,
    /// Encrypts the content both ways, where the app has that switched on (protocol notes 2.8).
    pub content_key: Option<ContentKey>,
    /// Certificate mode: serial number of one's own certificate (protocol notes 2.5).
    pub app_cert_sn: Option<String>,
    /// Certificate mode: serial numbers of the platform's root certificates, joined by `_`.
    pub alipay_root_cert_sn: Option<String>,
}
