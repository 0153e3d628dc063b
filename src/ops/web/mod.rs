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
//! POST, answered by a redirect. Promise: nobody acts without the token, a session, and a form of that session (`guard`);
//! secrets are masked, and texts of others are escaped, on every page.

mod assets;
mod batches;
mod fields;
mod guard;
mod kept;
mod layout;
mod letters;
mod login;
mod overview;
mod phrases;
mod problem;
mod replays;
mod sessions;
mod source;
mod visitor;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use tokio_util::task::AbortOnDropHandle;

use crate::domain::ids::PlanId;
use crate::domain::secret::Secret;
use crate::ops::web::guard::Guard;
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::source::Desk;
use crate::ops::web::visitor::Visitor;

pub(in crate::ops) use crate::ops::web::sessions::draw;
pub use crate::ops::web::source::{Keeping, Source};

/// What every page can ask.
#[derive(Clone)]
struct Shared {
    guard: Arc<Guard>,
    desk: Arc<Desk>,
}

impl FromRef<Shared> for Arc<Guard> {
    fn from_ref(shared: &Shared) -> Self {
        shared.guard.clone()
    }
}

/// The pages of one desk.
pub struct Site {
    shared: Shared,
    _tidying: AbortOnDropHandle<()>,
}

impl Site {
    /// Makes the pages, as served at an address; `token` is what whoever acts must know.
    #[must_use]
    pub fn new(token: Option<Secret>, address: SocketAddr, source: Source) -> Self {
        let desk = Arc::new(Desk::new(source));
        let tidied = desk.clone();
        let tidying = AbortOnDropHandle::new(tokio::spawn(async move { tidied.tidy().await }));
        Self { shared: Shared { guard: Arc::new(Guard::new(token, address)), desk }, _tidying: tidying }
    }

    /// Returns the way to the pages.
    pub fn router(&self) -> Router {
        let guard = self.shared.guard.clone();
        Router::new()
            .route("/", get(overview::show))
            .route("/overview/accounts", get(overview::accounts_part))
            .route("/overview/charts", get(overview::charts_part))
            .route("/batches", get(batches::list))
            .route("/batches/live", get(batches::live))
            .route("/batches/{id}", get(batches::show))
            .route("/batches/{id}/live", get(batches::show_live))
            .route("/batches/{id}/cancel", post(batches::cancel))
            .merge(letters::routes())
            .route("/login", get(login::show).post(login::enter))
            .route("/enter", get(login::follow))
            .route("/logout", post(login::leave))
            .route("/preferences", post(login::prefer))
            .method_not_allowed_fallback(not_so)
            .fallback(missing)
            .layer(from_fn_with_state(guard, guard::admit))
            .route("/assets/{name}", get(assets::serve))
            .with_state(self.shared.clone())
    }

    /// Returns the plans that are being carried out here.
    #[must_use]
    pub fn under_way(&self) -> Vec<PlanId> {
        self.shared.desk.replays.under_way()
    }

    /// Stops replays between two letters, and closes what is open.
    pub async fn close(&self) {
        tokio::join!(self.shared.guard.close(), self.shared.desk.close());
    }
}

async fn not_so(visitor: Visitor) -> Response {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Phrase::BadForm, Phrase::BadFormRemedy).page(&visitor)
}

async fn missing(visitor: Visitor) -> Response {
    Problem::missing(Phrase::NoSuchPage, Phrase::NoSuchPageRemedy).page(&visitor)
}
