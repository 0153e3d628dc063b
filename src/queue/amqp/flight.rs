//! Messages on their way over one channel, and what the broker says of each.
//!
//! RabbitMQ returns an unroutable message before it confirms it, confirms of others may come in between, and lapin hands
//! what was returned to whichever confirm of the channel comes next. A flight has its channel to itself, so that every
//! return is of one of its own, and a return says of which. Promise: a message counts as taken only once it is confirmed
//! and every return that came before its confirm is known to be another's.

use std::time::Duration;

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};

use crate::domain::cause::chain;
use crate::queue::amqp::together::Together;

/// One message, made when it is sent.
#[derive(Debug, Clone)]
pub(super) struct Ready<B> {
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: B,
}

impl<B> Ready<B> {
    /// Says whether what was returned may be this message; it is, but for another of the same `message_id`.
    pub(super) fn is_like(&self, returned: &BasicReturnMessage) -> bool {
        self.routing_key == returned.delivery.routing_key
            && self.properties.message_id() == returned.delivery.properties.message_id()
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Landing {
    /// It is in a queue.
    Taken,
    /// The broker did not take it, and why.
    Refused(String),
    /// An error closed its channel, which may be about any message on it; it may be in a queue.
    Cut(String),
    /// The connection was lost before the broker told, or what it told is no proof; it may be in a queue.
    Lost,
}

/// Messages of one channel, by their number.
pub(super) struct Flight {
    answers: Together<'static, lapin::Result<Confirmation>>,
    has_landed: Vec<bool>,
}

impl Flight {
    /// Hands messages to lapin in their order, waiting for none.
    pub(super) fn launch<B: AsRef<[u8]> + Send + 'static>(
        channel: &Channel,
        exchange: &ShortString,
        messages: impl IntoIterator<Item = Ready<B>>,
    ) -> Self {
        let answers = messages.into_iter().map(|message| publish_on(channel.clone(), exchange.clone(), message));
        let answers = Together::begin(answers);
        let has_landed = answers.outputs().map(|_| false).collect();
        Self { answers, has_landed }
    }

    /// Waits until the broker has told of all, and gives up once it told of none more within a time; says whether it has.
    pub(super) async fn within(&mut self, patience: Duration) -> bool {
        self.answers.within(patience).await
    }

    /// Returns what became of those it is certain of, but for what it returned earlier. `is_like` says whether what came
    /// back may be the message of a number.
    pub(super) fn landed(&mut self, is_like: impl Fn(usize, &BasicReturnMessage) -> bool) -> Vec<(usize, Landing)> {
        // lapin tells of one confirm after another: what was returned before one that is known was handed to one that
        // this look finds, or follows behind one that was handed another.
        let known: Vec<bool> = self.answers.outputs().map(|answer| answer.is_some()).collect();
        self.answers.look();
        let is_over = self.answers.outputs().all(|answer| answer.is_some());
        let is_cut = self.answers.outputs().flatten().any(Result::is_err);
        let returned: Vec<_> = self.answers.outputs().flatten().filter_map(returned_with).collect();
        let mut landed = Vec::new();
        for (number, answer) in self.answers.outputs().enumerate() {
            let Some(answer) = answer.filter(|_| known[number] && !self.has_landed[number]) else { continue };
            let own = returned.iter().copied().find(|one| is_like(number, one));
            let is_carrier = returned_with(answer).is_some();
            if is_over || own.is_some() || !is_carrier {
                self.has_landed[number] = true;
                // What came back of itself may lie behind what it was handed, and nobody is handed anything any more.
                let is_uncertain = is_cut && is_carrier && own.is_none();
                landed.push((number, if is_uncertain { Landing::Lost } else { judge(answer, own) }));
            }
        }
        landed
    }
}

/// Publishes one message that has the channel to itself.
pub(super) async fn publish_alone<B: AsRef<[u8]>>(
    channel: &Channel,
    exchange: ShortString,
    message: Ready<B>,
) -> Landing {
    let answer = publish_on(channel.clone(), exchange, message).await;
    judge(&answer, returned_with(&answer))
}

async fn publish_on<B: AsRef<[u8]>>(
    channel: Channel,
    exchange: ShortString,
    message: Ready<B>,
) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let Ready { routing_key, properties, body } = message;
    let confirm = channel.basic_publish(exchange, routing_key, options, body.as_ref(), properties).await?;
    #[cfg(feature = "fault-points")]
    die_if_published(&channel).await?;
    confirm.await
}

/// A publish is only handed to lapin so far; once the broker answers what was asked after it, the broker has it.
#[cfg(feature = "fault-points")]
async fn die_if_published(channel: &Channel) -> lapin::Result<()> {
    use crate::fault_points::Point;
    if Point::Published.is_due() {
        channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await?;
        Point::Published.die();
    }
    Ok(())
}

/// Returns what came back with a confirm, whichever message of the channel it is.
fn returned_with(answer: &lapin::Result<Confirmation>) -> Option<&BasicReturnMessage> {
    match answer {
        Ok(Confirmation::Ack(returned) | Confirmation::Nack(returned)) => returned.as_ref(),
        Ok(Confirmation::NotRequested) | Err(_) => None,
    }
}

/// Judges a message by the answer to it, and by what came back of it.
fn judge(answer: &lapin::Result<Confirmation>, returned: Option<&BasicReturnMessage>) -> Landing {
    match (answer, returned) {
        (_, Some(returned)) => Landing::Refused(format!("returned as unroutable: {}", returned.reply_text)),
        (Ok(Confirmation::Ack(_)), None) => Landing::Taken,
        (Ok(Confirmation::Nack(_)), None) => Landing::Refused("refused by the broker (nack)".to_owned()),
        (Ok(Confirmation::NotRequested), None) => Landing::Refused("the channel does not confirm".to_owned()),
        // An error that ends the channel alone is about what was published on it.
        (Err(error), None) if error.is_amqp_soft_error() => Landing::Cut(chain(error)),
        (Err(error), None) => {
            tracing::debug!(%error, "the connection was lost under a message");
            Landing::Lost
        }
    }
}
