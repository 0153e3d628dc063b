//! The dead-letter desk: what commands and pages do with dead letters, on the broker or in a queue file.
//!
//! Looking is free. A bulk replay wants a plan, which fixes what it means before anything is done: a filter, a cut-off,
//! and how many letters that was. Promise: whatever changes letters is in the operators' log, with names of fields and
//! never their values; and a replay interrupted at any moment, by a signal or a `kill -9`, goes on from its plan and loses
//! and doubles nothing (see [`replay`](LetterDesk::replay)).

mod cancelled;
mod edit;
mod groups;
mod pacer;
mod plans;
mod replay;

use std::collections::BTreeMap;

use crate::clock;
use crate::domain::ids::{AccountId, PlanId};
use crate::domain::notice::{LetterFilter, Notice, What};
use crate::domain::takedown::Gateway;
use crate::queue::letters::{DeadLetter, DeadLetters, Page, Place, Purged, Seen, Selection, edited_at};
use crate::queue::{DeskLog, QueueError};

pub use self::cancelled::Cancelled;
pub use self::edit::{Edit, EditError};
pub use self::groups::{Counted, Group};
pub use self::plans::{Planned, Standing};
pub use self::replay::{ReplayPace, ReplayProgress, ReplayState};

/// What the desk knows besides its queue.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeskSettings {
    /// The configured accounts and their gateways; an edited letter must name one, of its own gateway. Empty where nobody
    /// knows them.
    pub accounts: BTreeMap<AccountId, Gateway>,
    /// Calls a second that each account is configured for, which a replay keeps to unless told otherwise.
    pub rates: BTreeMap<AccountId, f64>,
    /// Who is at the desk, for the operators' log.
    pub by: String,
}

/// A desk over a queue's dead letters and the operators' log.
#[derive(Debug)]
pub struct LetterDesk<D, L> {
    letters: D,
    log: L,
    settings: DeskSettings,
}

/// Says why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// The queue or the operators' log failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// No plan of this id is in the operators' log.
    #[error("there is no plan {id}")]
    NoPlan {
        /// The id asked for.
        id: PlanId,
    },
    /// No letter meets the filter, so that there is nothing to plan.
    #[error("no dead letter is meant")]
    NothingMeant,
    /// No letter of this id.
    #[error("there is no dead letter {id}")]
    NoLetter {
        /// The id asked for.
        id: String,
    },
    /// The letter was replayed, edited or purged meanwhile.
    #[error("the dead letter {id} was changed or replayed meanwhile; look at it again")]
    Changed {
        /// Its id.
        id: String,
    },
    /// The edit makes no valid takedown of it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A purge was asked for that would mean everything.
    #[error("a purge without a filter would delete every dead letter")]
    NoFilter,
    /// Somebody else has letters in hand, so that they cannot be counted; nothing was done.
    #[error("somebody else has dead letters in hand at this moment, so that they cannot be counted; nothing was done")]
    InHand,
    /// There are not as many letters as planned; none was deleted.
    #[error("{found} dead letters meet this filter and {planned} were planned; none was deleted")]
    NotAsPlanned {
        /// What was expected.
        planned: u64,
        /// What there is.
        found: u64,
    },
    /// It was done, and the operators' log does not say so.
    #[error("{done}, but the operators' log could not be written")]
    NotNoted {
        /// What was done.
        done: String,
        /// Why it was not noted.
        #[source]
        source: QueueError,
    },
}

impl<D: DeadLetters, L: DeskLog> LetterDesk<D, L> {
    /// Opens the desk.
    #[must_use]
    pub fn new(letters: D, log: L, settings: DeskSettings) -> Self {
        Self { letters, log, settings }
    }

    /// Returns the letters as the queue has them.
    #[must_use]
    pub fn letters(&self) -> &D {
        &self.letters
    }

    /// Returns the operators' log.
    #[must_use]
    pub fn log(&self) -> &L {
        &self.log
    }

    /// Returns what the desk was opened with.
    #[must_use]
    pub fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    /// Groups the letters that are meant by account, reason and code, the largest group first.
    ///
    /// # Errors
    /// [`LetterError::Queue`].
    pub async fn groups(&self, filter: &LetterFilter) -> Result<Counted, LetterError> {
        Ok(groups::count(&self.letters, &Selection::from(filter), &mut |_| ()).await?)
    }

