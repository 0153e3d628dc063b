//! Items nobody has seen: as messages and as rows of a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use takedown::domain::outcome::{FinalOutcome, ItemIds, Reason};
use takedown::domain::takedown::Gateway;
use takedown::signing::SignType;

use crate::accounts::Account;

/// What sets the ids of one lot apart from every other's.
#[derive(Debug, Clone)]
pub(crate) struct Lot(String);

impl Lot {
    /// Begins one; ids hold the time, so that no journal of an earlier run knows them.
    pub(crate) fn new() -> Self {
        Self(format!("{:x}-{:04x}", jiff::Timestamp::now().as_millisecond(), rand::random::<u16>()))
    }

    /// Returns an item's id.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{}-{number:07}", self.0)
    }

    /// Returns a message, as a producer that is not ours would write it.
    pub(crate) fn message(&self, account: &Account, number: u64) -> Vec<u8> {
        let item = match account.sign_type {
            SignType::Rsa2 => format!(
                r#"{{"gateway":"open_platform","commodity_id":"{:021}","shop_id":"{}"}}"#,
                number + 100_000_000_000,
                shop(number)
            ),
            SignType::Md5 | SignType::Dsa | SignType::Rsa => format!(
                r#"{{"gateway":"mapi","sns_user_id":"douban_admin","key":"{KEY}","close_reason":"spam","goods_id":"{}"}}"#,
                goods(number)
            ),
        };
        let (id, name) = (self.id(number), &account.name);
        format!(r#"{{"version":1,"id":"{id}","account":"{name}","takedown":{item}}}"#).into_bytes()
    }

    /// Writes a CSV.
    pub(crate) fn write(&self, path: &Path, account: &Account, numbers: Range<u64>) -> Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let name = &account.name;
        match account.sign_type {
            SignType::Rsa2 => {
                writeln!(file, "id,account,gateway,commodity_id,shop_id")?;
                for number in numbers {
                    let (id, shop, commodity) = (self.id(number), shop(number), number + 100_000_000_000);
                    writeln!(file, "{id},{name},open_platform,{commodity:021},{shop}")?;
                }
            }
            SignType::Md5 | SignType::Dsa | SignType::Rsa => {
                writeln!(file, "id,account,gateway,sns_user_id,key,close_reason,goods_id")?;
                for number in numbers {
                    writeln!(file, "{},{name},mapi,douban_admin,{KEY},spam,{}", self.id(number), goods(number))?;
                }
            }
        }
        Ok(file.flush()?)
    }
}

/// A binding key of the form and length the interface document shows.
const KEY: &str = "2011041715294812A3F09C55E1D7B684220A9F71";

fn goods(number: u64) -> u64 {
    1_000_000_000_000_000_000 + number
}

fn shop(number: u64) -> u64 {
    2_015_052_000_077_000_000 + number
}

/// Returns an outcome as a worker tells it, of the usual length.
pub(crate) fn outcome(account: &str) -> Vec<u8> {
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_790_000_000_123);
    FinalOutcome {
        id: Lot::new().id(0),
        batch: None,
        account: account.to_owned(),
        gateway: Some(Gateway::Mapi),
        reason: Reason::TakenDown,
        gateway_code: None,
        gateway_message: None,
        attempts: 1,
        deferrals: 0,
        first_seen: now,
        finished_at: now,
        verified: true,
        item: ItemIds { goods_id: Some(goods(0).to_string()), ..ItemIds::default() },
        worker: "machine-12345".to_owned(),
        replays: 0,
    }
    .encode()
}
