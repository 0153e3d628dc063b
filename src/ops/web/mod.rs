//! The operator's desk in a browser: pages made on the server, readable without scripts and without a network.
//!
//! | path | shows |
//! |---|---|
//! | `/` | accounts, and the last hour as charts |
//! | `/letters` | dead letters: groups, list, one whole, plans and replays |
//! | `/batches` | batches with counts, and their cancelling |
//! | `/login` | asks for the token |
//!
//! Served by `takedown worker` beside its probes and by `takedown desk` alone. Pages read; what acts is a form, sent by
//! POST, answered by a redirect. Promise: nobody acts without the token, a session, and a form of that session ([`guard`]);
//! secrets are masked, and texts of others are escaped, on every page.

mod assets;
mod fields;
mod guard;
mod language;
mod layout;
mod login;
mod phrases;
mod problem;
mod sessions;
mod visitor;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::HeaderMap;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::domain::secret::Secret;
use crate::ops::status::HINT;
use crate::ops::web::guard::{Guard, wants_page};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::visitor::Visitor;

pub(in crate::ops) use crate::ops::web::sessions::draw;

/// What every page can ask.
#[derive(Clone)]
struct Shared {
    guard: Arc<Guard>,
}

impl FromRef<Shared> for Arc<Guard> {
    fn from_ref(shared: &Shared) -> Self {
        shared.guard.clone()
    }
}

/// Builds the pages, as served at an address; `token` is what whoever acts must know.
pub fn router(token: Option<Secret>, address: SocketAddr) -> Router {
    let guard = Arc::new(Guard::new(token, address));
    let shared = Shared { guard: guard.clone() };
    Router::new()
        .route("/", get(overview))
        .route("/login", get(login::show).post(login::enter))
        .route("/enter", get(login::follow))
        .route("/logout", post(login::leave))
        .route("/preferences", post(login::prefer))
        .fallback(missing)
        .layer(from_fn_with_state(guard, guard::admit))
        .route("/assets/{name}", get(assets::serve))
        .with_state(shared)
}

async fn overview(visitor: Visitor, headers: HeaderMap) -> Response {
    if !wants_page(&headers) {
        return HINT.into_response();
    }
    missing(visitor).await
}

async fn missing(visitor: Visitor) -> Response {
    Problem::missing(Phrase::NoSuchPage, Phrase::NoSuchPageRemedy).page(&visitor)
}
