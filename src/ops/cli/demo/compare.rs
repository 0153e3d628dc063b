//! Whether the demo told the truth: each outcome against what the gateways know.

use std::collections::BTreeMap;

use crate::domain::outcome::{FinalOutcome, Reason, Status};
use crate::domain::takedown::Takedown;
use crate::sandbox::mix::{Mix, Verdict};
use crate::sandbox::{ItemState, Sandbox};

/// The result of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Comparison {
    /// Items whose end is the right one.
    pub(super) right: u64,
    /// Items given up because their faults were too many.
    pub(super) given_up: u64,
    /// Items whose end nothing explains.
    pub(super) wrong: u64,
    /// Items told as off sale that the gateway still sells.
    pub(super) still_on_sale: u64,
    /// Items without an outcome.
    pub(super) missing: u64,
    /// Outcome ids met more than once, which a consumer drops.
    pub(super) repeated: u64,
}

impl Comparison {
    /// Compares.
    pub(super) fn new(mix: &Mix, sandbox: &Sandbox, outcomes: &[FinalOutcome]) -> Self {
        let mut by_id: BTreeMap<&str, &FinalOutcome> = BTreeMap::new();
        let mut comparison = Self::default();
        for outcome in outcomes {
            if by_id.insert(&outcome.id, outcome).is_some() {
                comparison.repeated += 1;
            }
        }
        for takedown in &mix.takedowns {
            match by_id.get(takedown.id.as_str()) {
                None => comparison.missing += 1,
                Some(outcome) => comparison.judge(mix, sandbox, takedown, outcome),
            }
        }
        comparison
    }

    fn judge(&mut self, mix: &Mix, sandbox: &Sandbox, takedown: &Takedown, outcome: &FinalOutcome) {
        let is_on_sale = sandbox.item(&takedown.item.label()) == ItemState::OnSale;
        if outcome.status() == Status::Success && is_on_sale {
            self.still_on_sale += 1;
        }
        let verdict = match (takedown.deadline, outcome.reason) {
            (Some(_), Reason::DeadlinePassed) if is_on_sale => Verdict::Right,
            (Some(_), _) => Verdict::Wrong,
            (None, reason) => mix.judge(takedown, reason),
        };
        match verdict {
            Verdict::Right => self.right += 1,
            Verdict::GaveUp => self.given_up += 1,
            Verdict::Wrong => self.wrong += 1,
        }
    }

    /// Says whether nothing was lost and nothing told falsely.
    pub(super) fn is_sound(&self) -> bool {
        self.wrong == 0 && self.still_on_sale == 0 && self.missing == 0
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::outcome::sample::sample;
    use crate::sandbox::SandboxSettings;
    use crate::sandbox::setup::Setup;
    use crate::signing::SignType;

    use super::*;

    fn outcome(takedown: &Takedown, reason: Reason) -> FinalOutcome {
        FinalOutcome {
            id: takedown.id.to_string(),
            account: takedown.account.to_string(),
            gateway: Some(takedown.item.gateway()),
            ..sample(reason)
        }
    }

    #[tokio::test]
    async fn lies_and_losses_are_found() {
        let mut mix = Mix::new(4, 1, &Setup::generate(SignType::Md5).unwrap());
        mix.states.clear();
        let sandbox = Sandbox::start(SandboxSettings::default()).await.unwrap();
        let [taken, lied, given_up, lost] = mix.takedowns.as_slice() else { panic!("four items") };
        sandbox.set_item(&taken.item.label(), ItemState::OffSale);
        let outcomes = [
            outcome(taken, Reason::TakenDown),
            outcome(taken, Reason::TakenDown),
            outcome(lied, Reason::TakenDown),
            outcome(given_up, Reason::OutcomeUnknown),
        ];
        let comparison = Comparison::new(&mix, &sandbox, &outcomes);
        let expected = Comparison { right: 2, given_up: 1, wrong: 0, still_on_sale: 1, missing: 1, repeated: 1 };
        assert_eq!(comparison, expected, "{lost:?}");
        assert!(!comparison.is_sound());
        let wrong = Comparison::new(&mix, &sandbox, &[outcome(taken, Reason::NoPermission)]);
        assert_eq!(wrong.wrong, 1);
    }
}
