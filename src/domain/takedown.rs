//! The message in: one takedown, decoded and validated, or the reason why not (`schemas/takedown.v1.json`).
//!
//! Promise: what decodes here obeys every rule of the schema, and what [`Takedown::encode`] writes decodes to the same
//! value. Lengths are those of the interface documents (`sns.admin.close.goods` request table;
//! `alipay.open.servicemarket.commodity.shop.offline` `biz_content`), counted in characters.

mod draft;
mod wire;

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{AccountId, BatchId, MerchantId, RequestId};
use crate::domain::outcome::ItemIds;
use crate::domain::secret::Secret;

pub use crate::domain::takedown::draft::Draft;

/// Largest message accepted, in bytes (64 KiB); a takedown is a few hundred.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The gateway a takedown goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gateway {
    /// `sns.admin.close.goods`: form parameters out, XML back.
    Mapi,
    /// `alipay.open.servicemarket.commodity.shop.offline`: form parameters out, JSON back.
    OpenPlatform,
}

impl Gateway {
    /// Returns the name used in messages, configuration, routing keys and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mapi => "mapi",
            Self::OpenPlatform => "open_platform",
        }
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How urgent a takedown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Served in order of arrival.
    #[default]
    Normal,
    /// Served before normal work.
    High,
}

/// One item to take off sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takedown {
    /// Stable for life; the idempotency key.
    pub id: RequestId,
    /// The account whose credentials sign the call.
    pub account: AccountId,
    /// The batch it belongs to, if any.
    pub batch: Option<BatchId>,
    /// After this moment the item ends as `expired`.
    pub deadline: Option<SystemTime>,
    /// Normal unless said otherwise.
    pub priority: Priority,
    /// What to take down.
    pub item: Item,
}

/// What to take down, by gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Goods of the community market.
    Mapi(MapiItem),
    /// A plug-in of a shop.
    OpenPlatform(OpenPlatformItem),
}

/// Business parameters of `sns.admin.close.goods`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapiItem {
    /// Account of the administrator, at most 50 characters.
    pub sns_user_id: String,
    /// The administrator's binding key, at most 40 characters; signed and sent, never shown.
    pub key: Secret,
    /// Free text, at most 250 characters.
    pub close_reason: Option<String>,
    /// The goods, at most 25 characters; sent only where the account's configuration says so.
    pub goods_id: Option<String>,
}

/// Business parameters of `alipay.open.servicemarket.commodity.shop.offline`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPlatformItem {
    /// The plug-in, at most 32 characters.
    pub commodity_id: String,
    /// The shop, at most 32 characters.
    pub shop_id: String,
    /// A merchant whose token the worker's configuration holds.
    pub merchant: Option<MerchantId>,
    /// The merchant's token itself; prefer `merchant`, which keeps tokens out of queues. At most 128 characters: a bound
    /// of our own, the documents give none and show 40.
    pub app_auth_token: Option<Secret>,
}

impl Item {
    /// Returns the ids an outcome tells.
    #[must_use]
    pub fn ids(&self) -> ItemIds {
        match self {
            Self::Mapi(item) => ItemIds { goods_id: item.goods_id.clone(), ..ItemIds::default() },
            Self::OpenPlatform(item) => ItemIds {
                commodity_id: Some(item.commodity_id.clone()),
                shop_id: Some(item.shop_id.clone()),
                ..ItemIds::default()
            },
        }
    }

    /// Returns the gateway this item is for.
    #[must_use]
    pub fn gateway(&self) -> Gateway {
        match self {
            Self::Mapi(_) => Gateway::Mapi,
            Self::OpenPlatform(_) => Gateway::OpenPlatform,
        }
    }

    /// Returns the name for people and outcomes: the goods, or commodity and shop.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Mapi(item) => item.goods_id.clone().unwrap_or_default(),
            Self::OpenPlatform(item) => format!("{}@{}", item.commodity_id, item.shop_id),
        }
    }
}

/// Says why a message is not a takedown; the text names the field and is safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Longer than [`MAX_MESSAGE_BYTES`].
    #[error("message has {bytes} bytes, at most {MAX_MESSAGE_BYTES} are allowed")]
    TooLarge {
        /// Size found.
        bytes: usize,
    },
    /// Not UTF-8 text.
    #[error("message is not UTF-8 (first bad byte at offset {offset})")]
    NotUtf8 {
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// Not JSON at all.
    #[error("message is not JSON: {problem} at line {line} column {column}")]
    NotJson {
        /// What the parser met.
        problem: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A field is missing, unknown, of the wrong type, or its value breaks a rule.
    #[error("field `{field}` {problem}")]
    Field {
        /// Path of the field, such as `takedown.shop_id`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl MessageError {
    /// Builds a fault of one field.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field { field: field.into(), problem: problem.into() }
    }
}

/// Writes a moment as RFC 3339 in UTC; one beyond the year 9999 as the last that can be written.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests;
