//! Accounts made of fixture keys, as the cases ask for them.

use std::collections::BTreeMap;

use takedown::domain::secret::Secret;
use takedown::domain::takedown::{MapiItem, OpenPlatformItem};
use takedown::gateway::http::Endpoint;
use takedown::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use takedown::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, Protocol};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

use super::key;

pub(crate) fn signer(sign_type: SignType, name: &str, format: DsaFormat) -> Signer {
    let form = if sign_type == SignType::Md5 { "value" } else { "private_pkcs8_pem" };
    Signer::load(sign_type, &key(name, form), format).unwrap()
}

pub(crate) fn verifier(sign_type: SignType, name: &str, format: DsaFormat) -> Verifier {
    let form = if sign_type == SignType::Md5 { "value" } else { "public_spki_pem" };
    Verifier::load(sign_type, &key(name, form), format).unwrap()
}

/// The gateway's key is left to the case; requests do not use it.
pub(crate) fn mapi(charset: Charset, method: Method, signer: Signer, verifier: Verifier) -> MapiAccount {
    MapiAccount {
        endpoint: Endpoint::new("https://www.alipay.com/cooperate/gateway.do").unwrap(),
        partner: "2088002464631181".to_owned(),
        charset,
        method,
        goods_id: GoodsIdField::Sent,
        signer,
        verifier,
    }
}

pub(crate) fn open_platform(charset: Charset, signer: Signer, keys: GatewayKeys) -> OpenPlatformAccount {
    OpenPlatformAccount {
        endpoint: Endpoint::new("https://openapi.alipay.com/gateway.do").unwrap(),
        protocol: Protocol::V1,
        app_id: "2014072300007148".to_owned(),
        charset,
        signer,
        keys,
        merchants: BTreeMap::new(),
        content_key: None,
        certificates: None,
    }
}

pub(crate) fn mapi_item(goods_id: Option<&str>) -> MapiItem {
    MapiItem {
        sns_user_id: "douban_admin".to_owned(),
        key: Secret::new("2011041704C579B6A4F446E7AA4421BC4CD218D7"),
        close_reason: None,
        goods_id: goods_id.map(str::to_owned),
    }
}

pub(crate) fn open_platform_item() -> OpenPlatformItem {
    OpenPlatformItem {
        commodity_id: "20160010200000000033400".to_owned(),
        shop_id: "2015052000077000000000182140".to_owned(),
        merchant: None,
        app_auth_token: None,
    }
}
