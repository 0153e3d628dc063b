//! Every text of the pages, in both languages, in one table.
//!
//! Not here: what an error says in its own words, and names that are the same in every language (accounts, codes,
//! reasons as they stand in messages). Promise, held by the compiler and a test: no phrase lacks a language.

use crate::domain::outcome::{Reason, Status};
use crate::ops::web::language::Language;

macro_rules! phrases {
    ($($name:ident: $english:literal / $chinese:literal,)*) => {
        /// One text of the pages. A word in braces is a gap, filled by [`Phrase::fill`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::ops::web) enum Phrase { $($name,)* }

        impl Phrase {
            /// Every one.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// Says it.
            pub(in crate::ops::web) fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::English) => $english, (Self::$name, Language::Chinese) => $chinese,)*
                }
            }
        }
    };
}

phrases! {
    Desk: "Takedown desk" / "下架值班台",
    SkipToContent: "Skip to content" / "跳到正文",
    Navigation: "Main" / "主导航",
    Footer: "Times are shown by your own clock. Secrets are masked on every page." / "时间按您的本地时钟显示。所有页面上的密钥均已隐藏。",
    LanguageSwitch: "Language" / "语言",
    ThemeSwitch: "Colours" / "配色",
    ThemeAuto: "Auto" / "自动",
    ThemeLight: "Light" / "浅色",
    ThemeDark: "Dark" / "深色",
    Overview: "Overview" / "概览",
    Batches: "Batches" / "批次",
    DeadLetters: "Dead letters" / "死信",
    BackToOverview: "Back to the overview" / "返回概览",

    LogIn: "Log in" / "登录",
    LogOut: "Log out" / "退出",
    Token: "Token" / "令牌",
    TokenWhere: "A worker keeps it in `worker.token_file`; `takedown desk` prints a link that holds it." / "worker 的令牌在 `worker.token_file` 中；`takedown desk` 启动时会打印带令牌的链接。",
    WrongToken: "That is not the token." / "令牌不正确。",
    TooManyTokens: "Too many wrong tokens. Wait a minute and try again." / "错误次数过多，请一分钟后再试。",

    ForeignHost: "This page was asked for under a foreign name" / "请求使用了外来的主机名",
    ForeignHostRemedy: "Open it as http://127.0.0.1 or http://localhost, with the port. Another name for this machine may be an attack (DNS rebinding)." / "请用 http://127.0.0.1 或 http://localhost 加端口打开。其他主机名可能是攻击（DNS 重绑定）。",
    ForeignOrigin: "The form came from another site" / "表单来自其他站点",
    ForeignOriginRemedy: "Nothing was done. Open the page here and send its own form." / "未执行任何操作。请在本站打开页面后再提交。",
    BadForm: "This cannot be asked for in that way" / "请求方式不正确",
    BadFormRemedy: "Nothing was done. Use the forms of the pages." / "未执行任何操作。请使用页面上的表单。",
    LargeForm: "The form is too large" / "表单过大",
    LargeFormRemedy: "Nothing was done. A message has 64 KiB at most." / "未执行任何操作。一条消息最大 64 KiB。",
    StaleForm: "The form is out of date" / "表单已过期",
    StaleFormRemedy: "Nothing was done. Go back, load the page again, and send it once more." / "未执行任何操作。请返回、刷新页面后重新提交。",
    NoActions: "These pages can be read only." / "这些页面目前只读。",
    NoActionsRemedy: "To act, give the worker a token (`worker.token_file`), restart it and log in, or use `takedown desk`." / "如需操作，请为 worker 配置令牌（`worker.token_file`）、重启并登录，或使用 `takedown desk`。",
    NoSuchPage: "There is no such page" / "没有这个页面",
    NoSuchPageRemedy: "Choose one from the bar above." / "请从上方导航中选择。",
}

impl Phrase {
    /// Says it with its gaps filled.
    pub(in crate::ops::web) fn fill(self, language: Language, gaps: &[(&str, &str)]) -> String {
        let mut rest = self.text(language);
        let mut text = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            text.push_str(before);
            text.push_str(gaps.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

/// Says in a plain sentence what a reason means and, where someone must act, what to do.
pub(in crate::ops::web) fn explain(reason: Reason, language: Language) -> &'static str {
    match language {
        Language::English => reason.explain(),
        Language::Chinese => match reason {
            Reason::TakenDown => "本次调用已下架",
            Reason::AlreadyOff => "重放时发现已下架，无需处理",
            Reason::TakenDownEarlier => "发现已下架，此前的一次调用可能已生效",
            Reason::ItemNotFound => "网关查无此商品；请核对编号",
            Reason::NoPermission => "该账号无权下架此商品；请检查授权",
            Reason::ItemRejected => "网关认为商品数据有误；请检查消息",
            Reason::ParameterRejected => "某个参数格式或范围有误；请检查消息",
            Reason::SuspectedAttack => "网关将文字判为攻击；请修改措辞",
            Reason::NotOnSale => "商品本来就不在售",
            Reason::NotEncodable => "文字超出账号字符集；请改用 utf-8",
            Reason::DeadlinePassed => "在确认下架之前已过截止时间",
            Reason::BatchCancelled => "所属批次已取消",
            Reason::AttemptsExhausted => "所有尝试均失败；网关恢复后可重放",
            Reason::OutcomeUnknown => "某次尝试可能已生效；请查看商品，或重放",
            Reason::UnknownCode => "网关返回了表中没有的代码；请先确认其含义",
            Reason::InvalidMessage => "消息不是有效的下架请求；请修正生产者",
            Reason::UnknownAccount => "配置中没有该账号；添加后重放",
            Reason::CrashLoop => "处理此消息时 worker 反复崩溃；请上报",
            Reason::HeldTooLong => "账号暂停过久；修复后重放",
        },
    }
}

/// Names how an item ended.
pub(in crate::ops::web) fn status(status: Status, language: Language) -> &'static str {
    match (status, language) {
        (Status::Success, Language::English) => "success",
        (Status::Success, Language::Chinese) => "成功",
        (Status::Terminal, Language::English) => "refused",
        (Status::Terminal, Language::Chinese) => "被拒绝",
        (Status::Expired, Language::English) => "expired",
        (Status::Expired, Language::Chinese) => "已过期",
        (Status::Cancelled, Language::English) => "cancelled",
        (Status::Cancelled, Language::Chinese) => "已取消",
        (Status::Dead, Language::English) => "dead letter",
        (Status::Dead, Language::Chinese) => "死信",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn gaps(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    fn is_chinese(text: &str) -> bool {
        text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    }

    #[test]
    fn every_phrase_is_there_in_both_languages_with_the_same_gaps() {
        for phrase in Phrase::ALL {
            let (english, chinese) = (phrase.text(Language::English), phrase.text(Language::Chinese));
            assert!(!english.trim().is_empty() && !is_chinese(english), "{phrase:?}: {english}");
            assert!(is_chinese(chinese), "{phrase:?}: {chinese}");
            assert_eq!(gaps(english), gaps(chinese), "{phrase:?}");
        }
    }

    #[test]
    fn every_reason_and_status_is_explained_in_both_languages() {
        for reason in Reason::ALL {
            assert!(is_chinese(explain(*reason, Language::Chinese)), "{reason}");
            assert!(!is_chinese(explain(*reason, Language::English)), "{reason}");
        }
        for each in Status::ALL {
            assert!(is_chinese(status(*each, Language::Chinese)), "{each}");
            assert!(!is_chinese(status(*each, Language::English)), "{each}");
        }
    }
}
