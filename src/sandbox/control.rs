//! What people and scripts ask of the sandbox itself, beside the two gateways.

use std::fmt::Write as _;

use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

use crate::sandbox::ItemState;
use crate::sandbox::faults::Faults;
use crate::sandbox::page::Page;
use crate::sandbox::state::State;

const PATHS: &str = "the sandbox serves /cooperate/gateway.do (mapi), /gateway.do and /v3/… (Open Platform), \
                     /healthz, GET /sandbox/seen, GET /sandbox/items, GET and PUT /sandbox/items/{item}, PUT /sandbox/faults";
const STATES: &str = "a state is one of on_sale, off_sale, missing, forbidden";

/// Answers one request that is for neither gateway.
pub(super) fn respond(state: &State, method: &Method, path: &str, body: &[u8]) -> Page {
    if let Some(item) = path.strip_prefix("/sandbox/items/").filter(|item| !item.is_empty()) {
        return match percent_decode_str(item).decode_utf8() {
            Ok(item) => one_item(state, method, &item, body),
            Err(_) => Page::text(StatusCode::BAD_REQUEST, "the item in the path is not percent-encoded UTF-8"),
        };
    }
    match (path, method) {
        ("/healthz", &Method::GET) => Page::text(StatusCode::OK, "ok"),
        ("/sandbox/seen", &Method::GET) => {
            let mut lines = String::new();
            for seen in state.seen() {
                push_line(&mut lines, &seen);
            }
            json("application/jsonl", lines)
        }
        ("/sandbox/items", &Method::GET) => {
            let mut line = String::new();
            push_line(&mut line, &state.items());
            json("application/json", line)
        }
        ("/sandbox/faults", &Method::PUT) => change_faults(state, body),
        ("/healthz" | "/sandbox/seen" | "/sandbox/items" | "/sandbox/faults", _) => {
            Page::text(StatusCode::METHOD_NOT_ALLOWED, PATHS)
        }
        _ => Page::text(StatusCode::NOT_FOUND, PATHS),
    }
}

fn one_item(state: &State, method: &Method, item: &str, body: &[u8]) -> Page {
    match *method {
        Method::GET => {
            let mut line = String::new();
            push_line(&mut line, &state.item(item));
            json("application/json", line)
        }
        Method::PUT => match read_state(body) {
            Some(new) => {
                state.set_item(item, new);
                Page::text(StatusCode::NO_CONTENT, "")
            }
            None => Page::text(StatusCode::BAD_REQUEST, STATES),
        },
        _ => Page::text(StatusCode::METHOD_NOT_ALLOWED, PATHS),
    }
}

/// Takes the bare word as well as a JSON string of it.
fn read_state(body: &[u8]) -> Option<ItemState> {
    let word = std::str::from_utf8(body).ok()?.trim().trim_matches('"');
    let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    ItemState::deserialize(word).ok()
}

fn change_faults(state: &State, body: &[u8]) -> Page {
    let Ok(text) = std::str::from_utf8(body) else {
        return Page::text(StatusCode::BAD_REQUEST, "faults are UTF-8 text");
    };
    match Faults::parse([], text) {
        Ok(faults) => {
            state.set_faults(faults);
            Page::text(StatusCode::NO_CONTENT, "")
        }
        Err(error) => {
            let mut text = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                write!(text, ": {cause}").expect("invariant: writing to a String never fails");
            }
            Page::text(StatusCode::BAD_REQUEST, text)
        }
    }
}

fn json(content_type: &str, text: String) -> Page {
    let headers = Vec::new();
    Page { status: StatusCode::OK, content_type: content_type.to_owned(), headers, body: text.into_bytes() }
}

fn push_line(text: &mut String, value: &impl Serialize) {
    text.push_str(&serde_json::to_string(value).expect("invariant: strings and numbers always serialise"));
    text.push('\n');
}
