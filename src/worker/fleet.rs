//! Keeps a replica in its fleet: beats, hears, and gives the accounts their shares of the rate.
//!
//! Promise: no account calls anyone before a lease of listening, and none goes on calling once this replica no longer
//! hears itself; a broker that is gone, or holds publishers back, stops the calls within the fence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::cause::chain;
use crate::domain::fleet::{AccountBeat, Demand, Heartbeat, Member};
use crate::domain::ids::AccountId;
use crate::limits::Sharing;
use crate::limits::fleet::{Fleet, Pace};
use crate::limits::part::Part;
use crate::queue::Queue;
use crate::queue::amqp::fleet::{AmqpFleet, FleetSession};
use crate::worker::context::{Account, Context};
use crate::worker::event::WorkerEvent;

/// Beats taken in before the shares are reckoned anew, so that a flood of them costs little.
const BEATS_AT_ONCE: usize = 256;

/// Least time from one word on beats that are not understood to the next.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// Leases for which an account counts as busy after it was last wanted, so that shares do not swing.
const STICKY_LEASES: u32 = 2;

/// A replica's membership; none where no account is shared.
pub(super) struct Membership {
    task: Option<JoinHandle<()>>,
    leaving: CancellationToken,
}

/// Enters the fleet for the accounts that are shared by it, where the queue has a way to others. Those accounts call
/// nobody until they are given a share; so this comes before the first message is taken.
pub(super) fn enter<Q: Queue>(queue: &Q, context: &Arc<Context>) -> Membership {
    let leaving = CancellationToken::new();
    let is_shared = |account: &Arc<Account>| account.limits.settings().sharing == Sharing::Fleet;
    let shared = context.accounts.iter().filter(|(_, account)| is_shared(account));
    let accounts: BTreeMap<AccountId, Arc<Account>> =
        shared.map(|(id, account)| (id.clone(), Arc::clone(account))).collect();
    let task = queue.fleet().filter(|_| !accounts.is_empty()).map(|line| {
        shut(&accounts);
        tokio::spawn(stay(line, Arc::clone(context), accounts, leaving.clone()))
    });
    Membership { task, leaving }
}

impl Membership {
    /// Leaves, after the last call.
    pub(super) async fn leave(self) {
        self.leaving.cancel();
        if let Some(task) = self.task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the task that kept the fleet failed");
        }
    }
}

/// Takes accounts off the air until they are given a share.
fn shut(accounts: &BTreeMap<AccountId, Arc<Account>>) {
    for account in accounts.values() {
        account.limits.set_part(Part { now: 0.0, soon: 1.0, until: None });
    }
}

async fn stay(
    line: AmqpFleet,
    context: Arc<Context>,
    accounts: BTreeMap<AccountId, Arc<Account>>,
    leave: CancellationToken,
) {
    let pace = context.pace;
    let me = Member { worker: context.worker.clone(), epoch: rand::random() };
    loop {
        let session = tokio::select! {
            () = leave.cancelled() => return,
            session = line.join() => session,
        };
        let Some(session) = session else { return };
        // What was told between two sessions was not heard, so everything heard before counts for nothing.
        let fleet = Fleet::new(me.clone(), pace, Instant::now());
        let mut seat = Seat { fleet, session, accounts: &accounts, context: &context, members: 0, told_at: None };
        let ended = tokio::select! {
            () = leave.cancelled() => None,
            cause = seat.keep() => Some(cause),
        };
        match ended {
            None => return seat.leave().await,
            Some(cause) => {
                tracing::warn!(%cause, "out of the fleet: no calls leave until it is heard again");
                shut(&accounts);
                context.tell(&WorkerEvent::FleetChanged { members: 0 });
            }
        }
        // A session that ends as soon as it is open must not be opened without end.
        tokio::select! {
            () = leave.cancelled() => return,
            () = sleep(pace.heartbeat) => {}
        }
    }
}

/// A replica's place in one session.
struct Seat<'a> {
    fleet: Fleet,
    session: FleetSession,
    accounts: &'a BTreeMap<AccountId, Arc<Account>>,
    context: &'a Context,
    /// As told last.
    members: usize,
    /// When a word was last said on what is wrong with the beats of others.
    told_at: Option<Instant>,
}

