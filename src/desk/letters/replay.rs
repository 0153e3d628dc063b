//! Carrying out a plan: paced, watched, stopped and resumed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::cancelled::Tally;
use super::pacer::Pacer;
use super::{Cancelled, LetterDesk, LetterError, plans};
use crate::clock;
use crate::domain::ids::{AccountId, PlanId, RequestId};
use crate::domain::notice::ledger::Ledger;
use crate::domain::notice::{LetterFilter, Plan, ReplayEnd, What};
use crate::queue::letters::{DeadLetter, DeadLetters, Left, Replay, ReplaySession, Seen, Selection, edited_at};
use crate::queue::{DeskLog, QueueError};

/// Letters put back to work in one step where the rate allows it.
const STEP: usize = 64;

/// Waits for leave longer than this are not spent with letters in hand.
const PATIENCE: Duration = Duration::from_secs(30);

/// How fast and how far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReplayPace {
    /// Letters a second; `None` is each account's configured rate, or no bound where none is known.
    pub rate: Option<f64>,
    /// At most so many letters; the rest waits for the next time.
    pub limit: Option<u64>,
}

/// How far a replay has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayProgress {
    /// Letters there were to replay when this run began.
    pub total: u64,
    /// Letters this run has put back to work.
    pub replayed: u64,
    /// What it is doing.
    pub state: ReplayState,
    /// How long the rest takes, once that can be told.
    pub left: Option<Duration>,
    /// Letters it meant when it began whose batch was cancelled.
    pub cancelled: Vec<Cancelled>,
    /// Whether it saw all letters when it began; those in somebody else's hands are left to another run.
    pub seen: Seen,
}

/// What a replay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplayState {
    /// Counts what there is.
    #[default]
    Counting,
    /// Puts letters back to work.
    Running,
    /// Is over.
    Ended(ReplayEnd),
}

/// One run of a plan.
struct Run<'a> {
    selection: Selection,
    replay: Replay,
    pace: ReplayPace,
    progress: &'a watch::Sender<ReplayProgress>,
    stop: &'a CancellationToken,
    began: Instant,
}

impl<D: DeadLetters, L: DeskLog> LetterDesk<D, L> {
    /// Carries out a plan, or goes on with it; `progress` is told of each step, and `stop` ends it between two.
    ///
    /// Every letter is put back to work by a confirmed publish before it stops being a letter (RabbitMQ), or in one
    /// transaction (embedded). Killed in between, the letter is there for the next run; its second message is of the same
    /// round, in which an item has one outcome.
    ///
    /// # Errors
    /// [`LetterError::NoPlan`]; [`LetterError::Queue`] when the broker or the file failed it: run it again.
    ///
    /// # Cancel safety
    /// As after a `kill -9`.
    pub async fn replay(
        &self,
        id: &PlanId,
        pace: ReplayPace,
        progress: &watch::Sender<ReplayProgress>,
        stop: &CancellationToken,
    ) -> Result<ReplayProgress, LetterError> {
        let plan = self.plan_by_id(id).await?.plan;
        self.carry_out(&plan, pace, progress, stop).await
    }

    /// Plans and replays one letter at once. Returns how many copies there were.
    ///
    /// # Errors
    /// [`LetterError::NoLetter`] and [`LetterError::Queue`].
    pub async fn replay_one(&self, id: &str) -> Result<u64, LetterError> {
        let missing = || LetterError::NoLetter { id: id.to_owned() };
        let filter = LetterFilter { id: Some(RequestId::new(id).map_err(|_| missing())?), ..LetterFilter::default() };
        let plan = match self.plan(&filter).await {
            Ok(planned) => planned.plan,
            Err(LetterError::NothingMeant) => return Err(missing()),
            Err(error) => return Err(error),
        };
        let progress = watch::Sender::new(ReplayProgress::default());
        let ended = self.carry_out(&plan, ReplayPace::default(), &progress, &CancellationToken::new()).await?;
        Ok(ended.replayed)
    }

    async fn carry_out(
        &self,
        plan: &Plan,
        pace: ReplayPace,
        progress: &watch::Sender<ReplayProgress>,
        stop: &CancellationToken,
    ) -> Result<ReplayProgress, LetterError> {
        self.note(What::ReplayBegan { plan: plan.id.clone(), rate: pace.rate }).await?;
        let mut run = Run {
            selection: Selection::from(plan),
            replay: Replay { plan: Some(plan.id.clone()), by: self.settings.by.clone(), at: clock::now() },
            pace,
            progress,
            stop,
            began: Instant::now(),
        };
        let ran = self.run(&mut run).await;
        let how = ran.as_ref().copied().unwrap_or(ReplayEnd::Failed);
        progress.send_modify(|progress| progress.state = ReplayState::Ended(how));
        let ended = progress.borrow().clone();
        let noted = self.note(What::ReplayEnded { plan: plan.id.clone(), replayed: ended.replayed, how }).await;
        ran?;
        let done = format!("{} were put back to work", ended.replayed);
        noted.map_err(|source| LetterError::NotNoted { done, source })?;
        Ok(ended)
    }

