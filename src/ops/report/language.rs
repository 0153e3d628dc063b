//! The words of a report, in the languages it is written in.

use std::ffi::OsString;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, and whatever else is asked for.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

/// What is said in each.
#[derive(Debug)]
pub(super) struct Phrases {
    pub(super) code: &'static str,
    pub(super) report: &'static str,
    pub(super) reasons: &'static str,
    pub(super) reason: &'static str,
    pub(super) items: &'static str,
    pub(super) most: &'static str,
    pub(super) latency: &'static str,
    pub(super) times: &'static str,
    pub(super) time: &'static str,
    pub(super) calls: &'static str,
    pub(super) status: &'static str,
    pub(super) meaning: &'static str,
    pub(super) numbers: &'static str,
    pub(super) ended: &'static str,
    pub(super) dead: &'static str,
    pub(super) left: &'static str,
}

const ENGLISH: Phrases = Phrases {
    code: "en",
    report: "Report of takedowns",
    reasons: "Outcomes by reason",
    reason: "reason",
    items: "items",
    most: "most",
    latency: "Gateway latency",
    times: "From first delivery to outcome",
    time: "time",
    calls: "calls",
    status: "status",
    meaning: "what it means",
    numbers: "The numbers",
    ended: "ended",
    dead: "dead letters",
    left: "not ended",
};

const CHINESE: Phrases = Phrases {
    code: "zh-CN",
    report: "下架报告",
    reasons: "按原因统计的结果",
    reason: "原因",
    items: "条目",
    most: "最多",
    latency: "网关响应时间",
    times: "从首次投递到出结果的时间",
    time: "时间",
    calls: "调用",
    status: "状态",
    meaning: "含义",
    numbers: "数据表",
    ended: "已结束",
    dead: "死信",
    left: "未结束",
};

impl Language {
    /// Returns the language of a locale, by the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set.
    pub fn of_locale(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
        match set {
            Some(locale) if locale.to_string_lossy().starts_with("zh") => Self::Chinese,
            Some(_) | None => Self::English,
        }
    }

    pub(super) fn phrases(self) -> &'static Phrases {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_names_a_language() {
        let of = |set: &'static [(&str, &str)]| {
            Language::of_locale(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Language::Chinese);
        assert_eq!(of(&[("LC_ALL", "en_GB.UTF-8"), ("LANG", "zh_CN.UTF-8")]), Language::English);
        assert_eq!(of(&[]), Language::English);
    }
}
