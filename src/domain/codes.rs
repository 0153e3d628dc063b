//! The gateways' result codes as tables, and how a code on the wire finds its row.
//!
//! Matching: letter case does not matter and `-` equals `_`; first the exact text, then with leading `isv.`, `aop.`,
//! `isp.`, `ACQ.` parts removed (answers have been seen with and without them). The sub-code decides before the code.
//! Protocol v3 of the Open Platform has one code, which is a sub-code of version 1.0 or, failing that, one of its own.
//! Promise: a code without a row is never guessed at: `find` gives none, or for a business failure (40004) of the Open
//! Platform its row of class [`Class::Unlisted`], and both are tried a few times and then kept as `unknown_code`.

mod mapi;
mod open_platform;
mod open_platform_v3;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::domain::outcome::Reason;
use crate::domain::takedown::Gateway;

/// One row of a code table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// `code` (Open Platform) or `error` (mapi).
    pub code: &'static str,
    /// `sub_code`, Open Platform only.
    pub sub_code: Option<&'static str>,
    /// What it means for the item.
    pub class: Class,
    /// What it means to a person.
    pub meaning: &'static str,
    /// Where the row was read.
    pub source: &'static str,
}

/// What a code means for the item it came back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Done, if the answer is signed.
    Success,
    /// Surely not done; try again.
    Retryable,
    /// May have been done; try again.
    Ambiguous,
    /// Too many calls; slow down, then try again.
    Throttled,
    /// This item will never succeed.
    Terminal(Reason),
    /// The item is not on sale, which is what was wanted; whose doing it was depends on the history.
    GoalState,
    /// The account's credentials or rights are at fault, not the item.
    AccountFault(Scope, Certainty),
    /// Refused, and no list says what it means: never guessed.
    Unlisted,
}

/// What an account fault is about, and so what is to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The app.
    App,
    /// The interface of the app.
    Method,
    /// One merchant's token.
    Token,
    /// The mapi partner.
    Partner,
    /// One administrator of mapi.
    SnsUser,
}

/// Whether one item is proof enough of an account fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// One answer proves it.
    Certain,
    /// One item's odd text or wrong key can cause it too: two different items must agree.
    Doubtful,
}

/// Returns a gateway's tables, in the order they are looked up. Every `code` of version 1.0 has a row in the first of
/// the Open Platform's, so the second is for v3 alone.
#[must_use]
pub fn tables(gateway: Gateway) -> &'static [&'static [Row]] {
    match gateway {
        Gateway::Mapi => &[mapi::ROWS],
        Gateway::OpenPlatform => &[open_platform::ROWS, open_platform_v3::ROWS],
    }
}

/// Finds the row that decides: the sub-code's own, else the code's, else none.
#[must_use]
pub fn find(gateway: Gateway, code: Option<&str>, sub_code: Option<&str>) -> Option<&'static Row> {
    indexes(gateway).iter().find_map(|index| index.find(code, sub_code))
}

/// A backlog whose items are all refused for one reason asks for each of them.
fn indexes(gateway: Gateway) -> &'static [Index] {
    static MAPI: LazyLock<Vec<Index>> = LazyLock::new(|| Index::of_all(Gateway::Mapi));
    static OPEN_PLATFORM: LazyLock<Vec<Index>> = LazyLock::new(|| Index::of_all(Gateway::OpenPlatform));
    match gateway {
        Gateway::Mapi => &MAPI,
        Gateway::OpenPlatform => &OPEN_PLATFORM,
    }
}

/// A table by the texts of its rows: the sub-code of a row that has one, else the code. Rows of one text stand in the
/// table's order.
struct Index {
    exact: HashMap<String, Vec<&'static Row>>,
    /// Without leading parts.
    bare: HashMap<String, Vec<&'static Row>>,
}

impl Index {
    fn of_all(gateway: Gateway) -> Vec<Self> {
        tables(gateway).iter().map(|rows| Self::of(rows)).collect()
    }

    fn of(rows: &'static [Row]) -> Self {
        let (mut exact, mut bare) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for row in rows {
            let text = row.sub_code.unwrap_or(row.code);
            exact.entry(normal(text)).or_default().push(row);
            bare.entry(normal(strip(text))).or_default().push(row);
        }
        Self { exact, bare }
    }

