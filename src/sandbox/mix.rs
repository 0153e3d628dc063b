//! A mix of takedowns for rehearsals: both accounts, every fate, the same for the same seed.
//!
//! Of every hundred items about three are missing, three already off sale and two forbidden (Open Platform only).
//! Promise: for every item it says beforehand which ends are right, so that a rehearsal can be checked.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::domain::ids::{AccountId, BatchId, RequestId};
use crate::domain::outcome::Reason;
use crate::domain::secret::Secret;
use crate::domain::takedown::{Gateway, Item, MapiItem, OpenPlatformItem, Priority, Takedown};
use crate::sandbox::plan::draw;
use crate::sandbox::setup::{MAPI_ACCOUNT, OPEN_PLATFORM_ACCOUNT, Setup};
use crate::sandbox::{ItemState, Sandbox};

const ADMINISTRATORS: [&str; 3] = ["douban_admin", "night_desk", "复核员"];
const REASONS: [Option<&str>; 6] = [
    None,
    Some("假冒货，严厉打击"),
    Some("侵权：商标&专利 (100%)"),
    Some("prohibited: counterfeit / replica"),
    Some("虚假宣传 + 价格欺诈"),
    Some("用户投诉=3; 复核通过"),
];

/// Ends that any item may come to if its attempts, or its account's time, ran out.
pub const GIVEN_UP: &[Reason] =
    &[Reason::AttemptsExhausted, Reason::OutcomeUnknown, Reason::UnknownCode, Reason::HeldTooLong];

/// Takedowns, and the states their items are to be in beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// The takedowns, accounts alternating; all of batch `mix-<seed>`.
    pub takedowns: Vec<Takedown>,
    /// States of the items that are not simply on sale.
    pub states: BTreeMap<String, ItemState>,
}

/// How an item's end compares with what was to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The right end.
    Right,
    /// One of [`GIVEN_UP`]: right only if faults were dense enough.
    GaveUp,
    /// No faults explain it.
    Wrong,
}

impl Mix {
    /// Mixes `items` takedowns for a setup's accounts and merchants.
    #[must_use]
    pub fn new(items: usize, seed: u64, setup: &Setup) -> Self {
        let mut mix = Self { takedowns: Vec::with_capacity(items), states: BTreeMap::new() };
        for number in 0..items {
            let turn = u64::try_from(number).unwrap_or(u64::MAX);
            let (fate, taste) = draw(seed, "mix", turn);
            let gateway = if number % 2 == 0 { Gateway::OpenPlatform } else { Gateway::Mapi };
            let (account, item) = match gateway {
                Gateway::Mapi => (MAPI_ACCOUNT, Item::Mapi(goods(seed, turn, taste))),
                Gateway::OpenPlatform => (OPEN_PLATFORM_ACCOUNT, Item::OpenPlatform(plug_in(seed, turn, taste, setup))),
            };
            let state = state(gateway, fate);
            if state != ItemState::OnSale {
                mix.states.insert(item.label(), state);
            }
            mix.takedowns.push(Takedown {
                id: RequestId::new(format!("mix-{seed}-{number:06}")).expect("invariant: letters, digits and dashes"),
                account: AccountId::new(account).expect("invariant: both account names are account names"),
                batch: Some(BatchId::new(format!("mix-{seed}")).expect("invariant: letters, digits and dashes")),
                deadline: None,
                priority: if taste < 0.05 { Priority::High } else { Priority::Normal },
                item,
            });
        }
        mix
    }

    /// Puts the items of a sandbox into their states.
    pub fn prepare(&self, sandbox: &Sandbox) {
        for (item, state) in &self.states {
            sandbox.set_item(item, *state);
        }
    }

    /// Returns the state an item is in beforehand.
    #[must_use]
    pub fn state(&self, takedown: &Takedown) -> ItemState {
        self.states.get(&takedown.item.label()).copied().unwrap_or(ItemState::OnSale)
    }

    /// Compares the end an item came to with those that were to be expected.
    #[must_use]
    pub fn judge(&self, takedown: &Takedown, reason: Reason) -> Verdict {
        if expected(self.state(takedown)).contains(&reason) {
            Verdict::Right
        } else if GIVEN_UP.contains(&reason) {
            Verdict::GaveUp
        } else {
            Verdict::Wrong
        }
    }
}

