//! The frame of every page: bar, switches, landmarks; and the small pieces pages share.

use std::time::{Duration, SystemTime};

use maud::{DOCTYPE, Markup, html};

use crate::desk::follow::Following;
use crate::domain::takedown::rfc3339;
use crate::ops::language::Language;
use crate::ops::web::assets;
use crate::ops::web::phrases::Phrase;
use crate::ops::web::visitor::{Standing, Theme, Visitor};

/// Which part of the desk a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops::web) enum Tab {
    /// Accounts and charts.
    Overview,
    /// Batches.
    Batches,
    /// The dead-letter desk.
    Letters,
}

impl Tab {
    const ALL: [Self; 3] = [Self::Overview, Self::Letters, Self::Batches];

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Batches => "/batches",
            Self::Letters => "/letters",
        }
    }

    fn phrase(self) -> Phrase {
        match self {
            Self::Overview => Phrase::Overview,
            Self::Batches => Phrase::Batches,
            Self::Letters => Phrase::DeadLetters,
        }
    }
}

/// What the frame needs to know of a page.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops::web) struct Page<'a> {
    /// For the window.
    pub(in crate::ops::web) title: &'a str,
    /// Where it belongs.
    pub(in crate::ops::web) tab: Option<Tab>,
    /// Seconds after which a browser without scripts loads it again.
    pub(in crate::ops::web) follow: Option<u32>,
}

/// Writes a whole page.
pub(in crate::ops::web) fn page(visitor: &Visitor, page: Page<'_>, inside: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(visitor.language.tag()) data-theme=(visitor.theme.word()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = page.follow {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
                title { (page.title) " · " (visitor.say(Phrase::Desk)) }
                link rel="icon" type="image/svg+xml" href=(assets::icon());
                link rel="stylesheet" href=(assets::stylesheet());
                script src=(assets::script()) defer {}
            }
            body {
                a .skip href="#content" { (visitor.say(Phrase::SkipToContent)) }
                (bar(visitor, page.tab))
                main #content tabindex="-1" { (inside) }
                footer { (visitor.say(Phrase::Footer)) }
            }
        }
    }
}

fn bar(visitor: &Visitor, tab: Option<Tab>) -> Markup {
    let is_inside = visitor.standing != Standing::Stranger;
    html! {
        header .bar {
            div .bar-in {
                a .brand href="/" { img src=(assets::icon()) alt=""; span { (visitor.say(Phrase::Desk)) } }
                @if is_inside {
                    nav aria-label=(visitor.say(Phrase::Navigation)) {
                        ul {
                            @for each in Tab::ALL {
                                li {
                                    a href=(each.path()) aria-current=[(tab == Some(each)).then_some("page")] {
                                        (visitor.say(each.phrase()))
                                    }
                                }
                            }
                        }
                    }
                }
                div .tools {
                    (switches(visitor))
                    @if visitor.csrf().is_some() {
                        form method="post" action="/logout" {
                            (token(visitor))
                            button .plain type="submit" { (visitor.say(Phrase::LogOut)) }
                        }
                    }
                }
            }
        }
    }
}

fn switches(visitor: &Visitor) -> Markup {
    let pressed = |is_chosen: bool| if is_chosen { "true" } else { "false" };
    html! {
        form method="post" action="/preferences" {
            input type="hidden" name="back" value=(visitor.here);
            div .switch role="group" aria-label=(visitor.say(Phrase::LanguageSwitch)) {
                @for language in Language::ALL {
                    button type="submit" name="language" value=(language.tag()) lang=(language.tag())
                        aria-pressed=(pressed(language == visitor.language)) { (language.name()) }
                }
            }
        }
        form method="post" action="/preferences" {
            input type="hidden" name="back" value=(visitor.here);
            div .switch role="group" aria-label=(visitor.say(Phrase::ThemeSwitch)) {
                @for theme in Theme::ALL {
                    button type="submit" name="theme" value=(theme.word())
                        aria-pressed=(pressed(theme == visitor.theme)) { (visitor.say(theme.phrase())) }
                }
            }
        }
    }
}

/// The hidden field every acting form carries; nothing for whoever may not act.
pub(in crate::ops::web) fn token(visitor: &Visitor) -> Markup {
    html! { @if let Some(csrf) = visitor.csrf() { input type="hidden" name="csrf" value=(csrf); } }
}

