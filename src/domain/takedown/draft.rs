//! A takedown in parts: texts that are still to be checked, as the row of a table has them.
//!
//! Promise: what [`Draft::check`] accepts is what [`Takedown::decode`] makes of a message with the same members, and what
//! it refuses is refused there.

use crate::domain::takedown::wire::{self, Head};
use crate::domain::takedown::{Gateway, Item, MessageError, Takedown};

/// The members of a message, none checked; an absent one is `None`.
#[derive(Default)]
pub struct Draft<'a> {
    /// `id`.
    pub id: Option<&'a str>,
    /// `account`.
    pub account: Option<&'a str>,
    /// `batch`.
    pub batch: Option<&'a str>,
    /// `deadline`.
    pub deadline: Option<&'a str>,
    /// `priority`.
    pub priority: Option<&'a str>,
    /// `takedown.gateway`.
    pub gateway: Option<&'a str>,
    /// `takedown.sns_user_id`.
    pub sns_user_id: Option<&'a str>,
    /// `takedown.key`.
    pub key: Option<&'a str>,
    /// `takedown.close_reason`.
    pub close_reason: Option<&'a str>,
    /// `takedown.goods_id`.
    pub goods_id: Option<&'a str>,
    /// `takedown.commodity_id`.
    pub commodity_id: Option<&'a str>,
    /// `takedown.shop_id`.
    pub shop_id: Option<&'a str>,
    /// `takedown.merchant`.
    pub merchant: Option<&'a str>,
    /// `takedown.app_auth_token`.
    pub app_auth_token: Option<&'a str>,
}

impl Draft<'_> {
    /// Checks every member; one of the other gateway is passed over.
    ///
    /// # Errors
    /// [`MessageError::Field`], naming the first that is at fault.
    pub fn check(&self) -> Result<Takedown, MessageError> {
        let head = Head {
            id: required("id", self.id)?,
            account: required("account", self.account)?,
            batch: owned(self.batch),
            deadline: owned(self.deadline),
            priority: owned(self.priority),
        };
        head.complete(|| match wire::gateway(self.gateway)? {
            Gateway::Mapi => wire::decode_mapi(wire::WireMapi {
                gateway: Gateway::Mapi,
                sns_user_id: required("takedown.sns_user_id", self.sns_user_id)?,
                key: required("takedown.key", self.key)?,
                close_reason: owned(self.close_reason),
                goods_id: owned(self.goods_id),
            })
            .map(Item::Mapi),
            Gateway::OpenPlatform => wire::decode_open_platform(wire::WireOpenPlatform {
                gateway: Gateway::OpenPlatform,
                commodity_id: required("takedown.commodity_id", self.commodity_id)?,
                shop_id: required("takedown.shop_id", self.shop_id)?,
                merchant: owned(self.merchant),
                app_auth_token: owned(self.app_auth_token),
            })
            .map(Item::OpenPlatform),
        })
    }
}

fn required(field: &str, text: Option<&str>) -> Result<String, MessageError> {
    owned(text).ok_or_else(|| MessageError::field(field, "is missing"))
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(ToOwned::to_owned)
}
