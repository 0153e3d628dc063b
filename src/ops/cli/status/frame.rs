//! The whole report as a person sees it, and drawing it anew over the last one.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::desk::fleet::account::{AccountState, AccountView};
use crate::desk::fleet::{FleetReport, ReplicaView};
use crate::ops::chart::Tone;
use crate::ops::cli::canvas;
use crate::ops::cli::status::words;
use crate::ops::cli::tables::{Field, counted, toned_table};
use crate::ops::cli::times;

/// Replicas named one by one.
const NAMED: usize = 8;

/// Writes everything.
pub(super) fn whole(report: &FleetReport) -> String {
    let mut text = format!("{}\n", replicas(&report.replicas));
    let header = ["account", "state", "rate", "now", "backlog", "in flight", "left", "dead", "share"];
    text.push_str(&toned_table(header, report.accounts.iter().map(row)));
    text.push('\n');
    for account in &report.accounts {
        for hold in account.hold.iter().chain(&account.parties) {
            let name = hold.party.as_ref().map(|party| format!("{party} of ")).unwrap_or_default();
            let told = words::hold(hold, report.at);
            let told = canvas::stdout().painted(&told, words::tone(hold.state).style());
            add(&mut text, &format!("{name}{}: {told}", account.id));
            add(&mut text, &format!("  what to do: {}", words::remedy(&account.id, hold)));
        }
        if account.state == AccountState::Unserved && !report.replicas.is_empty() {
            add(&mut text, &format!("{}: no replica serves it", account.id));
            add(&mut text, "  what to do: configure it at a worker and start that anew");
        }
    }
    add_waiting(&mut text, report);
    text
}

fn add_waiting(text: &mut String, report: &FleetReport) {
    let waiting: Vec<String> = report
        .retries
        .iter()
        .flatten()
        .filter(|(_, count)| *count > 0)
        .map(|(delay, count)| format!("{count} in {}", times::span(*delay)))
        .collect();
    if !waiting.is_empty() {
        add(text, &format!("to be tried again, of all accounts: {}", waiting.join(", ")));
    }
    if report.dead() > 0 {
        let dead = counted(report.dead(), "dead letter waits", "dead letters wait");
        add(text, &format!("{dead}: takedown dead-letters groups"));
    }
    if let Some(unrouted) = report.unrouted.filter(|count| *count > 0) {
        let unrouted = counted(unrouted, "message is", "messages are");
        add(text, &format!("{unrouted} unrouted: takedown topology check"));
    }
}

