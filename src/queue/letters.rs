//! Dead letters as a port: what an operator may see of them and do with them.
//!
//! Promise, kept by both adapters: looking removes, changes and harms nothing, and shows the letters in the one order of
//! [`Place`], however they lie in the queue. A letter leaves only after its replay or its edited self is confirmed, or
//! when it is purged by number.

mod selection;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use crate::domain::history::{Entry, What};
use crate::domain::ids::{AccountId, PlanId, RequestId};
use crate::domain::notice::LetterFilter;
use crate::domain::outcome::{FinalOutcome, Reason};
use crate::domain::takedown::{Item, Priority, Takedown};
use crate::queue::QueueError;
use crate::queue::envelope::Envelope;

pub use crate::queue::letters::selection::{Selection, edited_at};

/// Letters put back to work at once where nobody sets a pace.
const AT_ONCE: usize = 64;

/// One dead letter, as an operator sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The takedown's id, or the digest standing for it.
    pub id: String,
    /// The account whose queue it came from.
    pub account: String,
    /// Why it died.
    pub reason: Reason,
    /// The outcome published for it.
    pub outcome: FinalOutcome,
    /// The message as it came; may hold secrets: mask before showing.
    pub body: Vec<u8>,
    /// What the queue knew about it.
    pub envelope: Envelope,
    /// When it died.
    pub died_at: SystemTime,
}

impl fmt::Debug for DeadLetter {
    /// Shows no body: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, account, reason, outcome, body, envelope, died_at } = self;
        f.debug_struct("DeadLetter")
            .field("id", id)
            .field("account", account)
            .field("reason", reason)
            .field("outcome", outcome)
            .field("body_bytes", &body.len())
            .field("envelope", envelope)
            .field("died_at", died_at)
            .finish()
    }
}

impl DeadLetter {
    /// Returns where it stands among the others.
    #[must_use]
    pub fn place(&self) -> Place {
        let since = self.died_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Place {
            died_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            account: self.account.clone(),
            id: self.id.clone(),
        }
    }

    /// Returns the takedown, if its message is one.
    #[must_use]
    pub fn takedown(&self) -> Option<Takedown> {
        Takedown::decode(&self.body).ok()
    }

    fn merchant(&self) -> Option<String> {
        match self.takedown()?.item {
            Item::OpenPlatform(item) => item.merchant.map(|merchant| merchant.to_string()),
            Item::Mapi(_) => None,
        }
    }

    /// Says whether a text, in small letters, is in what of it is shown; secrets are not looked at.
    fn holds(&self, text: &str) -> bool {
        let has = |shown: &str| shown.to_lowercase().contains(text);
        let some = |shown: &Option<String>| shown.as_deref().is_some_and(has);
        let FinalOutcome { batch, gateway_code, gateway_message, item, .. } = &self.outcome;
        has(&self.id)
            || has(&self.account)
            || has(self.reason.as_str())
            || [batch, gateway_code, gateway_message, &item.goods_id, &item.commodity_id, &item.shop_id]
                .into_iter()
                .any(some)
            || self.takedown().is_some_and(|takedown| match &takedown.item {
                Item::Mapi(item) => has(&item.sns_user_id) || some(&item.close_reason) || some(&item.goods_id),
                Item::OpenPlatform(item) => {
                    has(&item.commodity_id)
                        || has(&item.shop_id)
                        || item.merchant.as_ref().is_some_and(|merchant| has(merchant.as_str()))
                }
            })
    }
}

/// Where a letter stands: by its death, then by account and id. Written `<milliseconds>.<account>.<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    died_ms: u64,
    account: String,
    id: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.died_ms, self.account, self.id)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.splitn(3, '.');
        let place = (|| {
            let died_ms = parts.next()?.parse().ok()?;
            Some(Self { died_ms, account: parts.next()?.to_owned(), id: parts.next()?.to_owned() })
        })();
        place.ok_or("is no place in the list; take the one that the page before ended with")
    }
}

/// Whether a look saw every letter there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seen {
    /// It did.
    #[default]
    All,
    /// Somebody else had letters in hand meanwhile, so that there may be more.
    NotAll,
}

impl Seen {
    /// Returns what two looks saw between them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == Self::All { other } else { self }
    }
}

/// Some letters, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// How many there are in all that are meant.
    pub total: u64,
    /// Where the next page goes on; `None` on the last.
    pub next: Option<Place>,
    /// Whether these are all that are meant.
    pub seen: Seen,
}

/// How letters are put back to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The plan, if it is one.
    pub plan: Option<PlanId>,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub at: SystemTime,
}

impl Replay {
    /// Returns the envelope of a letter put back to work this way.
    pub(in crate::queue) fn envelope(&self, letter: &Envelope) -> Envelope {
        let plan = self.plan.as_ref().map_or("", PlanId::as_str);
        let entry = Entry::new(What::Replay, letter.attempt, plan, &self.by, self.at);
        Envelope { plan: self.plan.clone(), ..letter.replayed(entry) }
    }
}

/// What a step of a [`ReplaySession`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many letters were put back to work.
    pub replayed: u64,
    /// Whether there may be more.
    pub left: Left,
}

/// What is left after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Perhaps some, for the next step.
    Some,
    /// Perhaps some, for a session of its own: this one has lasted long enough, or was told to stop.
    Other,
    /// None of what is meant.
    Nothing,
}

