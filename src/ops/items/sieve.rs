//! What a row must be beyond a well-formed takedown: of an account there is, and not there twice.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::domain::hex::hex;
use crate::domain::ids::{AccountId, RequestId};
use crate::domain::takedown::{Gateway, Item, Takedown};
use crate::ops::items::Options;
use crate::ops::items::rows::{Candidate, IdOrigin, PLACEHOLDER_ID};
use crate::ops::items::seen::{Digest, Seen};

/// Sorts rows into accepted and rejected.
pub(super) struct Sieve<'a> {
    options: Options<'a>,
    seen: Seen,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(options: Options<'a>) -> Self {
        Self { options, seen: Seen::new() }
    }

    /// Looks at a row that decoded; returns it with the digest of its id.
    pub(super) fn check(&mut self, line: u64, candidate: Candidate) -> Result<(Takedown, Digest), String> {
        let id = candidate.id;
        let accounts = self.options.accounts;
        let (account, asked) = (&candidate.takedown.account, candidate.takedown.item.gateway());
        match accounts.get(account) {
            Some(gateway) if *gateway == asked => {}
            Some(gateway) => return Err(other_gateway(account, *gateway, asked, accounts)),
            None => return Err(unknown_account(account, accounts.keys())),
        }
        let takedown = candidate.complete();
        let digest = Sha256::digest(takedown.id.as_str()).into();
        match (self.seen.insert(&digest, line), id) {
            (Some(first), IdOrigin::Given) => Err(format!("id `{}` is on line {first} already", takedown.id)),
            (Some(first), IdOrigin::Derived) => Err(format!("the same item is on line {first} already")),
            (None, _) => Ok((takedown, digest)),
        }
    }
}

impl Candidate {
    /// Gives it an id, if its row has none.
    pub(super) fn complete(self) -> Takedown {
        let Self { mut takedown, id } = self;
        if id == IdOrigin::Derived {
            takedown.id = derived(&takedown.account, &takedown.item);
        }
        takedown
    }
}

pub(super) fn unknown_account<'a>(account: &AccountId, known: impl IntoIterator<Item = &'a AccountId>) -> String {
    let known: Vec<&str> = known.into_iter().map(AccountId::as_str).collect();
    // Where columns have slipped, a user key or a token stands in its place.
    let shown = match account.as_str().len() {
        ..MIN_KEY => format!("`{account}`"),
        length => format!("(a text of {length} characters, not shown: it may be a key)"),
    };
    format!("account {shown} is not configured; configured are: {}", listed(&known))
}

/// Keys and tokens have 32 characters and more, names of accounts fewer as a rule.
const MIN_KEY: usize = 32;

fn other_gateway(
    account: &AccountId,
    gateway: Gateway,
    asked: Gateway,
    accounts: &BTreeMap<AccountId, Gateway>,
) -> String {
    let fit: Vec<&str> = accounts.iter().filter(|(_, g)| **g == asked).map(|(name, _)| name.as_str()).collect();
    format!("account `{account}` is of {gateway}, this row is for {asked}; its accounts are: {}", listed(&fit))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The id of a row without one: the same account and item always give the same, and any difference another.
fn derived(account: &AccountId, item: &Item) -> RequestId {
    let mut hash = Sha256::new();
    // Lengths keep neighbours apart: "a" + "bc" is not "ab" + "c".
    let mut part = |text: Option<&str>| match text {
        Some(text) => {
            hash.update((text.len() as u64 + 1).to_be_bytes());
            hash.update(text);
        }
        None => hash.update(0_u64.to_be_bytes()),
    };
    part(Some(account.as_str()));
    part(Some(item.gateway().as_str()));
    match item {
        Item::Mapi(item) => {
            part(Some(&item.sns_user_id));
            part(Some(item.key.expose()));
            part(item.close_reason.as_deref());
            part(item.goods_id.as_deref());
        }
        Item::OpenPlatform(item) => {
            part(Some(&item.commodity_id));
            part(Some(&item.shop_id));
            part(item.merchant.as_ref().map(|merchant| merchant.as_str()));
            part(item.app_auth_token.as_ref().map(|token| token.expose()));
        }
    }
    let digest = hex(&hash.finalize()[..16]);
    RequestId::new(format!("{PLACEHOLDER_ID}{digest}")).expect("invariant: hex digits make an id")
}
