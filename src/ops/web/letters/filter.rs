//! Which letters a page is about: read from its address or form, written back into links, hidden fields and inputs.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};

use crate::domain::ids::{AccountId, BatchId, MerchantId, RequestId};
use crate::domain::notice::LetterFilter;
use crate::domain::outcome::{Reason, Status};
use crate::domain::takedown::rfc3339;
use crate::ops::config::units;
use crate::ops::meaning::explain;
use crate::ops::web::fields::{Fields, query};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::visitor::Visitor;

/// Longest text searched for, in characters.
const LONGEST_TEXT: usize = 200;

/// Reads a filter; what cannot be read is told with the field's name.
pub(super) fn read(fields: &Fields, now: SystemTime) -> Result<LetterFilter, Problem> {
    let wrong = |field: Phrase, error: String| {
        Problem::refused(Phrase::BadFilter, Phrase::BadFilterRemedy).field(field).detail(error)
    };
    let accounts =
        fields.all("account").map(|name| AccountId::new(name).map_err(|e| wrong(Phrase::Account, e.to_string())));
    let reason = fields.get("reason").map(|word| word.parse::<Reason>().map_err(|e| wrong(Phrase::Reason, e)));
    let batch = fields.get("batch").map(|name| BatchId::new(name).map_err(|e| wrong(Phrase::Batch, e.to_string())));
    let merchant =
        fields.get("merchant").map(|name| MerchantId::new(name).map_err(|e| wrong(Phrase::Merchant, e.to_string())));
    let id = fields.get("id").map(|name| RequestId::new(name).map_err(|e| wrong(Phrase::Id, e.to_string())));
    let moment =
        |name: &str, field| fields.get(name).map(|text| moment(text, now).map_err(|e| wrong(field, e))).transpose();
    let short = |name: &str| fields.get(name).map(|text| text.chars().take(LONGEST_TEXT).collect::<String>());
    Ok(LetterFilter {
        accounts: accounts.collect::<Result<_, _>>()?,
        reason: reason.transpose()?,
        code: short("code"),
        batch: batch.transpose()?,
        merchant: merchant.transpose()?,
        text: short("text"),
        id: id.transpose()?,
        died_since: moment("since", Phrase::DiedSince)?,
        died_until: moment("until", Phrase::DiedUntil)?,
    })
}

/// `1h` is an hour ago; anything else is a moment by RFC 3339.
fn moment(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()?.checked_mul(86_400));
    if let Some(ago) = units::duration(text).ok().or(days.map(Duration::from_secs)) {
        let moment = now.checked_sub(ago).filter(|moment| *moment >= SystemTime::UNIX_EPOCH);
        return moment.ok_or_else(|| format!("{text} ago is before 1970"));
    }
    let read = text.parse::<jiff::Timestamp>().ok().and_then(|stamp| SystemTime::try_from(stamp).ok());
    read.ok_or_else(|| {
        format!("{text:?} is neither a time ago such as 90m, 6h or 2d, nor a moment such as 2026-11-25T21:00:00Z")
    })
}

/// Writes a filter as pairs of a query.
pub(super) fn pairs(filter: &LetterFilter) -> Vec<(&'static str, String)> {
    let LetterFilter { accounts, reason, code, batch, merchant, text, id, died_since, died_until } = filter;
    let shown = |value: Option<String>| value.unwrap_or_default();
    let mut pairs: Vec<_> = accounts.iter().map(|account| ("account", account.to_string())).collect();
    pairs.extend([
        ("reason", shown(reason.map(|reason| reason.to_string()))),
        ("code", shown(code.clone())),
        ("batch", shown(batch.as_ref().map(ToString::to_string))),
        ("merchant", shown(merchant.as_ref().map(ToString::to_string))),
        ("text", shown(text.clone())),
        ("id", shown(id.as_ref().map(ToString::to_string))),
        ("since", shown(died_since.map(rfc3339))),
        ("until", shown(died_until.map(rfc3339))),
    ]);
    pairs.retain(|(_, value)| !value.is_empty());
    pairs
}

