//! Calling the gateways: build, sign, send, read, verify. Two gateways, one enum.
//!
//! It knows no queue and no limits, and judges nothing: what came back is a [`Reply`]. Promise: a call never fails as
//! an `Err`, and nothing unverified is called verified.

pub mod http;
pub mod mapi;
pub mod open_platform;

use std::time::SystemTime;

use crate::domain::reply::Reply;
use crate::domain::takedown::{Gateway, Item};
use crate::gateway::http::HttpClient;

/// One account's credentials and settings at its gateway.
#[derive(Debug)]
pub enum GatewayAccount {
    /// `sns.admin.close.goods`.
    Mapi(mapi::MapiAccount),
    /// `alipay.open.servicemarket.commodity.shop.offline`.
    OpenPlatform(open_platform::OpenPlatformAccount),
}

impl GatewayAccount {
    /// Returns the gateway.
    #[must_use]
    pub fn gateway(&self) -> Gateway {
        match self {
            Self::Mapi(_) => Gateway::Mapi,
            Self::OpenPlatform(_) => Gateway::OpenPlatform,
        }
    }

    /// Calls the gateway once for one item. The item's gateway must be this account's.
    ///
    /// `now` becomes the request's timestamp (Open Platform, GMT+8).
    pub async fn call(&self, http: &HttpClient, item: &Item, now: SystemTime) -> Reply {
        todo!("{http:?} {item:?} {now:?}")
    }
}