    fn find(&self, code: Option<&str>, sub_code: Option<&str>) -> Option<&'static Row> {
        if let Some(sub_code) = sub_code
            && let Some(row) = self.by_sub_code(code, sub_code)
        {
            return Some(row);
        }
        let code = code?;
        self.by_text(code, |row| row.sub_code.is_none()).or_else(|| self.by_sub_code(None, code))
    }

    /// Prefers the row under the same code, then the same sub-code under any code (lists disagree about the level).
    fn by_sub_code(&self, code: Option<&str>, sub_code: &str) -> Option<&'static Row> {
        let under = |row: &Row| row.sub_code.is_some() && code == Some(row.code);
        self.by_text(sub_code, under).or_else(|| self.by_text(sub_code, |row| row.sub_code.is_some()))
    }

    fn by_text(&self, wire: &str, is_asked: impl Fn(&Row) -> bool) -> Option<&'static Row> {
        let first = |rows: &Vec<&'static Row>| rows.iter().copied().find(|row| is_asked(row));
        let exact = self.exact.get(&normal(wire)).and_then(first);
        exact.or_else(|| self.bare.get(&normal(strip(wire))).and_then(first))
    }
}

/// Lower case, `_` for `-`, and the one spelling the vendor has two of (`unknow-error`).
fn normal(code: &str) -> String {
    code.trim().to_ascii_lowercase().replace('-', "_").replace("unknown_error", "unknow_error")
}

fn strip(code: &str) -> &str {
    let mut rest = code.trim();
    while let Some((head, tail)) = rest.split_once('.') {
        match head.to_ascii_lowercase().as_str() {
            "isv" | "aop" | "isp" | "acq" if !tail.is_empty() => rest = tail,
            _ => break,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(gateway: Gateway, code: &str, sub_code: Option<&str>) -> Option<Class> {
        find(gateway, Some(code), sub_code).map(|row| row.class)
    }

    #[test]
    fn letter_case_dashes_and_prefixes_do_not_matter() {
        for sub_code in ["SYSTEM_ERROR", "system_error", "aop.ACQ.SYSTEM_ERROR", "ACQ.system-error", "isp.SYSTEM_ERROR"]
        {
            assert_eq!(class(Gateway::OpenPlatform, "40004", Some(sub_code)), Some(Class::Ambiguous), "{sub_code}");
        }
        assert_eq!(class(Gateway::OpenPlatform, "20000", Some("isp.unknown-error")), Some(Class::Ambiguous));
        assert_eq!(class(Gateway::Mapi, "goods_not_exist", None), Some(Class::Terminal(Reason::ItemNotFound)));
    }

    #[test]
    fn the_sub_code_decides_before_the_code() {
        assert_eq!(
            class(Gateway::OpenPlatform, "40002", Some("isv.invalid-parameter")),
            Some(Class::Terminal(Reason::ParameterRejected))
        );
        assert_eq!(
            class(Gateway::OpenPlatform, "40002", Some("isv.never-heard-of")),
            Some(Class::AccountFault(Scope::App, Certainty::Certain))
        );
    }

    #[test]
    fn an_unlisted_business_code_is_unlisted() {
        assert_eq!(class(Gateway::OpenPlatform, "40004", Some("SOMETHING_NEW")), Some(Class::Unlisted));
        assert_eq!(class(Gateway::Mapi, "SOMETHING_NEW", None), None);
    }

    #[test]
    fn a_code_of_v3_is_a_sub_code_of_version_1_or_its_own() {
        let v3 = |code| class(Gateway::OpenPlatform, code, None);
        assert_eq!(v3("COMMODITY_SHOP_NOT_EXIST"), Some(Class::Terminal(Reason::ItemNotFound)));
        assert_eq!(v3("app-call-limited"), Some(Class::Throttled));
        assert_eq!(v3("ILLEGAL_TIMESTAMP"), Some(Class::AccountFault(Scope::App, Certainty::Doubtful)));
        assert_eq!(v3("something-new"), None);
    }

    #[test]
    fn a_code_of_v3_alone_changes_nothing_for_version_1() {
        for row in open_platform_v3::ROWS {
            for code in open_platform::ROWS.iter().filter(|row| row.sub_code.is_none()) {
                let found = find(Gateway::OpenPlatform, Some(code.code), Some(row.code));
                assert_eq!(found, Some(code), "{}", row.code);
            }
        }
    }

    #[test]
    fn every_row_names_its_source() {
        for row in [Gateway::Mapi, Gateway::OpenPlatform].into_iter().flat_map(tables).copied().flatten() {
            assert!(!row.source.is_empty() && !row.meaning.is_empty(), "{row:?}");
        }
    }
}
