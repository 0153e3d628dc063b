//! Calling the gateways: build, sign, send, read, verify. Two gateways, one enum; one of them has two protocols.
//!
//! It knows no queue and no limits, and judges nothing: what came back is a [`Reply`]. Promise: a call never fails as
//! an `Err`, and nothing unverified is called verified.

pub mod certificates;
pub mod diagnosis;
pub mod http;
pub mod keys;
pub mod mapi;
pub mod open_platform;
pub mod protocol;

mod aside;
mod echo;
mod form;
mod page;

use std::time::SystemTime;

use crate::domain::reply::{Answer, BrokenCall, Reply};
use crate::domain::takedown::{Gateway, Item};
use crate::gateway::http::{Endpoint, HttpClient};
use crate::gateway::open_platform::v3::request::Stamp;
use crate::gateway::open_platform::{Protocol, v3};
use crate::signing::SigningError;
use crate::signing::charset::NotEncodable;

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

    /// Returns where the gateway is called.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Mapi(account) => &account.endpoint,
            Self::OpenPlatform(account) => &account.endpoint,
        }
    }

    /// Calls the gateway once for one item. The item's gateway must be this account's.
    ///
    /// `now` becomes the request's timestamp (Open Platform; version 1.0 writes it in GMT+8). An item of the other gateway
    /// is not sent and comes back as [`BrokenCall::Protocol`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave a call made and its answer unread: the attempt is then ambiguous.
    pub async fn call(&self, http: &HttpClient, item: &Item, now: SystemTime) -> Reply {
        match self.answer(http, item, now).await {
            Ok(answer) => Reply::Answered(answer),
            Err(reply) => reply,
        }
    }

    async fn answer(&self, http: &HttpClient, item: &Item, now: SystemTime) -> Result<Answer, Reply> {
        match (self, item) {
            (Self::Mapi(account), Item::Mapi(item)) => {
                let build = || mapi::request::build(account, item);
                let request = aside::run(account.signer.effort(), build).await?;
                let answer = http.send(request).await?;
                let parse = || mapi::response::parse(account, item, &answer);
                Ok(aside::run(account.verifier.effort(), parse).await)
            }
            (Self::OpenPlatform(account), Item::OpenPlatform(item)) => {
                let request = aside::run(account.signer.effort(), || match account.protocol {
                    Protocol::V1 => open_platform::request::build(account, item, now),
                    Protocol::V3 => v3::request::build(account, item, &Stamp::fresh(now)),
                });
                let answer = http.send(request.await?).await?;
                // Signed with RSA, which is verified in microseconds.
                Ok(match account.protocol {
                    Protocol::V1 => open_platform::response::parse(account, item, &answer),
                    Protocol::V3 => v3::response::parse(account, item, &answer),
                })
            }
            (Self::Mapi(_), Item::OpenPlatform(_)) | (Self::OpenPlatform(_), Item::Mapi(_)) => {
                tracing::error!(account = %self.gateway(), item = %item.gateway(), "item of another gateway");
                Err(Reply::NotSent(BrokenCall::Protocol))
            }
        }
    }
}

impl From<NotEncodable> for Reply {
    fn from(error: NotEncodable) -> Self {
        Self::NotEncodable { field: error.field, character: error.character }
    }
}

impl From<SigningError> for Reply {
    fn from(error: SigningError) -> Self {
        tracing::error!(%error, "request was not signed and so not sent");
        Self::NotSent(BrokenCall::Protocol)
    }
}
