//! What could not be done, as a page: what happened, and what to do about it.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::html;

use crate::ops::web::layout::{self, Page};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::visitor::Visitor;

/// Why there is no page, or no action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops::web) struct Problem {
    status: StatusCode,
    what: Phrase,
    remedy: Phrase,
    /// Which input is meant.
    field: Option<Phrase>,
    /// An error's own words, in English as in the log.
    detail: Option<String>,
}

impl Problem {
    /// Builds one.
    pub(in crate::ops::web) fn new(status: StatusCode, what: Phrase, remedy: Phrase) -> Self {
        Self { status, what, remedy, field: None, detail: None }
    }

    /// Adds an error's own words.
    #[must_use]
    pub(in crate::ops::web) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names the input that is meant.
    #[must_use]
    pub(in crate::ops::web) fn field(mut self, field: Phrase) -> Self {
        self.field = Some(field);
        self
    }

    /// The broker or the file failed; the error says how.
    pub(in crate::ops::web) fn broker(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, Phrase::NoBroker, Phrase::NoBrokerRemedy).detail(error)
    }

    /// Nothing is there.
    pub(in crate::ops::web) fn missing(what: Phrase, remedy: Phrase) -> Self {
        Self::new(StatusCode::NOT_FOUND, what, remedy)
    }

    /// What was typed cannot be used.
    pub(in crate::ops::web) fn refused(what: Phrase, remedy: Phrase) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, what, remedy)
    }

    /// Shows it.
    pub(in crate::ops::web) fn page(&self, visitor: &Visitor) -> Response {
        let inside = html! {
            div .head { h1 { (visitor.say(self.what)) } }
            div .note .bad role="alert" {
                p { @if let Some(field) = self.field { b { (visitor.say(field)) ": " } } (visitor.say(self.remedy)) }
                @if let Some(detail) = &self.detail { p .mono .break { (layout::plain(detail)) } }
            }
            p { a href="/" { (visitor.say(Phrase::BackToOverview)) } }
        };
        let page = layout::page(visitor, Page { title: visitor.say(self.what), tab: None, follow: None }, &inside);
        (self.status, Html(page.into_string())).into_response()
    }
}
