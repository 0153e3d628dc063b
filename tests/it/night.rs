//! "A night on call" of the README, played: each command is run by a shell against a real broker, a sandbox and a worker,
//! and what it prints is compared with what the page says.
//!
//! Promise: a story that no longer goes as it is told fails, with the command, what was told and what was printed.

mod likeness;
mod script;
mod stage;

use script::{Step, Story, read};
use stage::Stage;

fn play(title: &str) {
    let stories = read(include_str!("../../README.md"));
    let story = stories.iter().find(|story| story.title == title).unwrap_or_else(|| panic!("no story {title:?}"));
    let Story { steps, .. } = story;
    let mut stage = Stage::set();
    for step in steps {
        match step {
            Step::Direction(direction) => stage.follow(direction),
            Step::Console(lines) => stage.run_all(lines),
            Step::Until(lines) => stage.repeat(lines),
        }
    }
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_wrong_key_at_midnight_costs_nothing_but_time() {
    play("The wrong key at midnight");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_gateway_down_for_an_hour_costs_no_attempt() {
    play("The gateway is down for an hour");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_batch_enqueued_by_mistake_is_cancelled() {
    play("A batch enqueued by mistake");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn letters_of_a_bad_deploy_are_replayed_by_plan() {
    play("1,400 letters after a bad deploy");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn one_merchants_expired_token_holds_that_merchant_alone() {
    play("One merchant's token expired");
}

#[test]
fn every_story_of_the_page_is_played() {
    let source = include_str!("night.rs");
    let stories = read(include_str!("../../README.md"));
    assert_eq!(stories.len(), 5);
    for Story { title, steps } in stories {
        assert!(source.contains(&format!("play(\"{title}\")")), "{title}");
        assert!(!steps.is_empty(), "{title}");
    }
}
