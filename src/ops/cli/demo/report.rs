//! What the demo shows in the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::domain::outcome::Reason;
use crate::ops::cli::demo::Played;
use crate::ops::cli::demo::compare::Comparison;
use crate::ops::cli::report::{language, took_ms};
use crate::ops::cli::tables::{Tally, table};
use crate::ops::cli::watch::Watch;
use crate::ops::cli::{canvas, program};
use crate::ops::report::Report;
use crate::queue::DeadLetter;

/// What to try after the demo, and what it does.
const NEXT: [(&str, &str); 5] = [
    ("sandbox --dir rehearsal", "both gateways, to try things"),
    ("run items.csv", "a file, without a broker"),
    ("demo --amqp URL", "the same through RabbitMQ"),
    ("config", "every setting, explained"),
    ("--help", "every command"),
];

/// Writes it.
pub(super) fn write(
    watch: &Watch,
    played: &Played,
    comparison: &Comparison,
    charts: &Report,
    elapsed: Duration,
) -> String {
    let mut tally = Tally::default();
    played.outcomes.iter().for_each(|outcome| tally.add(outcome.reason));
    let mut text = format!(
        "\n{} outcomes in {:.1} s\n{}\n\nOn the way: {}.\n",
        tally.total(),
        elapsed.as_secs_f64(),
        tally.table(),
        watch.lines()
    );
    add(&mut text, "");
    add(&mut text, charts.text(&canvas::stdout(), language()).trim_end());
    if !played.letters.is_empty() {
        let row = |((reason, code), count): ((Reason, String), u64)| {
            [count.to_string(), reason.to_string(), code, reason.explain().to_owned()]
        };
        let rows = grouped(&played.letters).into_iter().map(row);
        let header = ["items", "reason", "last code", "what to do"];
        add(
            &mut text,
            &format!(
                "\nDead letters; outside a demo they wait for `takedown dead-letters list`:\n{}",
                table(header, rows)
            ),
        );
    }
    add(&mut text, &verdict(comparison));
    add(&mut text, "Next:");
    let program = program();
    for (arguments, meaning) in NEXT {
        add(&mut text, &format!("  {program} {arguments:<23}  {meaning}"));
    }
    text
}

/// Puts together what the charts show.
pub(super) fn charts(watch: &Watch, played: &Played, elapsed: Duration) -> Report {
    let mut tally = Tally::default();
    played.outcomes.iter().for_each(|outcome| tally.add(outcome.reason));
    Report {
        subject: "takedown demo".to_owned(),
        facts: vec![("took".to_owned(), format!("{:.1} s", elapsed.as_secs_f64()))],
        outcomes: tally.counts(),
        latencies: watch.latencies(),
        times: played.outcomes.iter().map(took_ms).collect(),
        left: 0,
    }
}

fn add(text: &mut String, more: &str) {
    text.push_str(more);
    text.push('\n');
}

fn grouped(letters: &[DeadLetter]) -> BTreeMap<(Reason, String), u64> {
    let mut groups = BTreeMap::new();
    for letter in letters {
        let code = letter.outcome.gateway_code.clone().unwrap_or_default();
        *groups.entry((letter.reason, code)).or_default() += 1;
    }
    groups
}

fn verdict(comparison: &Comparison) -> String {
    let Comparison { right, given_up, wrong, still_on_sale, missing, repeated } = comparison;
    let mut text = format!(
        "\nCompared with what the gateways know: {right} right, {given_up} given up for an operator,\n\
         {wrong} wrong, {still_on_sale} told as off sale but still on sale, {missing} without an outcome"
    );
    if *repeated > 0 {
        text.write_fmt(format_args!(",\n{repeated} repeated under the same id, which consumers drop"))
            .expect("invariant: writing to a String never fails");
    }
    text.push_str(if comparison.is_sound() { ".\n" } else { ".\nThat must not be: please report it with the seed.\n" });
    text
}
