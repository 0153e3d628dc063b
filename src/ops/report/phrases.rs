//! The words of a report, in both languages.

use crate::ops::language::Language;

/// What is said in each.
#[derive(Debug)]
pub(super) struct Phrases {
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

impl Phrases {
    /// Returns those of a language.
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::Chinese => &CHINESE,
        }
    }
}
