//! What the sandbox remembers: items, faults still to play, requests seen; and what becomes of one authentic call.
//!
//! Both gateways ask [`State::play`] what to say and put it into their own words. Promise: an item leaves sale at most
//! once, and [`Seen::took_effect`] says with which call.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::sandbox::allowance::Allowance;
use crate::sandbox::faults::{Effect, Fault, Faults};
use crate::sandbox::nonces::Nonces;
use crate::sandbox::open_platform::TOLERANCE;
use crate::sandbox::plan::Plan;
use crate::sandbox::{App, ItemState, MapiPartner, SandboxClock, SandboxSettings, Seen};
use crate::signing::charset::Charset;

/// Requests kept for [`State::seen`]; later ones are served but not remembered (about 150 bytes each).
const MOST_SEEN: usize = 1_000_000;

/// A number no certificate has, as far as anybody knows.
const UNKNOWN_CERTIFICATE: &str = "00000000000000000000000000000000";

/// Everything a running sandbox knows.
#[derive(Debug)]
pub(super) struct State {
    /// mapi partners.
    pub(super) partners: Vec<MapiPartner>,
    /// Open Platform apps.
    pub(super) apps: Vec<App>,
    /// Time every answer takes.
    pub(super) latency: Duration,
    /// Declares mapi failures in this charset.
    pub(super) mapi_failure_charset: Charset,
    /// Nonces of protocol v3.
    pub(super) nonces: Nonces,
    allowance: Option<Allowance>,
    clock: SandboxClock,
    seed: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    items: BTreeMap<String, Shelf>,
    plan: Plan,
    seen: Vec<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Shelf {
    state: ItemState,
    turns: u64,
}

/// What is to be answered, before a gateway puts it into its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// Taken down, or so it is claimed.
    Success(Seal),
    /// The gateway's business says no.
    Refusal(Refusal),
    /// Too many calls.
    Throttled,
    /// No document.
    Garbage,
    /// Nothing, for [`crate::sandbox::SILENCE`].
    Silence,
    /// Nothing: the connection is reset.
    Reset,
}

/// How a success is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// As it should be.
    Signed,
    /// Not at all.
    Unsigned,
    /// With a signature of other bytes.
    Wrong,
}

/// Why a well-formed call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The item is not on sale.
    NotOnSale,
    /// No such item.
    Missing,
    /// The caller has no right to it.
    Forbidden,
    /// The system is busy.
    SystemError,
    /// A code no table lists.
    Unlisted,
    /// The signature is called wrong although it is not.
    IllegalSign,
}

/// What becomes of one authentic call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    /// What to answer.
    pub(super) say: Say,
    /// The fault that was played.
    pub(super) fault: Option<Fault>,
    /// Whether the item left sale with this call.
    pub(super) took_effect: bool,
}

impl Turn {
    /// Returns the time the answer takes beyond the usual.
    pub(super) fn delay(&self) -> Duration {
        if let Some(Fault::Latency(delay)) = self.fault { delay } else { Duration::ZERO }
    }

    /// Returns the charset to answer in, given the one the answer should have.
    pub(super) fn charset(&self, usual: Charset) -> Charset {
        if self.fault == Some(Fault::Gbk) { Charset::Gbk } else { usual }
    }

    /// Returns the number of the certificate to name in an answer, given the one it is signed with.
    pub(super) fn certificate<'a>(&self, usual: &'a str) -> &'a str {
        if self.fault == Some(Fault::UnknownCertificate) { UNKNOWN_CERTIFICATE } else { usual }
    }
}

impl State {
    /// Starts with nothing seen and every item on sale.
    pub(super) fn new(settings: SandboxSettings) -> Self {
        let plan = Plan::new(settings.faults, settings.seed);
        Self {
            partners: settings.partners,
            apps: settings.apps,
            latency: settings.latency,
            allowance: settings.period.and_then(Allowance::new),
            mapi_failure_charset: settings.mapi_failure_charset,
            // A timestamp passes from this long before its moment to this long after.
            nonces: Nonces::new(TOLERANCE * 2),
            clock: settings.clock,
            seed: settings.seed,
            inner: Mutex::new(Inner { items: BTreeMap::new(), plan, seen: Vec::new() }),
        }
    }

    /// Returns the time the gateways go by.
    pub(super) fn now(&self) -> SystemTime {
        match self.clock {
            SandboxClock::System => clock::now(),
            SandboxClock::Fixed(time) => time,
        }
    }

