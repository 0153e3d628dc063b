//! What became of a batch: for people, and for programs.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::clock;
use crate::desk::batch::{Batch, Note, Stage};
use crate::desk::store::Store;
use crate::domain::outcome::Status;
use crate::domain::takedown::rfc3339;
use crate::ops::chart::spread::Spread;
use crate::ops::chart::text::visible;
use crate::ops::cli::canvas;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::report::{language, took_ms};
use crate::ops::cli::tables::{Field, Output, counted, table, toned_table};
use crate::ops::cli::terminal::Terminal;
use crate::ops::cli::times;
use crate::ops::cli::whole_file::WholeFile;
use crate::ops::report::{Report, tone};
use crate::queue::depth::Depths;

/// Outcomes read at once.
const PAGE: u32 = 1000;

/// Prints the report, and writes its page where one is wanted; the exit code tells whether someone must look.
pub(super) fn print(
    batch: &Batch,
    store: &Store,
    (output, page): (Output, Option<WholeFile>),
    depths: Option<&Depths>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    if output.json {
        terminal.result(&json(batch).to_string())?;
    }
    if !output.json || page.is_some() {
        let charts = charts(batch, store)?;
        if !output.json {
            terminal.result(&format!("{}\n{}", whole(batch, depths), charts.text(&canvas::stdout(), language())))?;
        }
        page.map_or(Ok(()), |page| page.place(&charts.html(language())))?;
    }
    Ok(if batch.by_status().contains_key(&Status::Dead) { Exit::Findings } else { Exit::Done })
}

/// Puts together what the charts show.
fn charts(batch: &Batch, store: &Store) -> Result<Report, Failure> {
    let (mut times, mut after) = (Spread::default(), 0);
    loop {
        let page = store.outcomes(&batch.id, after, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        page.iter().for_each(|(_, outcome)| times.add(took_ms(outcome)));
    }
    let moment = |name: &str, at: Option<SystemTime>| at.map(|at| (name.to_owned(), rfc3339(at)));
    let facts = [
        Some(("stage".to_owned(), batch.stage().as_str().to_owned())),
        moment("enqueued", batch.made.as_ref().map(|note| note.at)),
        moment("cancelled", batch.cancelled.as_ref().map(|note| note.at)),
        moment("first outcome", batch.first),
        moment("last outcome", batch.last),
    ];
    Ok(Report {
        subject: format!("batch {}", batch.id),
        facts: facts.into_iter().flatten().collect(),
        outcomes: batch.by_reason(),
        latencies: Spread::default(),
        times,
        left: batch.left().unwrap_or(0),
    })
}

/// Writes it for programs.
pub(super) fn json(batch: &Batch) -> Value {
    let note = |note: &Option<Note>| {
        note.as_ref().map(|note| json!({ "at": rfc3339(note.at), "by": note.by, "reason": note.reason }))
    };
    let ended = |ended: &crate::desk::batch::Ended| {
        json!({
            "account": ended.account,
            "status": ended.reason.status().as_str(),
            "reason": ended.reason.as_str(),
            "items": ended.items,
        })
    };
    json!({
        "batch": batch.id.as_str(),
        "stage": batch.stage().as_str(),
        "items": batch.total(),
        "ended": batch.done(),
        "left": batch.left(),
        "by_status": batch.by_status().iter().map(|(status, items)| (status.to_string(), json!(items))).collect::<serde_json::Map<_, _>>(),
        "outcomes": batch.ended.iter().map(ended).collect::<Value>(),
        "expected": batch.expected.iter().map(|(account, items)| (account.to_string(), json!(items))).collect::<serde_json::Map<_, _>>(),
        "made": note(&batch.made),
        "cancelled": note(&batch.cancelled),
        "first_outcome": batch.first.map(rfc3339),
        "last_outcome": batch.last.map(rfc3339),
    })
}

/// Lays it out for people.
fn whole(batch: &Batch, depths: Option<&Depths>) -> String {
    let now = clock::now();
    let reasons = batch.by_reason();
    let row = |(reason, items): (&crate::domain::outcome::Reason, &u64)| {
        let status = reason.status();
        [
            Field::toned(status.to_string(), tone(status)),
            Field::from(reason.to_string()),
            Field::number(items),
            Field::from(reason.explain().to_owned()),
        ]
    };
    let mut text = toned_table(["status", "reason", "items", "what it means"], reasons.iter().map(row));
    text.push('\n');
    let of = batch.total().map_or_else(String::new, |total| format!(" of {total}"));
    let took = batch.first.zip(batch.last).and_then(|(first, last)| last.duration_since(first).ok());
    let took = took.map(|took| format!(" within {}", times::span(took))).unwrap_or_default();
    text.push_str(&format!("batch {}: {}{of} ended{took}; {}\n", batch.id, batch.done(), batch.stage().as_str()));
    let told = |what: &str, note: &Note| {
        let reason = note.reason.as_deref().map(|reason| format!(": {}", visible(reason))).unwrap_or_default();
        format!("{what} {} by {}{reason}\n", times::wall(note.at, now), visible(&note.by))
    };
    text.extend(batch.made.iter().map(|note| told("enqueued", note)));
    text.extend(batch.cancelled.iter().map(|note| told("cancelled", note)));
    if batch.expected.len() > 1 {
        let left = batch.left_by_account();
        let row = |(account, items): (&crate::domain::ids::AccountId, &u64)| {
            let left = left.get(account).copied().unwrap_or_default();
            [account.to_string(), items.to_string(), (items - left.min(*items)).to_string()]
        };
        text.push_str(&table(["account", "items", "ended"], batch.expected.iter().map(row)));
        text.push('\n');
    }
    let dead = batch.by_status().get(&Status::Dead).copied().unwrap_or_default();
    if dead > 0 {
        let wait = counted(dead, "dead letter waits", "dead letters wait");
        text.push_str(&format!("{wait}: takedown dead-letters groups --batch {}\n", batch.id));
    }
    match (batch.left(), depths) {
        (Some(left), Some(depths)) if left > 0 && waits(depths) == 0 => text.push_str(&astray(batch, left, depths)),
        _ if batch.stage() != Stage::Finished => {
            text.push_str(&format!("not finished: takedown batch watch {}\n", batch.id));
        }
        _ => {}
    }
    text
}

/// Counts what waits with the broker, to be worked or to be tried again.
fn waits(depths: &Depths) -> u64 {
    depths.accounts.values().map(|depth| depth.work).sum::<u64>() + depths.retries()
}

/// Says what may have become of items that have no outcome and wait nowhere.
fn astray(batch: &Batch, left: u64, depths: &Depths) -> String {
    let items = counted(left, "item has no outcome and waits", "items have no outcome and wait");
    let is_served = depths.accounts.values().any(|depth| depth.consumers > 0);
    let unless = if is_served { "unless a worker has them in hand just now, they" } else { "they" };
    let again = match batch.cancelled {
        Some(_) => "nothing of them is called for",
        None => "the same `takedown enqueue` again goes on",
    };
    format!(
        "not finished: {items} in no queue; {unless}\n  \
         were never enqueued, if that was interrupted: {again};\n  \
         or had an outcome before, in another batch: an item has one under its id for 7 days;\n  \
         or ended more than 7 days ago, longer than outcomes are kept for counting\n"
    )
}
