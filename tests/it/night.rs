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
