//! One set of queues on the broker, under a prefix of its own; gone with its owner.

use anyhow::Result;
use takedown::domain::ids::AccountId;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::topology::Topology;

use crate::accounts::Account;
use crate::bare::{self, Message};
use crate::broker::unique_prefix;
use crate::items::Lot;
use crate::stage::Stage;

/// Unconfirmed publishes while filling.
const WINDOW: usize = 2000;

/// Queues of some accounts.
pub(crate) struct Queues<'a> {
    stage: &'a Stage,
    pub(crate) prefix: String,
    pub(crate) url: String,
    topology: Topology,
    settings: AmqpSettings,
}

impl<'a> Queues<'a> {
    /// Declares them as a worker would.
    pub(crate) fn declare(stage: &'a Stage, accounts: &[Account]) -> Result<Self> {
        let url = stage.url();
        let settings = AmqpSettings { prefix: unique_prefix(), ..AmqpSettings::new(url.clone()) };
        let ids = accounts.iter().map(|account| AccountId::new(&account.name)).collect::<Result<Vec<_>, _>>()?;
        let topology = Topology::new(&settings, &ids);
        stage.block_on(topology.apply(&settings))?;
        Ok(Self { stage, prefix: settings.prefix.clone(), url, topology, settings })
    }

    /// Puts messages into an account's queue.
    pub(crate) fn fill(&self, lot: &Lot, account: &Account, count: u64) -> Result<()> {
        self.fill_all(lot, std::slice::from_ref(account), count)
    }

    /// Puts messages into the queues of accounts, by turns.
    pub(crate) fn fill_all(&self, lot: &Lot, accounts: &[Account], count: u64) -> Result<()> {
        let messages = (0..count).zip(accounts.iter().cycle()).map(|(number, account)| Message {
            key: account.name.clone(),
            id: lot.id(number),
            body: lot.message(account, number),
        });
        self.stage.block_on(bare::publish(&self.url, &self.prefix, messages, WINDOW))
    }

    /// Returns the name of an account's work queue.
    pub(crate) fn work(&self, account: &Account) -> String {
        format!("{}.work.{}", self.prefix, account.name)
    }

    /// Returns the configuration's part of it.
    pub(crate) fn configuration(&self) -> String {
        format!("[amqp]\nurl = \"{}\"\nprefix = \"{}\"\n", self.url, self.prefix)
    }
}

impl Drop for Queues<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.stage.block_on(self.topology.delete(&self.settings)) {
            eprintln!("the queues of {} were not deleted: {error}", self.prefix);
        }
    }
}
