//! Keeps a replica in its fleet: beats, hears, gives the accounts their shares of the rate, and passes on their holds.
//!
//! Promise: no account calls anyone before a lease of listening, and none goes on calling once this replica no longer
//! hears itself; a broker that is gone, or holds publishers back, stops the calls within the fence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::cause::chain;
use crate::domain::fleet::hold::Order;
use crate::domain::fleet::standing::ReplicaStanding;
use crate::domain::fleet::{AccountBeat, Demand, Heartbeat, Member};
use crate::domain::ids::AccountId;
use crate::limits::Sharing;
use crate::limits::fleet::Fleet;
use crate::limits::part::Part;
use crate::limits::pause::seat::Seat;
use crate::limits::prefetch::resized;
use crate::limits::standing::Standing;
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

/// A replica's membership; none where there is no broker.
pub(super) struct Membership {
    task: Option<JoinHandle<()>>,
    leaving: CancellationToken,
}

/// Enters the fleet, where the queue has a way to others. Accounts whose rate is shared call nobody until they are given
/// a share, so this comes before the first message is taken; of the others only the holds are told and heard.
pub(super) fn enter<Q: Queue>(queue: &Q, context: &Arc<Context>) -> Membership {
    let leaving = CancellationToken::new();
    let task = queue.fleet().filter(|_| !context.accounts.is_empty()).map(|line| {
        let me = Member { worker: context.worker.clone(), epoch: rand::random() };
        let news = Arc::new(Notify::new());
        for account in context.accounts.values() {
            account.limits.join(Seat::outside(me.epoch, context.pace.lease()), Arc::clone(&news));
        }
        shut(&context.accounts);
        tokio::spawn(stay(line, Arc::clone(context), me, news, leaving.clone()))
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

fn is_shared(account: &Account) -> bool {
    account.limits.settings().sharing.needs_fleet()
}

/// Takes the accounts that share their rate off the air until they are given a share.
fn shut(accounts: &BTreeMap<AccountId, Arc<Account>>) {
    for account in accounts.values().filter(|account| is_shared(account)) {
        account.limits.set_part(Part { now: 0.0, soon: 1.0, until: None });
    }
}

async fn stay(line: AmqpFleet, context: Arc<Context>, me: Member, news: Arc<Notify>, leave: CancellationToken) {
    let (pace, accounts) = (context.pace, &context.accounts);
    loop {
        let session = tokio::select! {
            () = leave.cancelled() => return,
            session = line.join() => session,
        };
        let Some(session) = session else { return };
        // What was told between two sessions was not heard, so everything heard before counts for nothing.
        let fleet = Fleet::new(me.clone(), pace, Instant::now());
        let quiet_until = Instant::now();
        let mut place = Place {
            fleet,
            session,
            line: &line,
            context: &context,
            news: &news,
            quiet_until,
            members: 0,
            told_at: None,
        };
        let ended = tokio::select! {
            () = leave.cancelled() => None,
            cause = place.keep() => Some(cause),
        };
        match ended {
            None => return place.leave().await,
            Some(cause) => {
                tracing::warn!(%cause, "out of the fleet: no calls leave until it is heard again");
                shut(accounts);
                for account in accounts.values() {
                    account.limits.take_seat(Seat::outside(me.epoch, pace.lease()));
                }
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

/// What a beat tells beside what the others act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// Also how the replica stands with each account, for people: the greater part of a beat.
    Everything,
    /// Nothing; such beats may follow each other at ten times the pace.
    News,
}

/// A replica's place in one session.
struct Place<'a> {
    fleet: Fleet,
    session: FleetSession,
    line: &'a AmqpFleet,
    context: &'a Context,
    /// Told when a hold changed or the gateway asked for fewer calls, so that the others need not wait for the next beat.
    news: &'a Notify,
    /// No news is told before this: a flood of changes must not become one of beats.
    quiet_until: Instant,
    /// As told last.
    members: usize,
    /// When a word was last said on what is wrong with the beats of others.
    told_at: Option<Instant>,
}

impl Place<'_> {
    /// Beats and hears until the session ends; returns why it did.
    async fn keep(&mut self) -> String {
        let mut timer = interval(self.context.pace.heartbeat);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut active = self.active();
        loop {
            let due = tokio::select! {
                _ = timer.tick() => Some(Telling::Everything),
                () = news(self.news, self.quiet_until) => Some(Telling::News),
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
                    None
                }
            };
            // A lease begins with the beat that tells of an account taken over.
            let was_active = std::mem::replace(&mut active, self.active());
            if let Some(telling) = due.or((active > was_active).then_some(Telling::News))
                && let Err(cause) = self.beat(telling).await
            {
                return cause;
            }
            self.share();
        }
    }

    /// Counts the accounts whose only active consumer this replica has.
    fn active(&self) -> usize {
        let is_active = |(id, account): &(&AccountId, &Arc<Account>)| match account.limits.settings().sharing {
            Sharing::Exclusive => self.line.is_active(id),
            Sharing::Fleet | Sharing::Static(_) => false,
        };
        self.context.accounts.iter().filter(is_active).count()
    }

    async fn beat(&mut self, telling: Telling) -> Result<(), String> {
        let pace = self.context.pace;
        let sticky = pace.lease() * STICKY_LEASES;
        let idle = Demand::idle_among(self.fleet.members(Instant::now()));
        let told = self.context.accounts.iter().map(|(id, account)| {
            let limits = &account.limits;
            let demand = match limits.settings().sharing {
                Sharing::Static(_) => Demand::NONE,
                // Who stands by wants nothing, so that the active one has the whole; at a fail-over the rules of the
                // fleet keep the two apart.
                Sharing::Exclusive if self.line.is_active(id) => Demand::BUSY,
                Sharing::Exclusive => Demand::NONE,
                Sharing::Fleet if limits.was_wanted_within(sticky) => Demand::BUSY,
                Sharing::Fleet => idle,
            };
            let (holds, order) = limits.tell_holds();
            let slowdown = limits.slowdown().filter(|_| is_shared(account));
            let spent = limits.tell_spent(self.context.now().wall);
            let standing = (telling == Telling::Everything).then(|| self.standing(id, account));
            (id.clone(), AccountBeat { demand, slowdown, holds, order, spent, standing })
        });
        let beat = self.fleet.beat(told.collect(), Instant::now());
        self.quiet_until = Instant::now() + pace.heartbeat / 10;
        self.tell(&beat).await
    }

    /// Says how this replica stands with an account, for people.
    fn standing(&self, id: &AccountId, account: &Account) -> ReplicaStanding {
        let Standing { share, factor, bound, .. } = account.limits.standing();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        // Finer than a millionth nobody sees it, and every beat would carry sixteen digits.
        let rounded = |part: f64| (part * 1e6).round() / 1e6;
        ReplicaStanding {
            share: rounded(share),
            rate: rounded(account.limits.settings().rate.per_second()),
            factor: rounded(factor),
            in_flight: count(account.limits.in_flight()),
            in_hand: count(self.line.in_hand(id)),
            called: account.tally.called(),
            ended: account.tally.ended(),
            bound,
            cut_off: account.tally.told_cut_off(),
        }
    }

    async fn tell(&self, beat: &Heartbeat) -> Result<(), String> {
        match timeout(self.context.pace.fence(), self.session.tell(&beat.encode())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("the broker takes no beats".to_owned()),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        match Order::decode(bytes) {
            Ok(Some(order)) => return self.obey(&order),
            Ok(None) => {}
            Err(error) => return self.complain(&format!("an order was not understood: {}", chain(&error))),
        }
        let beat = match Heartbeat::decode(bytes) {
            Ok(beat) => beat,
            Err(error) => return self.complain(&format!("a beat was not understood: {}", chain(&error))),
        };
        // One's own word comes back older than it was; heeded, it would last a little longer with every echo.
        let is_echo = self.fleet.is_own(&beat);
        for (id, told) in &beat.accounts {
            let Some(account) = self.context.accounts.get(id) else { continue };
            if let Some(slowdown) = told.slowdown.filter(|_| !is_echo && is_shared(account)) {
                account.limits.hear_slowdown(slowdown);
            }
            if let Some(spent) = told.spent {
                account.limits.hear_spent(spent, beat.member.epoch, self.context.now().wall);
            }
            for change in account.limits.hear_holds(&told.holds, beat.member.epoch) {
                self.context.tell(&WorkerEvent::HoldHeard { account: id.clone(), change });
            }
        }
        self.fleet.hear(&beat, Instant::now());
    }

    /// Carries out what a person ordered.
    fn obey(&self, order: &Order) {
        let change = self.context.accounts.get(&order.account).and_then(|account| account.limits.obey(order));
        if let Some(change) = change {
            self.context.tell(&WorkerEvent::HoldHeard { account: order.account.clone(), change });
        }
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
        for (id, account) in &self.context.accounts {
            account.limits.take_seat(self.fleet.seat(id, now));
            let (settings, share) = (account.limits.settings(), self.fleet.share(id, now));
            let soon = match settings.sharing {
                Sharing::Static(_) => continue,
                Sharing::Exclusive => 1.0,
                Sharing::Fleet => fair,
            };
            account.limits.set_part(Part { now: share, soon, until: self.fleet.fenced_at() });
            if share > 0.0 && settings.sharing == Sharing::Fleet {
                // An idle replica may have its fair share as soon as messages come.
                self.line.resize(id, |now, most| resized(settings.rate, share.max(fair), now, most));
            }
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
        shut(&self.context.accounts);
        let beat = self.fleet.beat(BTreeMap::new(), Instant::now());
        if let Err(cause) = self.tell(&beat).await {
            tracing::debug!(%cause, "left without a word: the others wait for a lease");
        }
        if timeout(Duration::from_secs(2), self.session.close()).await.is_err() {
            tracing::debug!("the broker did not confirm the end of a fleet session");
        }
    }
}

/// Waits for news, but not for those of the last moment. Cancel safe: news not waited for stay.
async fn news(news: &Notify, quiet_until: Instant) {
    sleep_until(quiet_until).await;
    news.notified().await;
}