    async fn run(&self, run: &mut Run<'_>) -> Result<ReplayEnd, QueueError> {
        let stale = tokio::select! {
            biased;
            () = run.stop.cancelled() => return Ok(ReplayEnd::Cancelled),
            counted = self.count(run) => counted?,
        };
        run.selection = run.selection.clone().without_stale(stale);
        let run = &*run;
        for account in self.letters.accounts(&run.selection).await? {
            let rate = run.pace.rate.or_else(|| self.settings.rates.get(&account).copied());
            if let Some(end) = self.run_account(run, &account, &mut Pacer::new(rate)).await? {
                return Ok(end);
            }
        }
        Ok(ReplayEnd::Finished)
    }

    /// Tells what there is to do, and returns which letters were edited when: what an interrupted edit left as it was is
    /// not to be worked beside what was made of it.
    async fn count(&self, run: &Run<'_>) -> Result<BTreeMap<(String, u32), SystemTime>, QueueError> {
        let mut tally = Tally::new(Ledger::of(&self.log.notices().await?));
        let (mut total, mut edited) = (0, BTreeMap::new());
        let mut see = |letter: DeadLetter| {
            if run.selection.means(&letter) {
                total += 1;
                tally.note(&letter);
            }
            if let Some(at) = edited_at(&letter) {
                let last = edited.entry((letter.id, letter.envelope.replays)).or_insert(at);
                *last = at.max(*last);
            }
        };
        let seen = self.letters.look(&run.selection.whole_accounts(), &mut see).await?;
        run.progress.send_modify(|progress| {
            (progress.total, progress.seen, progress.cancelled) = (total, seen, tally.told());
            progress.state = ReplayState::Running;
        });
        Ok(edited)
    }

    /// Replays one account's letters, session after session; `None` once none is left.
    async fn run_account(
        &self,
        run: &Run<'_>,
        account: &AccountId,
        pacer: &mut Pacer,
    ) -> Result<Option<ReplayEnd>, QueueError> {
        loop {
            let mut session = self.letters.session(account, &run.selection, &run.replay, run.stop).await?;
            let ran = run.session(&mut session, pacer).await;
            let closed = session.close().await;
            let pause = match ran? {
                Pause::Over(end) => return closed.map(|()| end),
                Pause::Short => Duration::ZERO,
                Pause::For(wait) => wait,
            };
            closed?;
            tokio::select! {
                () = run.stop.cancelled() => return Ok(Some(ReplayEnd::Cancelled)),
                () = sleep(pause) => {}
            }
        }
    }
}

/// Why a session ended.
enum Pause {
    /// The account's letters are all at work, or the run is over.
    Over(Option<ReplayEnd>),
    /// It lasted long enough.
    Short,
    /// The next letter may not go for a while.
    For(Duration),
}

impl Run<'_> {
    async fn session<S: ReplaySession>(&self, session: &mut S, pacer: &mut Pacer) -> Result<Pause, QueueError> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(Pause::Over(Some(ReplayEnd::Cancelled)));
            }
            let done = self.progress.borrow().replayed;
            let most = self.pace.limit.map_or(u64::MAX, |limit| limit.saturating_sub(done));
            if most == 0 {
                return Ok(Pause::Over(Some(ReplayEnd::Limited)));
            }
            let count = match pacer.leave(STEP.min(usize::try_from(most).unwrap_or(STEP))) {
                Ok(count) => count,
                Err(wait) if wait > PATIENCE => return Ok(Pause::For(wait)),
                Err(wait) => {
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = sleep(wait) => {}
                    }
                    continue;
                }
            };
            let step = session.step(count).await?;
            pacer.went(step.replayed);
            self.tell(step.replayed);
            match step.left {
                Left::Some => {}
                Left::Other => return Ok(Pause::Short),
                Left::Nothing => return Ok(Pause::Over(None)),
            }
        }
    }

    fn tell(&self, replayed: u64) {
        self.progress.send_modify(|progress| {
            progress.replayed += replayed;
            let rest = self.pace.limit.map_or(progress.total, |limit| limit.min(progress.total));
            let rest = rest.saturating_sub(progress.replayed);
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let rate = progress.replayed as f64 / self.began.elapsed().as_secs_f64().max(0.001);
            progress.left = if progress.replayed == 0 { None } else { plans::pace(rest, rate) };
        });
    }
}
