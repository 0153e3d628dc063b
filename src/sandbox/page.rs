//! What a gateway made of one request: the document to send, and what the log is to remember of it.

use hyper::StatusCode;

use crate::sandbox::state::Turn;
use crate::signing::charset::Charset;

/// What a gateway made of one request.
#[derive(Debug)]
pub(super) struct Spoken {
    /// The item, as far as it could be read.
    pub(super) item: String,
    /// The code answered; empty if nothing is.
    pub(super) answered: &'static str,
    /// The call that was carried out; `None` where the request was refused before.
    pub(super) turn: Option<Turn>,
    /// The document.
    pub(super) page: Page,
}

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct Page {
    /// Status code.
    pub(super) status: StatusCode,
    /// Content type, with its charset.
    pub(super) content_type: String,
    /// Headers beyond that.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Body.
    pub(super) body: Vec<u8>,
}

impl Page {
    /// Makes an answer with status 200, which the older protocols give to refusals too.
    pub(super) fn ok(content_type: &str, charset: Charset, body: Vec<u8>) -> Self {
        let content_type = format!("{content_type};charset={}", charset.as_str());
        Self { status: StatusCode::OK, content_type, headers: Vec::new(), body }
    }

    /// Makes a plain text for people.
    pub(super) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        let mut body = body.into();
        if !body.is_empty() && !body.ends_with('\n') {
            body.push('\n');
        }
        let content_type = "text/plain;charset=utf-8".into();
        Self { status, content_type, headers: Vec::new(), body: body.into_bytes() }
    }

    /// Makes a JSON document in UTF-8.
    pub(super) fn json(status: StatusCode, body: &str) -> Self {
        let content_type = "application/json;charset=utf-8".into();
        Self { status, content_type, headers: Vec::new(), body: body.into() }
    }

    /// Makes what a broken proxy makes: half an HTML page in GBK, and no more.
    pub(super) fn garbage() -> Self {
        let body = b"<html><body><h1>\xB3\xF6\xB4\xED\xC1\xCB</h1><p>\x00\xFF{<alipay><is_success>".to_vec();
        Self::ok("text/html", Charset::Gbk, body)
    }
}

/// Encodes a document; what the charset cannot hold is written as `escape` says.
pub(super) fn encode(charset: Charset, text: &str, escape: fn(char) -> String) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        let encoded = charset.encode(character.encode_utf8(&mut [0; 4]));
        bytes.extend(encoded.unwrap_or_else(|character| escape(character).into_bytes()));
    }
    bytes
}
