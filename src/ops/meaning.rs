//! What reasons and statuses mean, and what to do about a dead letter, in both languages.
//!
//! English is told by `domain`, as on the command line; Chinese is here. Promise: a reason that is added does not compile
//! without its Chinese.

use crate::domain::advice::advice;
use crate::domain::outcome::{Reason, Status};
use crate::ops::language::Language;

/// Says in a plain sentence what a reason means and, where someone must act, what to do.
pub(in crate::ops) fn explain(reason: Reason, language: Language) -> &'static str {
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

/// Says what to do about a dead letter.
pub(in crate::ops) fn advise(reason: Reason, language: Language) -> &'static str {
    match (language, reason) {
        (Language::English, _) => advice(reason),
        (Language::Chinese, Reason::AttemptsExhausted) => "所有尝试均失败，且都不可能生效。网关恢复后请重放。",
        (Language::Chinese, Reason::OutcomeUnknown) => {
            "某次尝试可能已生效，但没有收到应答。重放是安全的：已下架的项目会以 taken_down_earlier 结束。"
        }
        (Language::Chinese, Reason::UnknownCode) => {
            "网关返回了表中没有的代码。请向网关确认含义；若为临时故障，请重放。"
        }
        (Language::Chinese, Reason::InvalidMessage) => {
            "消息不是下架请求。死信页面会指出错误：用编辑功能修正后重放，并通知生产者修复。"
        }
        (Language::Chinese, Reason::UnknownAccount) => "worker 没有该账号。请加入配置或编辑消息，然后重放。",
        (Language::Chinese, Reason::CrashLoop) => "处理此消息时 worker 反复崩溃。请上报，并先单独重放一封。",
        (Language::Chinese, Reason::HeldTooLong) => "账号挂起的时间超过了项目允许的等待时间。排除原因后请重放。",
        (
            Language::Chinese,
            Reason::TakenDown
            | Reason::AlreadyOff
            | Reason::TakenDownEarlier
            | Reason::ItemNotFound
            | Reason::NoPermission
            | Reason::ItemRejected
            | Reason::ParameterRejected
            | Reason::SuspectedAttack
            | Reason::NotOnSale
            | Reason::NotEncodable
            | Reason::DeadlinePassed
            | Reason::BatchCancelled,
        ) => explain(reason, language),
    }
}

/// Names how an item ended.
pub(in crate::ops) fn status(status: Status, language: Language) -> &'static str {
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
    use super::*;
    use crate::ops::language::tests::is_chinese;

    #[test]
    fn every_reason_and_status_is_explained_in_both_languages() {
        for reason in Reason::ALL {
            assert!(is_chinese(explain(*reason, Language::Chinese)), "{reason}");
            assert!(!is_chinese(explain(*reason, Language::English)), "{reason}");
            assert!(is_chinese(advise(*reason, Language::Chinese)), "{reason}");
            assert!(!is_chinese(advise(*reason, Language::English)), "{reason}");
        }
        for each in Status::ALL {
            assert!(is_chinese(status(*each, Language::Chinese)), "{each}");
            assert!(!is_chinese(status(*each, Language::English)), "{each}");
        }
    }
}