    /// Reads some of the letters that are meant: those after a place, the oldest first, at most so many.
    ///
    /// Reads through all letters of the accounts, and keeps no more than the page in memory.
    ///
    /// # Errors
    /// [`LetterError::Queue`].
    pub async fn page(&self, filter: &LetterFilter, after: Option<&Place>, limit: usize) -> Result<Page, LetterError> {
        Ok(self.letters.page(&Selection::from(filter), after, limit).await?)
    }

    /// Finds the letters of an id; more than one if the item was enqueued twice, or an edit was interrupted.
    ///
    /// # Errors
    /// [`LetterError::NoLetter`] and [`LetterError::Queue`].
    pub async fn find(&self, id: &str) -> Result<Vec<DeadLetter>, LetterError> {
        let letters = self.letters.find(id).await?;
        if letters.is_empty() {
            return Err(LetterError::NoLetter { id: id.to_owned() });
        }
        Ok(letters)
    }

    /// Shows every letter that is meant, in the order of the queue, for an export that keeps none.
    ///
    /// # Errors
    /// [`LetterError::Queue`].
    pub async fn export(
        &self,
        filter: &LetterFilter,
        see: &mut (dyn FnMut(DeadLetter) + Send),
    ) -> Result<Seen, LetterError> {
        Ok(self.letters.look(&Selection::from(filter), see).await?)
    }

    /// Deletes letters for good, if they are as many as planned.
    ///
    /// # Errors
    /// [`LetterError::NoFilter`], [`LetterError::NotAsPlanned`], [`LetterError::InHand`], [`LetterError::Queue`] and [`LetterError::NotNoted`].
    pub async fn purge(&self, filter: &LetterFilter, planned: u64) -> Result<u64, LetterError> {
        if *filter == LetterFilter::default() {
            return Err(LetterError::NoFilter);
        }
        match self.letters.purge(&Selection::from(filter), planned).await? {
            Purged::Otherwise(found) => Err(LetterError::NotAsPlanned { planned, found }),
            Purged::InHand => Err(LetterError::InHand),
            Purged::AsPlanned(0) => Ok(0),
            Purged::AsPlanned(count) => {
                let noted = self.note(What::LettersPurged { filter: filter.clone(), count }).await;
                noted.map_err(|source| LetterError::NotNoted { done: format!("{count} were deleted"), source })?;
                Ok(count)
            }
        }
    }

    /// Changes the message of one letter, which stays a dead letter until it is replayed. Returns the names of the fields
    /// that changed.
    ///
    /// # Errors
    /// [`LetterError::NoLetter`], [`LetterError::Edit`] naming the field, [`LetterError::Changed`], [`LetterError::Queue`] and
    /// [`LetterError::NotNoted`].
    pub async fn edit(&self, id: &str, edit: &Edit) -> Result<Vec<String>, LetterError> {
        // Of an edit that was interrupted, the letter that went through it; where nothing is left to change in that one,
        // the other: so the same command ends what it began.
        let mut letters = self.find(id).await?;
        letters.sort_by_key(edited_at);
        while let Some(letter) = letters.pop() {
            let applied = edit.apply(&letter, &self.settings, clock::now());
            let is_done = matches!(applied, Err(EditError::Nothing)) && !letters.is_empty();
            if is_done {
                continue;
            }
            let (edited, takedown, fields) = applied?;
            if self.letters.replace(&letter, &edited).await? == 0 {
                return Err(LetterError::Changed { id: id.to_owned() });
            }
            let what = What::LetterEdited { id: takedown.id, account: takedown.account, fields: fields.clone() };
            let noted = self.note(what).await;
            noted.map_err(|source| LetterError::NotNoted { done: format!("{id} was changed"), source })?;
            return Ok(fields);
        }
        Err(LetterError::NoLetter { id: id.to_owned() })
    }

    async fn note(&self, what: What) -> Result<(), QueueError> {
        self.log.note(&Notice { at: clock::now(), by: self.settings.by.clone(), what }).await
    }
}