/// Returns the right ends of an item that was in this state.
///
/// What was off sale from the start reads as taken down earlier once an ambiguous attempt or a redelivery precedes the
/// gateway's answer; nobody can tell then.
#[must_use]
pub fn expected(state: ItemState) -> &'static [Reason] {
    match state {
        ItemState::OnSale => &[Reason::TakenDown, Reason::TakenDownEarlier, Reason::AlreadyOff],
        ItemState::OffSale => &[Reason::NotOnSale, Reason::TakenDownEarlier, Reason::AlreadyOff],
        ItemState::Missing => &[Reason::ItemNotFound],
        ItemState::Forbidden => &[Reason::NoPermission],
    }
}

fn state(gateway: Gateway, fate: f64) -> ItemState {
    // mapi has no code for the forbidden, so the other half carries both shares.
    if fate < 0.03 {
        ItemState::Missing
    } else if fate < 0.06 {
        ItemState::OffSale
    } else if fate < 0.10 && gateway == Gateway::OpenPlatform {
        ItemState::Forbidden
    } else {
        ItemState::OnSale
    }
}

fn goods(seed: u64, turn: u64, taste: f64) -> MapiItem {
    let sns_user_id = (*pick(&ADMINISTRATORS, taste)).to_owned();
    // A binding key as the interface document shows one: a date and 32 hex digits.
    let digest = Sha256::digest(sns_user_id.as_bytes());
    let digits: String = digest[..16].iter().map(|byte| format!("{byte:02X}")).collect();
    MapiItem {
        sns_user_id,
        key: Secret::new(format!("20110417{digits}")),
        close_reason: pick(&REASONS, (taste * 37.0).fract()).map(ToOwned::to_owned),
        goods_id: Some(format!("2026{:05}{turn:011}", seed % 100_000)),
    }
}

fn plug_in(seed: u64, turn: u64, taste: f64, setup: &Setup) -> OpenPlatformItem {
    // Every third call is the app's own.
    let is_own = setup.merchants.is_empty() || taste < 1.0 / 3.0;
    let merchant = (!is_own).then(|| pick(&setup.merchants, (taste * 41.0).fract()).0.clone());
    OpenPlatformItem {
        commodity_id: format!("2026{:07}{turn:011}", seed % 10_000_000),
        shop_id: format!("201505200007700000000{:07}", turn % 97),
        merchant,
        app_auth_token: None,
    }
}

/// Picks by a number in 0..1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "0..len")]
fn pick<T>(from: &[T], number: f64) -> &T {
    &from[((number * from.len() as f64) as usize).min(from.len() - 1)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::signing::SignType;
    use crate::signing::charset::Charset;

    fn mix(items: usize, seed: u64) -> Mix {
        Mix::new(items, seed, &Setup::generate(SignType::Md5).unwrap())
    }

    #[test]
    fn the_same_seed_gives_the_same_mix_and_another_another() {
        let setup = Setup::generate(SignType::Md5).unwrap();
        assert_eq!(Mix::new(300, 7, &setup), Mix::new(300, 7, &setup));
        assert_ne!(Mix::new(300, 7, &setup).states, Mix::new(300, 8, &setup).states);
    }

    #[test]
    fn every_takedown_is_valid_and_no_two_share_an_id_or_an_item() {
        let mix = mix(2000, u64::MAX);
        let ids: BTreeSet<_> = mix.takedowns.iter().map(|takedown| &takedown.id).collect();
        let items: BTreeSet<_> = mix.takedowns.iter().map(|takedown| takedown.item.label()).collect();
        assert_eq!((ids.len(), items.len()), (2000, 2000));
        for takedown in &mix.takedowns {
            assert_eq!(Takedown::decode(&takedown.encode()).as_ref(), Ok(takedown));
        }
    }

    #[test]
    fn every_text_fits_every_charset() {
        for text in ADMINISTRATORS.iter().chain(REASONS.iter().flatten()) {
            assert!(Charset::Gb2312.encode(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_shares_are_about_right() {
        let mix = mix(10_000, 1);
        let count = |state| mix.states.values().filter(|found| **found == state).count();
        let shares = (count(ItemState::Missing), count(ItemState::OffSale), count(ItemState::Forbidden));
        assert!((250..350).contains(&shares.0) && (250..350).contains(&shares.1), "{shares:?}");
        assert!((150..250).contains(&shares.2), "{shares:?}");
    }

    #[test]
    fn ends_are_judged_by_the_state_beforehand() {
        let mut mix = mix(1, 1);
        let takedown = mix.takedowns[0].clone();
        mix.states.insert(takedown.item.label(), ItemState::Missing);
        assert_eq!(mix.judge(&takedown, Reason::ItemNotFound), Verdict::Right);
        assert_eq!(mix.judge(&takedown, Reason::OutcomeUnknown), Verdict::GaveUp);
        assert_eq!(mix.judge(&takedown, Reason::TakenDown), Verdict::Wrong);
    }
}