/// Writes the address of the list of a filter, or of another page about it.
pub(super) fn address(path: &str, filter: &LetterFilter, more: &[(&'static str, String)]) -> String {
    format!("{path}{}", query(pairs(filter).into_iter().chain(more.iter().cloned())))
}

/// Writes a filter as hidden fields of a form.
pub(super) fn hidden(filter: &LetterFilter) -> Markup {
    html! { @for (name, value) in pairs(filter) { input type="hidden" name=(name) value=(value); } }
}

/// The form that narrows a list down.
pub(super) fn form(visitor: &Visitor, filter: &LetterFilter, accounts: &[AccountId]) -> Markup {
    let say = |phrase| visitor.say(phrase);
    let pairs = pairs(filter);
    let value = |name: &str| pairs.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str());
    let text = |name: &'static str, phrase: Phrase, hint: Option<&'static str>| {
        html! {
            div {
                label for={ "f-" (name) } { (say(phrase)) }
                input id={ "f-" (name) } name=(name) value=(value(name)) placeholder=[hint] autocomplete="off" spellcheck="false"
                    maxlength="200";
            }
        }
    };
    html! {
        form .inside method="get" action="/letters" role="search" aria-label=(say(Phrase::FilterForm)) {
            div .fields .many {
                div {
                    label for="f-account" { (say(Phrase::Account)) }
                    select #f-account name="account" {
                        option value="" { (say(Phrase::AnyAccount)) }
                        @for account in accounts {
                            option value=(account) selected[filter.accounts.contains(account)] { (account) }
                        }
                    }
                }
                div {
                    label for="f-reason" { (say(Phrase::Reason)) }
                    select #f-reason name="reason" {
                        option value="" { (say(Phrase::AnyReason)) }
                        @for reason in Reason::ALL.iter().filter(|reason| reason.status() == Status::Dead) {
                            option value=(reason) selected[filter.reason == Some(*reason)] title=(explain(*reason, visitor.language)) {
                                (reason)
                            }
                        }
                    }
                }
                (text("code", Phrase::Code, None))
                (text("batch", Phrase::Batch, None))
                (text("merchant", Phrase::Merchant, None))
                (text("text", Phrase::Text, None))
                (text("since", Phrase::DiedSince, Some("6h")))
                (text("until", Phrase::DiedUntil, Some("15m")))
            }
            div .actions {
                button .main type="submit" { (say(Phrase::ShowLetters)) }
                a href="/letters" { (say(Phrase::ClearFilter)) }
                span .hint { (say(Phrase::TimeHint)) }
            }
        }
    }
}

/// Names a filter in one line; nothing for one that means all.
pub(super) fn summary(visitor: &Visitor, filter: &LetterFilter) -> Markup {
    let name = |pair: &str| match pair {
        "account" => Phrase::Account,
        "reason" => Phrase::Reason,
        "code" => Phrase::Code,
        "batch" => Phrase::Batch,
        "merchant" => Phrase::Merchant,
        "text" => Phrase::Text,
        "since" => Phrase::DiedSince,
        "until" => Phrase::DiedUntil,
        _ => Phrase::Id,
    };
    let pairs = pairs(filter);
    html! {
        @if pairs.is_empty() { (visitor.say(Phrase::AllLetters)) }
        @for (at, (key, value)) in pairs.iter().enumerate() {
            @if at > 0 { " · " }
            (visitor.say(name(key))) " " code .break { (crate::ops::web::layout::plain(value)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn read_text(text: &str) -> Result<LetterFilter, Problem> {
        read(&Fields::read(text.as_bytes()), NOW + Duration::from_hours(100))
    }

    #[test]
    fn a_filter_is_written_as_it_is_read() {
        let text = "account=desk&account=shops&reason=unknown_code&code=isv.x%26y&batch=b-1&merchant=m1&text=%E6%A0%B8&\
                    id=t-1&since=6h&until=1970-01-05T00%3A00%3A00Z";
        let filter = read_text(text).unwrap();
        assert_eq!(filter.died_since, Some(NOW + Duration::from_hours(94)));
        assert_eq!(filter.died_until, Some(NOW + Duration::from_hours(96)));
        let address = address("/letters", &filter, &[("page", "2".to_owned())]);
        let (_, query) = address.split_once('?').unwrap();
        assert_eq!(read_text(query).unwrap(), filter, "{address}");
        assert_eq!(read_text("account=&reason=&since=").unwrap(), LetterFilter::default());
        assert_eq!(super::address("/letters", &LetterFilter::default(), &[]), "/letters");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in
            ["account=a%20b", "reason=lazy", "batch=a%0ab", "since=yesterday", "until=99999999999999d", "since=-1h"]
        {
            assert!(read_text(text).is_err(), "{text}");
        }
    }
}
