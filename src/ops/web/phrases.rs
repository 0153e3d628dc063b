//! Every text of the pages, in both languages, in one table.
//!
//! Not here: what an error says in its own words, and names that are the same in every language (accounts, codes,
//! reasons as they stand in messages). Promise, held by the compiler and a test: no phrase lacks a language.

use crate::ops::language::Language;

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
    ForeignOriginRemedy: "Nothing was done. Open the page here and send its own form. A proxy before the desk must pass the name it was asked for (nginx: proxy_set_header Host $http_host)." / "未执行任何操作。请在本站打开页面后再提交。若前面有代理，须原样传递主机名（nginx：proxy_set_header Host $http_host）。",
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
    PauseUpdates: "Pause updates" / "暂停刷新",
    ResumeUpdates: "Resume updates" / "继续刷新",
    NoBroker: "The broker does not answer" / "消息服务器没有响应",
    NoBrokerRemedy: "Try again in a moment. If it stays so, look at the broker; nothing was lost." / "请稍后再试。若仍如此，请检查消息服务器；数据没有丢失。",
    NoFleet: "A queue file has no workers of its own: `takedown run` works it off. Its dead letters are on their page." / "队列文件没有常驻 worker，由 `takedown run` 处理。死信请看对应页面。",
    NoCounts: "Outcomes cannot be counted at the moment." / "目前无法统计结果。",
    Catching: "Reading what was told before; the counts are not complete yet." / "正在读取此前的记录，统计尚不完整。",
    LostBroker: "The broker cannot be read. The counts are as of its last word." / "无法读取消息服务器，统计停留在最后一次收到的数据。",

    Accounts: "Accounts" / "账号",
    Account: "Account" / "账号",
    AsOf: "as of" / "截至",
    State: "State" / "状态",
    RateNow: "Calls now" / "当前速率",
    RateWhole: "Allowed" / "允许速率",
    Share: "Share by worker" / "各 worker 份额",
    Backlog: "Backlog" / "积压",
    InFlight: "In flight" / "进行中",
    TimeLeft: "Time left" / "剩余时间",
    Replicas: "Workers" / "worker 数",
    EndedPerSecond: "Ended" / "完成速率",
    WaitingToRetry: "Waiting to retry" / "等待重试",
    Unrouted: "Unrouted" / "无法投递",
    Since: "since" / "自",
    NextProbe: "next probe" / "下次探测",
    StateIdle: "idle" / "空闲",
    StateWorking: "working" / "运行中",
    StateSlowed: "slowed down" / "已降速",
    StateListening: "starting" / "启动中",
    StateUnreachable: "unreachable" / "网关不可达",
    StateHeld: "held" / "已挂起",
    StatePaused: "paused" / "已暂停",
    StateUnserved: "no worker" / "无 worker",
    LastHour: "The last hour" / "最近一小时",
    ItemsEnded: "{count} items ended" / "完成 {count} 项",
    NothingEnded: "Nothing ended in the last hour." / "最近一小时没有完成的项目。",
    ByReason: "By reason" / "按原因",
    TheNumbers: "The numbers" / "数据表",
    ThroughputTitle: "Items ended each minute (UTC)" / "每分钟完成数（UTC）",
    ThroughputText: "{count} items ended in the last hour, counted by the minute (UTC) and by how they ended." / "最近一小时共完成 {count} 项，按分钟（UTC）和结果统计。",
    Minute: "Minute (UTC)" / "分钟（UTC）",
    ReasonsTitle: "Items by reason" / "按原因统计",
    ReasonsText: "The most frequent reason is {reason}." / "最常见的原因是 {reason}。",
    Reason: "Reason" / "原因",
    Items: "Items" / "项数",

    LatestBatches: "Latest batches" / "最近的批次",
    Batch: "Batch" / "批次",
    NoBatches: "No batch is known. `takedown enqueue` makes one." / "暂无批次。`takedown enqueue` 会创建批次。",
    NoBatchesHere: "A queue file tells no outcomes, so batches are not counted here." / "队列文件不发布结果，此处不统计批次。",
    NoSuchBatch: "There is no such batch" / "没有这个批次",
    NoSuchBatchRemedy: "Choose one from the list of batches; outcomes are kept for a week." / "请从批次列表中选择；结果保留一周。",
    Progress: "Progress" / "进度",
    Left: "Left" / "剩余",
    Ended: "Ended" / "已完成",
    Outlook: "Outlook" / "预计",
    NotKnownYet: "not known yet" / "尚不清楚",
    Made: "Made" / "创建",
    Cancelled: "Cancelled" / "取消",
    StageRunning: "running" / "进行中",
    StageCancelling: "being cancelled" / "取消中",
    StageCancelled: "cancelled" / "已取消",
    StageFinished: "finished" / "已完成",
    StageOpen: "total not told" / "总数未知",
    CancelBatch: "Cancel this batch" / "取消此批次",
    CancelBatchText: "What has not been called for yet ends as cancelled, each item with its outcome. Calls under way finish. This cannot be taken back." / "尚未调用的项目将以“已取消”结束，每项都有结果。进行中的调用会完成。此操作无法撤销。",
    CancelReason: "Why (for whoever finds it cancelled)" / "原因（供其他人查看）",

    Letters: "Letters" / "死信",
    LettersInAll: "{count} in all" / "共 {count} 封",
    NoLetters: "No dead letters. Everything was resolved." / "没有死信，一切都已处理。",
    NothingMeant: "No dead letter is meant by this filter" / "没有符合条件的死信",
    NothingMeantRemedy: "Widen the filter, or look at the list again: somebody may have replayed them." / "请放宽条件或刷新列表：可能已被他人重放。",
    ReplayUnderWay: "A replay is under way and has letters in hand; until it ends these lists show only the others:" / "重放正在进行，其手中的死信在结束前不会显示在列表里：",
    Filter: "Filter" / "筛选",
    FilterForm: "Filter dead letters" / "筛选死信",
    BadFilter: "The filter cannot be read" / "筛选条件无法识别",
    BadFilterRemedy: "Go back and mend it." / "请返回修改。",
    AllLetters: "all letters" / "全部死信",
    AnyAccount: "Any account" / "任意账号",
    AnyReason: "Any reason" / "任意原因",
    Code: "Code" / "代码",
    Merchant: "Merchant" / "商户",
    Text: "Text" / "文字",
    Id: "Id" / "编号",
    DiedSince: "Died since" / "死亡时间从",
    DiedUntil: "Died until" / "死亡时间至",
    TimeHint: "Times: 90m, 6h or 2d ago, or 2026-11-25T21:00:00Z" / "时间：90m、6h、2d 前，或 2026-11-25T21:00:00Z",
    ShowLetters: "Show letters" / "显示死信",
    ClearFilter: "Clear" / "清除",
    Groups: "Groups" / "分组",
    ReasonAndCode: "Reason and code" / "原因与代码",
    Meaning: "What it means and what to do" / "含义与处理",
    FirstAndLast: "First and last" / "最早与最晚",
    Actions: "Actions" / "操作",
    Look: "Look" / "查看",
    PlanReplay: "Plan replay" / "计划重放",
    PlanAll: "Plan a replay of all" / "计划重放全部",
    PlanThese: "Plan a replay of these" / "计划重放这些",
    PlanThisOne: "Plan a replay of this one" / "计划重放这一封",
    ListThem: "List them" / "列出",
    ExportJsonl: "Export JSONL" / "导出 JSONL",
    ExportCsv: "Export CSV" / "导出 CSV",
    LargeExport: "The export is too large for a page" / "导出内容过大",
    LargeExportRemedy: "Narrow the filter, or use `takedown dead-letters export`." / "请缩小范围，或使用 `takedown dead-letters export`。",
    OldestFirst: "oldest first" / "最早的在前",
    Wording: "Wording" / "网关说明",
    Attempts: "Attempts" / "尝试次数",
    Attempt: "Attempt" / "第几次",
    Replays: "Replays" / "重放次数",
    Died: "Died" / "死亡时间",
    FirstPage: "First page" / "第一页",
    NextPage: "Next page" / "下一页",
    ShownOf: "{shown} shown of {count}" / "显示 {shown} 封，共 {count} 封",

    NoSuchLetter: "There is no such dead letter" / "没有这封死信",
    NoSuchLetterRemedy: "It may have been replayed or purged meanwhile. Look at the list again." / "可能已被重放或清除，请刷新列表。",
    LetterChanged: "The letter was changed meanwhile" / "死信已被他人更改",
    LetterChangedRemedy: "Nothing was done. Look at it again, then decide anew." / "未执行任何操作。请重新查看后再决定。",
    SeveralCopies: "There are {count} letters of this id: the item was enqueued more than once. An edit takes the place of all." / "此编号有 {count} 封死信：该项目被多次入队。编辑会替换全部。",
    MayHaveTakenEffect: "an attempt may have taken effect" / "某次尝试可能已生效",
    WhatIsKnown: "What is known" / "已知信息",
    Nothing: "none" / "无",
    Gateway: "Gateway" / "网关",
    Deferrals: "Deferrals" / "推迟次数",
    FirstSeen: "First seen" / "首次收到",
    Worker: "Worker" / "worker（处理者）",
    Message: "Message" / "消息",
    SecretsMasked: "secrets masked" / "密钥已隐藏",
    EditLetter: "Edit the message" / "编辑消息",
    EditedMessage: "The message as it shall be" / "修改后的消息",
    EditHint: "JSON by the schema takedown.v1. The id stays. *** keeps the secret that is there. The edit is noted in the operators' log, without values; the letter stays here until it is replayed." / "按 takedown.v1 的 JSON。编号不可更改。*** 表示保留原有密钥。编辑会记入操作日志（不含具体值）；死信在重放前仍留在此处。",
    SaveEdit: "Save the edit" / "保存修改",
    EditSaved: "The message was changed. It stays a dead letter until it is replayed." / "消息已修改，重放前仍为死信。",
    BadEdit: "The edit makes no valid message" / "修改后的消息无效",
    BadEditRemedy: "Nothing was changed. Go back and mend it." / "未作更改。请返回修改。",
    History: "History" / "历史",
    HistoryBound: "the last 20 entries" / "最近 20 条",
    NoHistory: "Nothing is known of what happened before." / "没有更早的记录。",
    When: "When" / "时间",
    What: "What" / "事件",
    How: "How" / "详情",
    Times: "Times" / "次数",
    By: "By" / "由",
    EntryAttempt: "attempt" / "尝试",
    EntryDeferral: "deferral" / "推迟",
    EntryEnd: "end" / "结束",
    EntryReplay: "replay" / "重放",
    EntryEdit: "edit" / "编辑",

    Plan: "Plan" / "计划",
    Plans: "Latest plans" / "最近的计划",
    NoSuchPlan: "There is no such plan" / "没有这个计划",
    NoSuchPlanRemedy: "Plans are kept for 30 days. Make a new one from the groups of dead letters." / "计划保留 30 天。请从死信分组中新建。",
    WhatIsPlanned: "What is planned" / "计划内容",
    CutOff: "Cut-off" / "截止时间",
    CutOffText: "what dies later is not in it" / "此后的死信不在其中",
    Planned: "Planned" / "计划数",
    Replayed: "Replayed" / "已重放",
    TakesAbout: "Takes about" / "预计耗时",
    AtConfiguredRates: "at the accounts' configured rates" / "按账号配置的速率",
    LeftNow: "Left now" / "目前剩余",
    PlanNew: "not begun" / "未开始",
    PlanRunning: "running" / "进行中",
    PlanFinished: "finished" / "已完成",
    PlanLimited: "limit reached" / "已达上限",
    PlanStopped: "cancelled" / "已取消",
    PlanFailed: "failed" / "失败",
    Stopping: "stopping" / "停止中",
    Counting: "counting" / "统计中",
    Replay: "Replay" / "重放",
    ReplayOn: "Go on with the replay" / "继续重放",
    ReplayText: "Puts the letters back to work: attempts begin anew, the id stays, the replay is counted. It runs on when this page is closed, and can be cancelled at any moment." / "将死信重新投入处理：尝试次数重新计算，编号不变，并记录重放次数。关闭页面后仍会继续，可随时取消。",
    ReplayRate: "Letters a second" / "每秒数量",
    ReplayLimit: "At most" / "最多",
    ReplayHint: "Empty: at each account's configured rate, and all of them. A share of the rate leaves room for new items." / "留空：按账号配置的速率重放全部。较低的速率可为新项目留出余量。",
    ReplayedOf: "{done} of {count} put back to work" / "已重新投入 {done} / {count}",
    ReplayFailedText: "Nothing is lost or doubled. Go on with the plan when the cause is mended." / "没有丢失或重复。排除原因后可继续执行计划。",
    StopReplay: "Cancel the replay" / "取消重放",
    StopText: "Stops between two letters; the rest stay dead letters." / "在两封之间停止，其余仍为死信。",
    SeeWhatIsLeft: "See what is left" / "查看剩余",
    BadPace: "The number cannot be used" / "数值无效",
    BadPaceRemedy: "Nothing was done. Go back and write a number above 0." / "未执行任何操作。请返回填写大于 0 的数。",
    Purge: "Delete for good" / "永久删除",
    PurgeText: "Their outcomes were published; the messages will be gone. Nothing is deleted unless the number is exactly right." / "其结果已发布；消息将被删除。数量不完全一致时不会删除。",
    PurgeCount: "Type {count} to delete them" / "输入 {count} 以删除",
    Purged: "Deleted for good: {count}" / "已永久删除：{count}",
    PurgeNeedsFilter: "Not everything can be deleted at once" / "不能一次删除全部",
    PurgeNeedsFilterRemedy: "Plan with a filter first: by account, reason or code." / "请先按账号、原因或代码筛选后再计划。",
    LettersInHand: "Somebody else has dead letters in hand, so that they cannot be counted; nothing was done" / "另有人正在处理死信，无法计数；未执行任何操作",
    LettersInHandRemedy: "Try again once their replay or look is over, or have it stopped." / "请等对方的重放或查看结束（或让其停止）后再试。",
    NotAsPlanned: "There are not as many as planned" / "数量与计划不符",
    NotAsPlannedRemedy: "Nothing was deleted. Look at what is left, and type its number." / "未删除任何内容。请查看剩余数量后再输入。",
    NotNoted: "It was done, but the operators' log could not be written" / "操作已完成，但未能写入操作日志",
    NotNotedRemedy: "Do not repeat it. Look at the broker, and tell your colleagues." / "请勿重复操作。请检查消息服务器并告知同事。",
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ops::language::tests::is_chinese;

    fn gaps(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
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
}
