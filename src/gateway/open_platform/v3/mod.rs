//! Protocol v3 (REST) of the same operation: a JSON body, both signatures in headers (protocol page: Open
//! Platform, v3).
//!
//! UTF-8 and RSA2 only; the account's charset is not looked at. The endpoint is the whole address of the operation, its
//! path included, because the path is signed.

pub mod request;
pub mod response;

/// Path of the operation.
pub const PATH: &str = "/v3/alipay/open/servicemarket/commodity/shop/offline";