impl Seat<'_> {
    /// Beats and hears until the session ends; returns why it did.
    async fn keep(&mut self) -> String {
        let mut timer = interval(self.pace().heartbeat);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut slowed = self.slowed();
        loop {
            tokio::select! {
                _ = timer.tick() => {
                    if let Err(cause) = self.beat().await {
                        return cause;
                    }
                }
                heard = self.session.hear() => {
                    let (mut heard, mut left) = (Some(heard), BEATS_AT_ONCE);
                    while let Some(beat) = heard {
                        match beat {
                            Ok(bytes) => self.hear(&bytes),
                            Err(error) => return chain(&error),
                        }
                        left -= 1;
                        heard = if left > 0 { self.session.hear().now_or_never() } else { None };
                    }
                }
            }
            // The others should not go on at full speed until the next beat.
            let now_slowed = self.slowed();
            if now_slowed > slowed
                && let Err(cause) = self.beat().await
            {
                return cause;
            }
            slowed = now_slowed;
            self.share();
        }
    }

    fn pace(&self) -> Pace {
        self.context.pace
    }

    fn slowed(&self) -> usize {
        self.accounts.values().filter(|account| account.limits.slowdown().is_some()).count()
    }

    async fn beat(&mut self) -> Result<(), String> {
        let sticky = self.pace().lease() * STICKY_LEASES;
        let idle = Demand::idle_among(self.fleet.members(Instant::now()));
        let told = self.accounts.iter().map(|(id, account)| {
            let demand = if account.limits.was_wanted_within(sticky) { Demand::BUSY } else { idle };
            (id.clone(), AccountBeat { demand, slowdown: account.limits.slowdown() })
        });
        let beat = self.fleet.beat(told.collect(), Instant::now());
        self.tell(&beat).await
    }

    async fn tell(&self, beat: &Heartbeat) -> Result<(), String> {
        match timeout(self.pace().fence(), self.session.tell(&beat.encode())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("the broker takes no beats".to_owned()),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let beat = match Heartbeat::decode(bytes) {
            Ok(beat) => beat,
            Err(error) => return self.complain(&format!("a beat was not understood: {}", chain(&error))),
        };
        // One's own word comes back older than it was; heeded, it would last a little longer with every echo.
        let is_echo = self.fleet.is_own(&beat);
        for (id, told) in &beat.accounts {
            if let (false, Some(slowdown), Some(account)) = (is_echo, told.slowdown, self.accounts.get(id)) {
                account.limits.hear_slowdown(slowdown);
            }
        }
        self.fleet.hear(&beat, Instant::now());
    }

    /// Gives every account what it may use until the next beat, or the fence.
    fn share(&mut self) {
        let now = Instant::now();
        let members = self.fleet.members(now);
        if members != self.members {
            self.members = members;
            self.context.tell(&WorkerEvent::FleetChanged { members });
        }
        if self.fleet.is_crowded(now) {
            self.complain(
                "more replicas than a fleet can have: no calls leave; who publishes to the fleet's exchange?",
            );
        }
        let fair = 1.0 / f64::from(u32::try_from(members).unwrap_or(u32::MAX));
        for (id, account) in self.accounts {
            let part = Part { now: self.fleet.share(id, now), soon: fair, until: self.fleet.fenced_at() };
            account.limits.set_part(part);
        }
    }

    /// Says what is wrong with others' beats, now and then: they come every second.
    fn complain(&mut self, problem: &str) {
        let now = Instant::now();
        if self.told_at.is_none_or(|told| now.saturating_duration_since(told) >= TOLD_EVERY) {
            self.told_at = Some(now);
            tracing::warn!("{problem}");
        }
    }

    /// Tells the others that no call follows.
    async fn leave(mut self) {
        shut(self.accounts);
        let beat = self.fleet.beat(BTreeMap::new(), Instant::now());
        if let Err(cause) = self.tell(&beat).await {
            tracing::debug!(%cause, "left without a word: the others wait for a lease");
        }
        if timeout(Duration::from_secs(2), self.session.close()).await.is_err() {
            tracing::debug!("the broker did not confirm the end of a fleet session");
        }
    }
}