/// One account's letters in hand, being put back to work. Dropped, it lets go of the others.
pub trait ReplaySession: Send {
    /// Puts up to so many further letters back to work at once.
    ///
    /// # Cancel safety
    /// None: a letter may then be at work and still be a letter, and be put back to work once more; the outcome of its
    /// round is one all the same. Cancel by the token the session was opened with.
    fn step(&mut self, count: usize) -> impl Future<Output = Result<Step, QueueError>> + Send;

    /// Lets go of the others.
    fn close(self) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// What a purge came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purged {
    /// So many were deleted, as planned.
    AsPlanned(u64),
    /// There are so many, other than planned; none was deleted.
    Otherwise(u64),
    /// Somebody else has letters in hand, so that nobody knows how many there are; none was deleted.
    InHand,
}

/// An edited letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The account it belongs to from now on.
    pub account: AccountId,
    /// The message.
    pub body: Vec<u8>,
    /// How urgent it is.
    pub priority: Priority,
    /// What its history says of the edit.
    pub entry: Entry,
}

impl Edited {
    /// Returns the envelope of the edited letter.
    pub(in crate::queue) fn envelope(&self, letter: &Envelope) -> Envelope {
        let mut envelope = Envelope { account: self.account.clone(), ..letter.clone() };
        envelope.history.push(self.entry.clone());
        envelope
    }
}

/// The dead letters of a queue, for operators.
pub trait DeadLetters: Send + Sync {
    /// Letters in hand.
    type Session: ReplaySession;

    /// Returns the accounts whose letters are meant.
    fn accounts(&self, selection: &Selection) -> impl Future<Output = Result<Vec<AccountId>, QueueError>> + Send;

    /// Shows every letter that is meant, in whatever order, without removing, reordering or harming any. Says whether
    /// somebody else had some in hand meanwhile.
    fn look(
        &self,
        selection: &Selection,
        see: &mut (dyn FnMut(DeadLetter) + Send),
    ) -> impl Future<Output = Result<Seen, QueueError>> + Send;

    /// Takes an account's letters in hand to put them back to work, for as long as a session may last.
    fn session(
        &self,
        account: &AccountId,
        selection: &Selection,
        replay: &Replay,
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<Self::Session, QueueError>> + Send;

    /// Puts an edited letter in the place of all that have this one's account, id and count of replays. Returns how many
    /// those were; none, and nothing is done, where this very letter is not there any more.
    fn replace(&self, letter: &DeadLetter, edited: &Edited) -> impl Future<Output = Result<u64, QueueError>> + Send;

    /// Deletes letters for good if they are as many as planned.
    fn purge(&self, selection: &Selection, planned: u64) -> impl Future<Output = Result<Purged, QueueError>> + Send;

    /// Reads some of the letters that are meant: those after a place, the oldest first, at most so many.
    fn page(
        &self,
        selection: &Selection,
        after: Option<&Place>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, QueueError>> + Send {
        async move {
            let (mut total, mut kept) = (0, BTreeMap::new());
            let mut see = |letter: DeadLetter| {
                // Two copies of one letter are shown as two.
                let key = (letter.place(), total);
                total += 1;
                if after.is_none_or(|after| key.0 > *after) {
                    kept.insert(key, letter);
                    // One more, to know whether there is a next page.
                    if kept.len() > limit.saturating_add(1) {
                        kept.pop_last();
                    }
                }
            };
            let seen = self.look(selection, &mut see).await?;
            let has_more = kept.len() > limit;
            if has_more {
                kept.pop_last();
            }
            let next = if has_more { kept.keys().next_back().map(|(place, _)| place.clone()) } else { None };
            Ok(Page { letters: kept.into_values().collect(), total, next, seen })
        }
    }

    /// Reads all the letters a filter means, the oldest first: for few, or for tests.
    fn list(&self, filter: &LetterFilter) -> impl Future<Output = Result<Vec<DeadLetter>, QueueError>> + Send {
        async move { Ok(self.page(&Selection::from(filter), None, usize::MAX).await?.letters) }
    }

    /// Finds the letters of an id; a letter without one that can be read has a digest instead, and so is found by text.
    fn find(&self, id: &str) -> impl Future<Output = Result<Vec<DeadLetter>, QueueError>> + Send {
        async move {
            let filter = LetterFilter { id: RequestId::new(id).ok(), ..LetterFilter::default() };
            let mut letters = self.list(&filter).await?;
            letters.retain(|letter| letter.id == id);
            Ok(letters)
        }
    }

    /// Puts all the letters that are meant back to work at once: for few. Returns how many.
    fn replay(&self, selection: &Selection, replay: &Replay) -> impl Future<Output = Result<u64, QueueError>> + Send {
        async move {
            let mut count = 0;
            for account in self.accounts(selection).await? {
                let mut left = Left::Other;
                while left != Left::Nothing {
                    let mut session = self.session(&account, selection, replay, &CancellationToken::new()).await?;
                    loop {
                        let step = session.step(AT_ONCE).await?;
                        count += step.replayed;
                        left = step.left;
                        if left != Left::Some {
                            break;
                        }
                    }
                    session.close().await?;
                }
            }
            Ok(count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_command_line() {
        let place = Place { died_ms: 1_790_000_000_123, account: "desk-1".into(), id: "a.b:c 1".into() };
        assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        assert!("t-1".parse::<Place>().is_err() && "1.desk".parse::<Place>().is_err());
    }
}