/// Says that nobody may act here, and how that is changed; nothing for whoever may.
pub(in crate::ops::web) fn reading_only(visitor: &Visitor) -> Markup {
    html! {
        @if visitor.csrf().is_none() {
            div .note .warn { p { (visitor.say(Phrase::NoActions)) " " (visitor.say(Phrase::NoActionsRemedy)) } }
        }
    }
}

/// A word on the state of things, with an error's own words.
pub(in crate::ops::web) fn note(visitor: &Visitor, class: &str, phrase: Phrase, detail: Option<&str>) -> Markup {
    html! {
        div class={ "note " (class) } role="status" {
            p { (visitor.say(phrase)) }
            @if let Some(detail) = detail { p .mono .small .break { (plain(detail)) } }
        }
    }
}

/// Says how current counts are, unless they are.
pub(in crate::ops::web) fn following(visitor: &Visitor, following: &Following) -> Markup {
    match following {
        Following::Current => html! {},
        Following::Catching => note(visitor, "", Phrase::Catching, None),
        Following::Lost(why) => note(visitor, "warn", Phrase::LostBroker, Some(why)),
    }
}

/// Stops what moves by itself, and lets it go on; shown where scripts run.
pub(in crate::ops::web) fn pause(visitor: &Visitor) -> Markup {
    html! {
        button .plain type="button" hidden data-pause=(visitor.say(Phrase::PauseUpdates)) data-resume=(visitor.say(Phrase::ResumeUpdates)) {
            (visitor.say(Phrase::PauseUpdates))
        }
    }
}

/// A length of time, for people.
pub(in crate::ops::web) fn span(length: Duration, language: Language) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match language {
        Language::English => match (days, hours, minutes) {
            (0, 0, 0) => format!("{} s", seconds.max(1)),
            (0, 0, _) => format!("{minutes} min"),
            (0, _, _) => format!("{hours} h {minutes} min"),
            _ => format!("{days} d {hours} h"),
        },
        Language::Chinese => match (days, hours, minutes) {
            (0, 0, 0) => format!("{} 秒", seconds.max(1)),
            (0, 0, _) => format!("{minutes} 分钟"),
            (0, _, _) => format!("{hours} 小时 {minutes} 分钟"),
            _ => format!("{days} 天 {hours} 小时"),
        },
    }
}

/// A rate by the second.
pub(in crate::ops::web) fn pace(per_second: f64) -> String {
    if per_second >= 10.0 || per_second == 0.0 { format!("{per_second:.0}/s") } else { format!("{per_second:.1}/s") }
}

/// A moment; scripts show it by the reader's own clock.
pub(in crate::ops::web) fn time(at: SystemTime) -> Markup {
    let text = rfc3339(at);
    let seconds = text.split_once('.').map_or(text.trim_end_matches('Z'), |(seconds, _)| seconds);
    html! { time datetime=(format!("{seconds}Z")) .w { (seconds.replace('T', " ")) " UTC" } }
}

/// Says whether a character shows nothing, or turns the writing around.
pub(in crate::ops::web) fn is_unseen(c: char) -> bool {
    let is_format =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    c.is_control() || is_format
}

/// Others wrote these texts; what cannot be seen is made visible.
pub(in crate::ops::web) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A number with its thousands apart.
pub(in crate::ops::web) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table under the heading of an id, which scrolls by itself, also by keyboard, where it is wider than its place.
pub(in crate::ops::web) fn table(id: &str, caption: &str, head: Markup, rows: Markup) -> Markup {
    html! {
        div .scroll tabindex="0" role="group" aria-labelledby=(id) {
            table {
                caption .unseen { (caption) }
                thead { tr { (head) } }
                tbody { (rows) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_moments_are_written_for_people() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(count), text);
        }
        let shown = time(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)).into_string();
        assert!(
            shown.contains(r#"datetime="1970-01-01T00:00:01Z""#) && shown.contains("1970-01-01 00:00:01 UTC"),
            "{shown}"
        );
    }

    #[test]
    fn texts_that_turn_the_writing_around_are_made_visible() {
        assert_eq!(plain("a\u{202e}b\u{1b}[2J\u{200b}"), "a\u{fffd}b\u{fffd}[2J\u{fffd}");
    }
}
