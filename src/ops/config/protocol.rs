//! `protocol = "v1"` or `"v3"`: by which of its two protocols the Open Platform is called, and what that rules out.

use std::collections::BTreeMap;

use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::gateway::http::Endpoint;
use crate::gateway::open_platform::{Protocol, v3};
use crate::ops::config::account;
use crate::ops::config::fault::Problem;
use crate::ops::config::section::Section;
use crate::signing::SignType;
use crate::signing::charset::Charset;

/// The real gateway (common request parameters of the Open Platform).
const ENDPOINT: &str = "https://openapi.alipay.com/gateway.do";

/// The same by v3: the operation's whole address.
const ENDPOINT_V3: &str = "https://openapi.alipay.com/v3/alipay/open/servicemarket/commodity/shop/offline";

/// Reads the protocol; v1 where none is given.
pub(super) fn read(section: &mut Section<'_>) -> Protocol {
    let protocol = section.text("protocol", |text| match text {
        "v1" => Ok(Protocol::V1),
        "v3" => Ok(Protocol::V3),
        other => Err(Problem::new(format!("is {other:?}, which is no protocol"), "write v1, or v3 (REST)")),
    });
    protocol.unwrap_or_default()
}

/// Reads the address, which must be one of the protocol's.
pub(super) fn endpoint(section: &mut Section<'_>, protocol: Protocol) -> Option<Endpoint> {
    let default = match protocol {
        Protocol::V1 => ENDPOINT,
        Protocol::V3 => ENDPOINT_V3,
    };
    let endpoint = account::endpoint(section, default)?;
    let path = endpoint.url().path();
    let problem = match protocol {
        Protocol::V1 if path.starts_with("/v3/") => {
            Problem::new("is an address of protocol v3", format!("write {default}, or protocol = \"v3\""))
        }
        Protocol::V3 if path.ends_with("/gateway.do") => {
            Problem::new("is an address of protocol v1", format!("write {default}, or protocol = \"v1\""))
        }
        // The path is signed as it is sent, so no other can be right.
        Protocol::V3 if path != v3::PATH => Problem::new(
            "does not have the path of the operation, which protocol v3 signs",
            format!("write {default}, or another host with this path"),
        ),
        Protocol::V1 | Protocol::V3 => return Some(endpoint),
    };
    section.fault("endpoint", problem);
    None
}

/// Notes what protocol v3 does not know.
pub(super) fn restrict(
    section: &Section<'_>,
    protocol: Protocol,
    charset: Charset,
    sign_type: SignType,
    merchants: &BTreeMap<MerchantId, Secret>,
) {
    if protocol == Protocol::V1 {
        return;
    }
    let remedy = |value: &str| format!("write {value} or remove it, or write protocol = \"v1\"");
    if charset != Charset::Utf8 {
        let problem = format!("is {}, and protocol v3 knows utf-8 only", charset.as_str());
        section.fault("charset", Problem::new(problem, remedy("utf-8")));
    }
    if sign_type != SignType::Rsa2 {
        let problem = format!("is {sign_type}, and protocol v3 knows RSA2 only");
        section.fault("sign_type", Problem::new(problem, remedy("RSA2")));
    }
    for (merchant, token) in merchants {
        if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "holds a blank or a character beyond ASCII, which protocol v3's header cannot carry";
            let remedy = "copy the token again from where the merchant authorised the app";
            section.entry("merchants").fault(merchant.as_str(), Problem::new(problem, remedy));
        }
    }
}
