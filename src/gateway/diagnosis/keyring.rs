//! Every key the configuration holds, by whose it is: a signature made with the wrong one is then named for it.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::ids::AccountId;
use crate::gateway::GatewayAccount;
use crate::gateway::open_platform::GatewayKeys;
use crate::signing::recover::Inspector;
use crate::signing::{SignType, Verifier};

/// Whose key it is, seen from the account in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The account's own.
    Own,
    /// The gateway's, as the account has it configured.
    Gateway,
    /// The gateway's, of one certificate number.
    Certificate(String),
    /// Another account's own.
    OtherOwn(AccountId),
    /// The gateway's, as another account has it configured.
    OtherGateway(AccountId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("the account's own key"),
            Self::Gateway => f.write_str("the gateway's key"),
            Self::Certificate(number) => write!(f, "the gateway's key of certificate {number}"),
            Self::OtherOwn(account) => write!(f, "the own key of account `{account}`"),
            Self::OtherGateway(account) => write!(f, "the gateway key of account `{account}`"),
        }
    }
}

/// One key and whose it is.
pub(super) struct Party {
    pub(super) owner: Owner,
    pub(super) key: Inspector,
}

/// The keys of one configuration, those of the account in question first.
pub struct Keyring {
    pub(super) parties: Vec<Party>,
}

impl Keyring {
    /// Collects the keys of every account; `account` is the one in question.
    #[must_use]
    pub fn new(account: &AccountId, accounts: &BTreeMap<&AccountId, &GatewayAccount>) -> Self {
        let mut parties = Vec::new();
        let mut add = |owner, verifier: &Verifier| parties.push(Party { owner, key: verifier.inspector() });
        if let Some(this) = accounts.get(account) {
            add(Owner::Own, &this.own_verifier());
            for (number, verifier) in this.gateway_keys() {
                add(number.map_or(Owner::Gateway, |number| Owner::Certificate(number.to_owned())), verifier);
            }
        }
        for (id, other) in accounts.iter().filter(|(id, _)| **id != account) {
            add(Owner::OtherOwn((*id).clone()), &other.own_verifier());
            for (_, verifier) in other.gateway_keys() {
                add(Owner::OtherGateway((*id).clone()), verifier);
            }
        }
        Self { parties }
    }

    /// Returns the MD5 secrets, so that whoever prints can cover them.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.parties.iter().filter_map(|party| party.key.secret())
    }
}

impl GatewayAccount {
    fn own_verifier(&self) -> Verifier {
        match self {
            Self::Mapi(account) => account.signer.own_verifier(),
            Self::OpenPlatform(account) => account.signer.own_verifier(),
        }
    }

    /// Says whether a key configured as the gateway's verifies what the account itself signs (MD5 shares its secret).
    pub(super) fn gateway_key_is_own(&self) -> bool {
        const PROBE: &[u8] = b"takedown key probe";
        let signer = self.signer();
        let sign = signer.sign(PROBE).unwrap_or_default();
        signer.sign_type() != SignType::Md5
            && self.gateway_keys().iter().any(|(_, verifier)| verifier.is_valid(PROBE, &sign))
    }

    /// The gateway's keys, with their certificate numbers where they have any.
    fn gateway_keys(&self) -> Vec<(Option<&str>, &Verifier)> {
        match self {
            Self::Mapi(account) => vec![(None, &account.verifier)],
            Self::OpenPlatform(account) => match &account.keys {
                GatewayKeys::Single(verifier) => vec![(None, verifier)],
                GatewayKeys::ByCertificate(keys) => keys.iter().map(|(n, key)| (Some(n.as_str()), key)).collect(),
            },
        }
    }
}
