//! `sns.admin.close.goods`: its account, request and response; and the notifications of the same protocol.

pub mod notification;
pub mod request;
pub mod response;

pub(in crate::gateway) mod xml;

use serde::{Deserialize, Serialize};

use crate::gateway::http::Endpoint;
use crate::signing::charset::Charset;
use crate::signing::{Signer, Verifier};

/// How the request travels (protocol page: On the wire); both are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// All parameters in the query.
    #[default]
    Get,
    /// `_input_charset` in the query, everything in a form body.
    Post,
}

/// Whether `goods_id` of the message is sent (protocol page: mapi, Request); the sample answer has it, the table not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GoodsIdField {
    /// Sent and signed.
    #[default]
    Sent,
    /// Kept for comparing with the answer only.
    NotSent,
}

/// One mapi partner's credentials and settings.
#[derive(Debug)]
pub struct MapiAccount {
    /// Where to call.
    pub endpoint: Endpoint,
    /// Partner id, 16 digits beginning 2088.
    pub partner: String,
    /// Charset of requests; answers are read by their own declaration.
    pub charset: Charset,
    /// GET or POST.
    pub method: Method,
    /// Whether `goods_id` is sent.
    pub goods_id: GoodsIdField,
    /// Own key and algorithm.
    pub signer: Signer,
    /// Gateway's key, same algorithm.
    pub verifier: Verifier,
}
