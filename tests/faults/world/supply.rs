//! What is put into a world: all its takedowns at once, in parts, or what is still missing once more.

use std::ops::Range;

use takedown::domain::takedown::Takedown;
use takedown::queue::Intake;
use takedown::queue::amqp::intake::AmqpIntake;

use super::{ODD, World};
use crate::support::broker;

impl World {
    /// Enqueues every takedown, once, and the odd messages; all are accepted by the broker when it returns.
    pub(crate) async fn enqueue(&self) {
        self.enqueue_part(0..self.mix.takedowns.len()).await;
    }

    /// Enqueues a part of the takedowns; the odd messages come with the last of them.
    pub(crate) async fn enqueue_part(&self, part: Range<usize>) {
        self.put(self.mix.takedowns[part.clone()].to_vec()).await;
        if part.end == self.mix.takedowns.len() {
            self.put_odd(|_| true).await;
        }
    }

    async fn put_odd(&self, is_wanted: impl Fn(&str) -> bool) {
        for (account, id, body, _) in ODD.into_iter().filter(|(_, id, ..)| is_wanted(id)) {
            let properties = lapin::BasicProperties::default().with_message_id(id.into());
            broker::publish(&self.settings, &self.settings.prefix, account, body.as_bytes(), properties).await;
        }
    }

    /// Enqueues again what has no outcome yet.
    pub(crate) async fn enqueue_again(&self) {
        let told = self.reader.book().told;
        let is_missing = |takedown: &&Takedown| !told.contains_key(takedown.id.as_str());
        self.put(self.mix.takedowns.iter().filter(is_missing).cloned().collect()).await;
        self.put_odd(|id| !told.contains_key(id)).await;
    }

    async fn put(&self, takedowns: Vec<Takedown>) {
        let intake = AmqpIntake::connect(&self.settings).await.unwrap();
        intake.enqueue(takedowns).await.unwrap();
        intake.close().await;
    }
}
