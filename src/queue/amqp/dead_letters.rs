//! Dead letters on the broker: looking without removing, replay, edit, purge.
//!
//! Letters are fetched one by one without an ack; what is left goes back when the channel closes, also after a kill -9.
//! Promise: a letter leaves only after what stands in for it is confirmed, or purged. Where it lies in its queue says
//! nothing: letters are shown in the order of their deaths.
//!
//! What others have in hand is not seen. The broker tells of a queue how many letters are ready and whether anybody
//! consumes, but not how many are in hand; so a walk waits a moment for the others, and says if it was not alone.
//!
//! Nothing is held for longer than five minutes and a walk: the broker closes the channel of one who holds a message for
//! longer than its `consumer_timeout`, 30 min by default (rabbitmq.com/docs/consumers, "Delivery Acknowledgement Timeout").

mod browser;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::Acker;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::browser::{Browser, Found};
use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::acker;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message;
use crate::queue::amqp::names::Names;
use crate::queue::amqp::publisher::{IN_FLIGHT, Outgoing, Publisher};
use crate::queue::amqp::topology::require_queue;
use crate::queue::letters::{
    DeadLetter, DeadLetters, Edited, Left, Purged, Replay, ReplaySession, Seen, Selection, Step,
};

/// Longest a replay keeps letters in hand: far below a third of the broker's patience, since a walk through a long queue
/// comes on top.
const LONGEST: Duration = Duration::from_secs(300);

/// The dead-letter queues, worked through account by account.
pub struct AmqpDeadLetters {
    desk: Arc<Desk>,
    accounts: Vec<AccountId>,
    /// What one holds another does not see, so that one walks at a time.
    walk: tokio::sync::Mutex<()>,
}

/// What a session needs as long as it lasts.
struct Desk {
    link: Arc<Link>,
    publisher: Publisher,
    names: Names,
}

impl AmqpDeadLetters {
    /// Connects; `accounts` is every account whose letters an empty filter means.
    ///
    /// # Errors
    /// [`QueueError::Connect`].
    pub async fn connect(settings: &AmqpSettings, accounts: Vec<AccountId>) -> Result<Self, QueueError> {
        let link = Arc::new(Link::open(settings, "dead letters").await?);
        let publisher = Publisher::open(settings).await?;
        let desk = Arc::new(Desk { link, publisher, names: Names::new(settings) });
        Ok(Self { desk, accounts, walk: tokio::sync::Mutex::default() })
    }

    /// Says whether the broker is there: without it, a look waits for it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.desk.link.is_connected()
    }

    /// Closes the connections in order; dropping does it in the background.
    pub async fn close(&self) {
        self.desk.link.close().await;
        self.desk.publisher.close().await;
    }

    fn meant<'a>(&'a self, selection: &'a Selection) -> &'a [AccountId] {
        if selection.accounts().is_empty() { &self.accounts } else { selection.accounts() }
    }
}

impl Desk {
    async fn browse(&self, account: &AccountId) -> Result<Browser, QueueError> {
        Browser::open(&self.link, self.names.dead(account), account.clone()).await
    }

    /// Puts one letter back to work and acks it once that is confirmed.
    async fn replay(&self, account: &AccountId, found: Found, replay: &Replay) -> Result<(), QueueError> {
        let Found { letter, message } = found;
        let outgoing = Outgoing {
            exchange: self.names.work_exchange(),
            routing_key: account.to_string(),
            properties: message::successor(&message.properties, &replay.envelope(&letter.envelope)),
            body: &letter.body,
        };
        self.publisher.publish(&outgoing, || message.acker.usable()).await?;
        fault_point!(Replaying);
        ack(&message.acker).await
    }
}

impl DeadLetters for AmqpDeadLetters {
    type Session = AmqpReplay;

    async fn accounts(&self, selection: &Selection) -> Result<Vec<AccountId>, QueueError> {
        Ok(self.meant(selection).to_vec())
    }

    async fn look(&self, selection: &Selection, see: &mut (dyn FnMut(DeadLetter) + Send)) -> Result<Seen, QueueError> {
        let _walk = self.walk.lock().await;
        let mut seen = Seen::All;
        for account in self.meant(selection) {
            let mut browser = self.desk.browse(account).await?;
            while let Some(found) = browser.next(selection).await? {
                see(found.letter);
            }
            seen = seen.and(browser.met());
            browser.close().await?;
        }
        Ok(seen)
    }

