//! The dead-letter desk: groups, a list, one letter whole, plans with their replays, and what leaves for good.

mod export;
mod filter;
mod list;
mod one;
mod plan;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use maud::Markup;

use crate::desk::letters::LetterError;
use crate::domain::cause::chain;
use crate::ops::web::Shared;
use crate::ops::web::layout::{self, Page, Tab};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::visitor::Visitor;
use crate::queue::QueueError;

/// The pages below `/letters`.
pub(in crate::ops::web) fn routes() -> Router<Shared> {
    Router::new()
        .route("/letters", get(list::show))
        .route("/letters/one", get(one::show))
        .route("/letters/edit", post(one::edit))
        .route("/letters/export", get(export::send))
        .route("/letters/plan", post(plan::make))
        .route("/letters/plans/{id}", get(plan::show))
        .route("/letters/plans/{id}/progress", get(plan::progress_part))
        .route("/letters/plans/{id}/replay", post(plan::replay))
        .route("/letters/plans/{id}/stop", post(plan::stop))
        .route("/letters/plans/{id}/purge", post(plan::purge))
}

fn page(visitor: &Visitor, title: &str, follow: Option<u32>, inside: &Markup) -> Response {
    Html(layout::page(visitor, Page { title, tab: Some(Tab::Letters), follow }, inside).into_string()).into_response()
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        Self::broker(chain(&error))
    }
}

impl From<LetterError> for Problem {
    fn from(error: LetterError) -> Self {
        let text = chain(&error);
        match error {
            LetterError::Queue(error) => error.into(),
            LetterError::NoPlan { .. } => Self::missing(Phrase::NoSuchPlan, Phrase::NoSuchPlanRemedy),
            LetterError::NothingMeant => Self::refused(Phrase::NothingMeant, Phrase::NothingMeantRemedy),
            LetterError::NoLetter { .. } => Self::missing(Phrase::NoSuchLetter, Phrase::NoSuchLetterRemedy),
            LetterError::Changed { .. } => {
                Self::new(StatusCode::CONFLICT, Phrase::LetterChanged, Phrase::LetterChangedRemedy)
            }
            LetterError::Edit(_) => Self::refused(Phrase::BadEdit, Phrase::BadEditRemedy).detail(text),
            LetterError::NoFilter => Self::refused(Phrase::PurgeNeedsFilter, Phrase::PurgeNeedsFilterRemedy),
            LetterError::NotAsPlanned { .. } => {
                Self::new(StatusCode::CONFLICT, Phrase::NotAsPlanned, Phrase::NotAsPlannedRemedy).detail(text)
            }
            LetterError::InHand => Self::new(StatusCode::CONFLICT, Phrase::LettersInHand, Phrase::LettersInHandRemedy),
            LetterError::NotNoted { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, Phrase::NotNoted, Phrase::NotNotedRemedy).detail(text)
            }
        }
    }
}