fn add(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn replicas(replicas: &[ReplicaView]) -> String {
    let name = |replica: &ReplicaView| {
        let calls = counted(replica.in_flight, "call", "calls");
        format!("{} ({}, {calls})", replica.worker, counted(replica.accounts as u64, "account", "accounts"))
    };
    let names: Vec<String> = replicas.iter().take(NAMED).map(name).collect();
    let more = replicas.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    match replicas.len() {
        0 => "no worker is alive".to_owned(),
        count => format!("{}: {}{more}", counted(count as u64, "replica", "replicas"), names.join(", ")),
    }
}

fn row(account: &AccountView) -> [Field; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let state = match words::bound(account) {
        "" => account.state.as_str().to_owned(),
        bound => format!("{}, {bound}", account.state.as_str()),
    };
    let dead = account.depth.map(|depth| depth.dead);
    [
        Field::from(account.id.to_string()),
        Field::toned(state, words::tone(account.state)),
        Field::number(or_dash(rate(account))),
        Field::number(or_dash(account.calls.map(times::rate))),
        Field::number(or_dash(account.backlog().map(|count| count.to_string()))),
        Field::number(account.in_flight),
        Field::number(left(account)),
        Field::number(or_dash(dead.map(|count| count.to_string()))).toned_if(Tone::Bad, dead.is_some_and(|n| n > 0)),
        Field::from(share(account)),
    ]
}

/// Writes `20/s`, or `14/s of 20/s` where less is allowed than configured.
fn rate(account: &AccountView) -> Option<String> {
    let rate = account.rate?;
    match account.allowed {
        // Idle replicas keep small shares, and have the whole as soon as there is work.
        Some(allowed) if account.state != AccountState::Idle && allowed > 0.0 && allowed < rate * 0.98 => {
            Some(format!("{} of {}", times::rate(allowed), times::rate(rate)))
        }
        Some(_) | None => Some(times::rate(rate)),
    }
}

fn left(account: &AccountView) -> String {
    match account.eta() {
        Some(left) if account.backlog().is_some_and(|count| count > 0) => times::span(left),
        _ if account.state.is_moving() || account.backlog() == Some(0) => "-".to_owned(),
        _ => "stopped".to_owned(),
    }
}

/// Writes `50% + 50%`, or `12 x 8%` for many.
fn share(account: &AccountView) -> String {
    let parts: Vec<f64> = account.shares.iter().filter_map(|(_, share)| *share).collect();
    let percent = |share: &f64| format!("{:.0}%", share * 100.0);
    match parts.len() {
        _ if account.state == AccountState::Idle => "-".to_owned(),
        0 => "-".to_owned(),
        1..=3 => parts.iter().map(percent).collect::<Vec<_>>().join(" + "),
        count => {
            let (least, most) = parts.iter().fold((1.0f64, 0.0f64), |(a, b), share| (a.min(*share), b.max(*share)));
            match (percent(&least), percent(&most)) {
                (least, most) if least == most => format!("{count} x {most}"),
                (least, most) => format!("{count} x {least} to {most}"),
            }
        }
    }
}

/// What stands on the terminal.
#[derive(Debug, Default)]
pub(super) struct Frame {
    lines: usize,
    size: Option<(usize, usize)>,
}

impl Frame {
    /// Writes a report over the last one; lines the terminal has no room for are left out, and told.
    pub(super) fn redrawn(&mut self, text: &str, size: Option<(usize, usize)>) -> String {
        let (columns, rows) = size.unwrap_or((80, 24));
        let mut lines: Vec<String> = text.lines().flat_map(|line| folded(line, columns)).collect();
        let room = rows.saturating_sub(2).max(1);
        if lines.len() > room {
            let more = lines.len() - room + 1;
            lines.truncate(room - 1);
            lines.push(format!("... {more} more lines: a taller terminal shows them, or: takedown status ACCOUNT"));
        }
        let mut drawn = String::new();
        if self.size.is_some_and(|before| Some(before) != size) {
            // What was drawn was folded anew by the terminal: nobody knows where it begins.
            drawn.push_str("\u{1b}[2J\u{1b}[H");
        } else if self.lines > 0 {
            write(&mut drawn, format_args!("\u{1b}[{}A\r", self.lines));
        }
        for (at, line) in lines.iter().enumerate() {
            // What the last frame left to the right, and after the last line also below.
            let cleared = if at + 1 == lines.len() { "\u{1b}[J" } else { "\u{1b}[K" };
            write(&mut drawn, format_args!("{line}{cleared}\n"));
        }
        self.lines = lines.len();
        self.size = size;
        drawn
    }
}

fn write(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("invariant: writing to a String never fails");
}

/// Folds a line at the terminal's width; colours take no room, and go on in the next one.
fn folded(line: &str, columns: usize) -> Vec<String> {
    let plain = anstream::adapter::strip_str(line).to_string();
    if plain.width() <= columns {
        return vec![line.to_owned()];
    }
    let (mut lines, mut now, mut filled, mut is_code) = (Vec::new(), String::new(), 0, false);
    // Where the last word began, and the width before it.
    let mut word = None;
    for c in line.chars() {
        is_code |= c == '\u{1b}';
        let width = if is_code { 0 } else { c.width().unwrap_or(0) };
        if filled + width > columns {
            let (at, before) = word.take().unwrap_or((now.len(), filled));
            let rest = now.split_off(at);
            lines.push(std::mem::replace(&mut now, rest));
            filled -= before;
        }
        now.push(c);
        filled += width;
        if c == ' ' && filled > columns / 2 {
            word = Some((now.len(), filled));
        }
        is_code &= c != 'm';
    }
    lines.push(now);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_takes_the_place_of_the_last_one() {
        let mut frame = Frame::default();
        let size = Some((80, 24));
        assert_eq!(frame.redrawn("a\nb", size), "a\u{1b}[K\nb\u{1b}[J\n");
        assert_eq!(frame.redrawn("c", size), "\u{1b}[2A\rc\u{1b}[J\n");
        assert_eq!(frame.redrawn("d", size), "\u{1b}[1A\rd\u{1b}[J\n");
        assert!(frame.redrawn("d", Some((40, 24))).starts_with("\u{1b}[2J"), "a terminal of another size is cleared");
    }

    #[test]
    fn a_frame_never_scrolls_the_terminal() {
        let mut frame = Frame::default();
        let text = "a line of some width\n".repeat(100);
        let drawn = frame.redrawn(&text, Some((10, 12)));
        assert_eq!(drawn.matches('\n').count(), 10, "{drawn:?}");
        assert!(drawn.contains("191 more lines"), "{drawn:?}");
    }

    #[test]
    fn colours_take_no_room_when_a_line_is_folded() {
        let painted = "\u{1b}[31mabcdef\u{1b}[0m";
        assert_eq!(folded(painted, 6), [painted]);
        assert_eq!(folded(painted, 4), ["\u{1b}[31mabcd", "ef\u{1b}[0m"]);
        assert_eq!(folded("社区后台", 4), ["社区", "后台"]);
        assert_eq!(folded("one two three", 9), ["one two ", "three"]);
    }
}