    async fn session(
        &self,
        account: &AccountId,
        selection: &Selection,
        replay: &Replay,
        stop: &CancellationToken,
    ) -> Result<AmqpReplay, QueueError> {
        require_queue(&self.desk.link, &self.desk.names.work(account)).await?;
        Ok(AmqpReplay {
            browser: self.desk.browse(account).await?,
            desk: Arc::clone(&self.desk),
            account: account.clone(),
            selection: selection.clone(),
            replay: replay.clone(),
            stop: stop.clone(),
            until: Instant::now() + LONGEST,
        })
    }

    async fn replace(&self, letter: &DeadLetter, edited: &Edited) -> Result<u64, QueueError> {
        let _walk = self.walk.lock().await;
        let Ok(account) = AccountId::new(letter.account.as_str()) else { return Ok(0) };
        let mut browser = self.desk.browse(&account).await?;
        let (mut copies, mut is_there, everything) = (Vec::new(), false, Selection::default());
        while let Some(Found { letter: found, message }) = browser.next(&everything).await? {
            if found.id == letter.id && found.envelope.replays == letter.envelope.replays {
                is_there |= found == *letter;
                copies.push(message);
            }
        }
        let count = match copies.first() {
            Some(message) if is_there => {
                let envelope = edited.envelope(&letter.envelope);
                let properties = message::dead(&message.properties, &envelope, &letter.outcome);
                let outgoing = Outgoing {
                    exchange: self.desk.names.dead_exchange(),
                    routing_key: edited.account.to_string(),
                    properties: message::ranked(properties, edited.priority),
                    body: &edited.body,
                };
                self.desk.publisher.publish(&outgoing, || message.acker.usable()).await?;
                for message in &copies {
                    ack(&message.acker).await?;
                }
                browser.note_acked(copies.len() as u64);
                copies.len() as u64
            }
            Some(_) | None => 0,
        };
        browser.close().await?;
        Ok(count)
    }

    async fn purge(&self, selection: &Selection, planned: u64) -> Result<Purged, QueueError> {
        let _walk = self.walk.lock().await;
        let (mut walks, mut seen) = (Vec::new(), Seen::All);
        for account in self.meant(selection) {
            let (mut browser, mut ackers) = (self.desk.browse(account).await?, Vec::new());
            while let Some(found) = browser.next(selection).await? {
                ackers.push(found.message.acker);
            }
            seen = seen.and(browser.met());
            walks.push((browser, ackers));
        }
        let count = walks.iter().map(|(_, ackers)| ackers.len() as u64).sum();
        let is_planned = count == planned && seen == Seen::All;
        for (mut browser, ackers) in walks {
            for acker in ackers.iter().filter(|_| is_planned) {
                ack(acker).await?;
                browser.note_acked(1);
            }
            browser.close().await?;
        }
        Ok(match seen {
            Seen::NotAll => Purged::InHand,
            Seen::All if is_planned => Purged::AsPlanned(count),
            Seen::All => Purged::Otherwise(count),
        })
    }
}

/// One account's letters being put back to work.
pub struct AmqpReplay {
    desk: Arc<Desk>,
    browser: Browser,
    account: AccountId,
    selection: Selection,
    replay: Replay,
    stop: CancellationToken,
    until: Instant,
}

impl ReplaySession for AmqpReplay {
    async fn step(&mut self, count: usize) -> Result<Step, QueueError> {
        let (mut found, mut left) = (Vec::new(), Left::Some);
        while found.len() < count.min(IN_FLIGHT) {
            // A walk through many others may take its time.
            if self.stop.is_cancelled() || Instant::now() >= self.until {
                left = Left::Other;
                break;
            }
            match self.browser.step(&self.selection).await? {
                browser::Step::Meant(letter) => found.push(*letter),
                browser::Step::Other => {}
                browser::Step::End => {
                    left = Left::Nothing;
                    break;
                }
            }
        }
        let mut replays: FuturesUnordered<_> =
            found.into_iter().map(|letter| self.desk.replay(&self.account, letter, &self.replay)).collect();
        let (mut replayed, mut failed) = (0, None);
        // Those in flight end beside the one that failed.
        while let Some(ended) = replays.next().await {
            match ended {
                Ok(()) => replayed += 1,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        drop(replays);
        self.browser.note_acked(replayed);
        failed.map_or(Ok(Step { replayed, left }), Err)
    }

    async fn close(self) -> Result<(), QueueError> {
        self.browser.close().await
    }
}

async fn ack(acker: &Acker) -> Result<(), QueueError> {
    match acker::ack(acker).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(QueueError::Stale),
        Err(error) => Err(broker_error("ack a dead letter", error)),
    }
}
