//! `alipay.open.servicemarket.commodity.shop.offline`: its account, and request and response of version 1.0 and of v3.

pub mod request;
pub mod response;
pub mod span;
pub mod v3;

use std::collections::BTreeMap;

use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::gateway::http::Endpoint;
use crate::signing::charset::Charset;
use crate::signing::content::ContentKey;
use crate::signing::{Signer, Verifier};

/// The operation.
const METHOD: &str = "alipay.open.servicemarket.commodity.shop.offline";

/// Which of the platform's two protocols an app is called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Version 1.0: parameters in a form, the answer signed inside its JSON.
    #[default]
    V1,
    /// REST: a JSON body, signatures in headers both ways; UTF-8 and RSA2 only.
    V3,
}

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
    /// How to call.
    pub protocol: Protocol,
    /// App id, up to 32 characters.
    pub app_id: String,
    /// Charset of requests and answers; v3 has UTF-8 whatever this says.
    pub charset: Charset,
    /// Own key and algorithm.
    pub signer: Signer,
    /// Gateway's keys.
    pub keys: GatewayKeys,
    /// Tokens by merchant.
    pub merchants: BTreeMap<MerchantId, Secret>,
    /// Encrypts the content both ways, where the app has that switched on (protocol page: Content encryption).
    pub content_key: Option<ContentKey>,
    /// Certificate mode: what every request names.
    pub certificates: Option<CertificateNumbers>,
}

/// The certificate numbers every request of certificate mode carries (protocol page: Certificate mode).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateNumbers {
    /// `app_cert_sn`: one's own certificate.
    pub app: String,
    /// `alipay_root_cert_sn`: the platform's RSA root certificates, joined by `_`.
    pub root: String,
}
