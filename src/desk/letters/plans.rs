//! Plans: made, found again, and how far each has come.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::cancelled::Tally;
use super::groups::{self, Counted};
use super::{Cancelled, Group, LetterDesk, LetterError};
use crate::clock;
use crate::domain::ids::{AccountId, PlanId};
use crate::domain::notice::ledger::Ledger;
use crate::domain::notice::{LetterFilter, Notice, Plan, ReplayEnd, What};
use crate::queue::DeskLog;
use crate::queue::letters::{DeadLetters, Seen, Selection};

/// What a plan's id is made of: nothing that is taken for another when it is read out or typed.
const LETTERS: &[u8; 30] = b"abcdefghjkmnpqrstuvwxyz2345679";
const LENGTH: usize = 6;

/// A plan, and what it would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plan, noted in the operators' log.
    pub plan: Plan,
    /// What it means now, the largest group first.
    pub groups: Vec<Group>,
    /// Which of them would end as cancelled.
    pub cancelled: Vec<Cancelled>,
    /// Whether all were counted. Those in somebody else's hands are meant too, if they are letters still when it comes
    /// to them.
    pub seen: Seen,
    /// How long a replay takes at the accounts' configured rates; `None` where no rate is known.
    pub takes: Option<Duration>,
}

/// How a plan stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The plan.
    pub plan: Plan,
    /// When it was made.
    pub made_at: SystemTime,
    /// By whom.
    pub made_by: String,
    /// Letters put back to work so far, by the replays that came to an end of their own.
    pub replayed: u64,
    /// How the last of them ended; `None` if none began, or the last one still runs or was killed.
    pub ended: Option<ReplayEnd>,
    /// Whether one began.
    pub has_begun: bool,
}

impl<D: DeadLetters, L: DeskLog> LetterDesk<D, L> {
    /// Counts the letters that are meant, fixes a cut-off, and notes the plan.
    ///
    /// # Errors
    /// [`LetterError::NothingMeant`] and [`LetterError::Queue`].
    pub async fn plan(&self, filter: &LetterFilter) -> Result<Planned, LetterError> {
        let id = (0..LENGTH).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect::<String>();
        let id = PlanId::new(id).expect("invariant: letters and digits make an id");
        let mut plan = Plan { id, filter: filter.clone(), cut_off: clock::now(), count: 0 };
        let mut tally = Tally::new(Ledger::of(&self.log.notices().await?));
        let counted = groups::count(&self.letters, &Selection::from(&plan), &mut |letter| tally.note(letter)).await?;
        plan.count = counted.letters();
        let Counted { groups, seen } = counted;
        if plan.count == 0 {
            return Err(match seen {
                Seen::All => LetterError::NothingMeant,
                Seen::NotAll => LetterError::InHand,
            });
        }
        self.note(What::PlanMade(plan.clone())).await?;
        let mut counts = BTreeMap::new();
        for group in &groups {
            *counts.entry(group.account.clone()).or_insert(0) += group.count;
        }
        Ok(Planned { takes: self.takes(&counts), plan, groups, cancelled: tally.told(), seen })
    }

    /// Returns the plans in the operators' log, the newest first.
    ///
    /// # Errors
    /// [`LetterError::Queue`].
    pub async fn plans(&self) -> Result<Vec<Standing>, LetterError> {
        Ok(standings(self.log.notices().await?))
    }

    /// Finds a plan by its id, typed in capitals or not.
    ///
    /// # Errors
    /// [`LetterError::NoPlan`] and [`LetterError::Queue`].
    pub async fn plan_by_id(&self, id: &PlanId) -> Result<Standing, LetterError> {
        let is_meant = |standing: &Standing| standing.plan.id.as_str().eq_ignore_ascii_case(id.as_str());
        self.plans().await?.into_iter().find(is_meant).ok_or_else(|| LetterError::NoPlan { id: id.clone() })
    }

    /// Accounts are replayed one after the other, each at its own rate.
    fn takes(&self, counts: &BTreeMap<String, u64>) -> Option<Duration> {
        let mut sum = Duration::ZERO;
        for (account, count) in counts {
            let rate = self.settings.rates.get(&AccountId::new(account.as_str()).ok()?)?;
            sum += pace(*count, *rate)?;
        }
        Some(sum)
    }
}

/// Returns how long so many letters take at a rate.
pub(super) fn pace(count: u64, rate: f64) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let seconds = count as f64 / rate;
    Duration::try_from_secs_f64(seconds).ok()
}

fn standings(notices: Vec<Notice>) -> Vec<Standing> {
    let mut plans: Vec<Standing> = Vec::new();
    for Notice { at, by, what } in notices {
        match what {
            What::PlanMade(plan) => {
                plans.push(Standing { plan, made_at: at, made_by: by, replayed: 0, ended: None, has_begun: false })
            }
            What::ReplayBegan { plan, rate: _ } => {
                if let Some(standing) = find(&mut plans, &plan) {
                    standing.has_begun = true;
                    standing.ended = None;
                }
            }
            What::ReplayEnded { plan, replayed, how } => {
                if let Some(standing) = find(&mut plans, &plan) {
                    standing.replayed += replayed;
                    standing.ended = Some(how);
                }
            }
            What::BatchMade { .. }
            | What::BatchCancelled { .. }
            | What::LetterEdited { .. }
            | What::LettersPurged { .. } => {}
        }
    }
    plans.reverse();
    plans
}

fn find<'a>(plans: &'a mut [Standing], id: &PlanId) -> Option<&'a mut Standing> {
    plans.iter_mut().rev().find(|standing| standing.plan.id == *id)
}