    /// Carries out one authentic call on an item, with the fault that is its turn, unless the caller calls too often.
    pub(super) fn play(&self, caller: &str, item: &str) -> Turn {
        if self.allowance.as_ref().is_some_and(|allowance| !allowance.take(caller)) {
            return Turn { say: Say::Throttled, fault: None, took_effect: false };
        }
        let mut inner = self.lock();
        let Inner { items, plan, .. } = &mut *inner;
        let shelf = items.entry(item.to_owned()).or_insert(Shelf { state: ItemState::OnSale, turns: 0 });
        shelf.turns += 1;
        let fault = plan.next(item, shelf.turns);
        let is_carried_out = match &fault {
            Some(Fault::SystemError(effect) | Fault::Timeout(effect) | Fault::Reset(effect)) => {
                *effect == Effect::Taken
            }
            Some(Fault::Throttled | Fault::UnlistedCode | Fault::IllegalSign) => false,
            Some(
                Fault::Garbage
                | Fault::UnsignedSuccess
                | Fault::BadSignature
                | Fault::Gbk
                | Fault::Latency(_)
                | Fault::UnknownCertificate,
            )
            | None => true,
        };
        let before = shelf.state;
        let took_effect = is_carried_out && before == ItemState::OnSale;
        if took_effect {
            shelf.state = ItemState::OffSale;
        }
        let say = match &fault {
            Some(Fault::SystemError(_)) => Say::Refusal(Refusal::SystemError),
            Some(Fault::Timeout(_)) => Say::Silence,
            Some(Fault::Reset(_)) => Say::Reset,
            Some(Fault::Garbage) => Say::Garbage,
            Some(Fault::UnsignedSuccess) => Say::Success(Seal::Unsigned),
            Some(Fault::BadSignature) => Say::Success(Seal::Wrong),
            Some(Fault::Throttled) => Say::Throttled,
            Some(Fault::UnlistedCode) => Say::Refusal(Refusal::Unlisted),
            Some(Fault::IllegalSign) => Say::Refusal(Refusal::IllegalSign),
            Some(Fault::Gbk | Fault::Latency(_) | Fault::UnknownCertificate) | None => match before {
                ItemState::OnSale => Say::Success(Seal::Signed),
                ItemState::OffSale => Say::Refusal(Refusal::NotOnSale),
                ItemState::Missing => Say::Refusal(Refusal::Missing),
                ItemState::Forbidden => Say::Refusal(Refusal::Forbidden),
            },
        };
        Turn { say, fault, took_effect }
    }

    /// Remembers a request.
    pub(super) fn record(&self, seen: Seen) {
        let mut inner = self.lock();
        if inner.seen.len() < MOST_SEEN {
            inner.seen.push(seen);
        }
    }

    /// Returns every request remembered, oldest first.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// Sets one item's state.
    pub(super) fn set_item(&self, item: &str, state: ItemState) {
        let mut inner = self.lock();
        inner.items.entry(item.to_owned()).or_insert(Shelf { state, turns: 0 }).state = state;
    }

    /// Returns one item's state; one nobody has named is on sale.
    pub(super) fn item(&self, item: &str) -> ItemState {
        self.lock().items.get(item).map_or(ItemState::OnSale, |shelf| shelf.state)
    }

    /// Returns every item that was named or called.
    pub(super) fn items(&self) -> BTreeMap<String, ItemState> {
        self.lock().items.iter().map(|(item, shelf)| (item.clone(), shelf.state)).collect()
    }

    /// Changes what goes wrong from now on.
    pub(super) fn set_faults(&self, faults: Faults) {
        self.lock().plan = Plan::new(faults, self.seed);
    }

    // Nothing under this lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(faults: &str) -> State {
        State::new(SandboxSettings { faults: Faults::parse([], faults).unwrap(), ..SandboxSettings::default() })
    }

    #[test]
    fn a_second_takedown_finds_the_item_off_sale() {
        let state = state("");
        assert_eq!(state.play("caller", "a").say, Say::Success(Seal::Signed));
        let second = state.play("caller", "a");
        assert_eq!((second.say, second.took_effect), (Say::Refusal(Refusal::NotOnSale), false));
    }

    #[test]
    fn what_a_fault_does_to_the_item_is_what_it_says() {
        let table = [
            ("system_error:taken", Say::Refusal(Refusal::SystemError), ItemState::OffSale),
            ("system_error:not_taken", Say::Refusal(Refusal::SystemError), ItemState::OnSale),
            ("timeout:taken", Say::Silence, ItemState::OffSale),
            ("timeout:not_taken", Say::Silence, ItemState::OnSale),
            ("reset:taken", Say::Reset, ItemState::OffSale),
            ("reset:not_taken", Say::Reset, ItemState::OnSale),
            ("garbage", Say::Garbage, ItemState::OffSale),
            ("unsigned_success", Say::Success(Seal::Unsigned), ItemState::OffSale),
            ("bad_signature", Say::Success(Seal::Wrong), ItemState::OffSale),
            ("throttled", Say::Throttled, ItemState::OnSale),
            ("gbk", Say::Success(Seal::Signed), ItemState::OffSale),
            ("latency:5ms", Say::Success(Seal::Signed), ItemState::OffSale),
            ("unlisted_code", Say::Refusal(Refusal::Unlisted), ItemState::OnSale),
            ("illegal_sign", Say::Refusal(Refusal::IllegalSign), ItemState::OnSale),
            ("unknown_certificate", Say::Success(Seal::Signed), ItemState::OffSale),
        ];
        for (fault, say, after) in table {
            let state = state(&format!("{{\"fault\":\"{fault}\"}}"));
            let turn = state.play("caller", "a");
            assert_eq!((turn.say, state.item("a")), (say, after), "{fault}");
            assert_eq!(turn.took_effect, after == ItemState::OffSale, "{fault}");
        }
    }

    #[test]
    fn a_lying_success_leaves_a_missing_item_missing() {
        let state = state("{\"fault\":\"unsigned_success\"}");
        state.set_item("a", ItemState::Missing);
        let turn = state.play("caller", "a");
        assert_eq!((turn.say, turn.took_effect), (Say::Success(Seal::Unsigned), false));
        assert_eq!(state.item("a"), ItemState::Missing);
    }
}
