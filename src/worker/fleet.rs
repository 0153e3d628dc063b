//! Keeps a replica in its fleet: beats, hears, and gives the accounts their shares of the rate.
//!
//! Promise: no account calls anyone before a lease of listening, and none goes on calling once this replica no longer
//! hears itself; a broker that is gone, or holds publishers back, stops the calls within the fence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::cause::chain;
use crate::domain::fleet::{AccountBeat, Demand, Heartbeat, Member};
use crate::domain::ids::AccountId;
use crate::limits::Sharing;
use crate::limits::fleet::{Fleet, Pace};
use crate::limits::part::Part;
use crate::limits::prefetch::resized;
use crate::queue::Queue;
use crate::queue::amqp::fleet::{AmqpFleet, FleetSession};
use crate::worker::context::{Account, Context};

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
    let is_shared = |account: &Arc<Account>| account.limits.settings().sharing.needs_fleet();
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
        let mut seat = Seat { fleet, session, line: &line, accounts: &accounts, pace };
        let ended = tokio::select! {
            () = leave.cancelled() => None,
            cause = seat.keep() => Some(cause),
        };
        match ended {
            None => return seat.leave().await,
            Some(cause) => {
                tracing::warn!(%cause, "out of the fleet: no calls leave until it is heard again");
                shut(&accounts);
            }
        }
    }
}

/// A replica's place in one session.
struct Seat<'a> {
    fleet: Fleet,
    session: FleetSession,
    line: &'a AmqpFleet,
    accounts: &'a BTreeMap<AccountId, Arc<Account>>,
    pace: Pace,
}

impl Seat<'_> {
    /// Beats and hears until the session ends; returns why it did.
    async fn keep(&mut self) -> String {
        let mut timer = interval(self.pace.heartbeat);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut slowed, mut active) = (self.slowed(), self.active());
        loop {
            tokio::select! {
                _ = timer.tick() => {
                    if let Err(cause) = self.beat().await {
                        return cause;
                    }
                }
                heard = self.session.hear() => match heard {
                    Ok(bytes) => self.hear(&bytes),
                    Err(error) => return chain(&error),
                },
            }
            // The others should not go on at full speed until the next beat; and a lease begins with it.
            let (now_slowed, now_active) = (self.slowed(), self.active());
            if (now_slowed > slowed || now_active > active)
                && let Err(cause) = self.beat().await
            {
                return cause;
            }
            (slowed, active) = (now_slowed, now_active);
            self.share();
        }
    }

    fn slowed(&self) -> usize {
        self.accounts.values().filter(|account| account.limits.slowdown().is_some()).count()
    }

    /// Counts the accounts whose only active consumer this replica has.
    fn active(&self) -> usize {
        let is_active = |(id, account): &(&AccountId, &Arc<Account>)| match account.limits.settings().sharing {
            Sharing::Exclusive => self.line.is_active(id),
            Sharing::Fleet | Sharing::Static(_) => false,
        };
        self.accounts.iter().filter(is_active).count()
    }

    async fn beat(&mut self) -> Result<(), String> {
        let sticky = self.pace.lease() * STICKY_LEASES;
        let idle = Demand::idle_among(self.fleet.members(Instant::now()));
        let told = self.accounts.iter().map(|(id, account)| {
            let demand = match account.limits.settings().sharing {
                // Who stands by wants nothing, so that the active one has the whole; at a fail-over the rules of the
                // fleet keep the two apart.
                Sharing::Exclusive if self.line.is_active(id) => Demand::BUSY,
                Sharing::Exclusive => Demand::NONE,
                Sharing::Fleet | Sharing::Static(_) if account.limits.was_wanted_within(sticky) => Demand::BUSY,
                Sharing::Fleet | Sharing::Static(_) => idle,
            };
            (id.clone(), AccountBeat { demand, slowdown: account.limits.slowdown() })
        });
        let beat = self.fleet.beat(told.collect(), Instant::now());
        self.tell(&beat).await
    }

    async fn tell(&self, beat: &Heartbeat) -> Result<(), String> {
        match timeout(self.pace.fence(), self.session.tell(&beat.encode())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("the broker takes no beats".to_owned()),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let beat = match Heartbeat::decode(bytes) {
            Ok(beat) => beat,
            Err(error) => return tracing::warn!(error = %chain(&error), "a beat was not understood"),
        };
        for (id, told) in &beat.accounts {
            if let (Some(slowdown), Some(account)) = (told.slowdown, self.accounts.get(id)) {
                account.limits.hear_slowdown(slowdown);
            }
        }
        self.fleet.hear(&beat, Instant::now());
    }

    /// Gives every account what it may use until the next beat, or the fence.
    fn share(&self) {
        let now = Instant::now();
        let fair = 1.0 / f64::from(u32::try_from(self.fleet.members(now)).unwrap_or(u32::MAX));
        for (id, account) in self.accounts {
            let share = self.fleet.share(id, now);
            let settings = account.limits.settings();
            let soon = match settings.sharing {
                Sharing::Exclusive => 1.0,
                Sharing::Fleet | Sharing::Static(_) => fair,
            };
            account.limits.set_part(Part { now: share, soon, until: self.fleet.fenced_at() });
            if share > 0.0 && settings.sharing == Sharing::Fleet {
                // An idle replica may have its fair share as soon as messages come.
                self.line.resize(id, |now, most| resized(settings.rate, share.max(fair), now, most));
            }
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
