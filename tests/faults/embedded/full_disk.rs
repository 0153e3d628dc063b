//! A disk with no room: for the queue, for the outcomes, for the rejected rows.

use std::process::Command;

use super::Desk;
use crate::support::command::{end, takedown, tie};

/// The same command, unable to write a file beyond so many KiB: the system refuses it as a full disk does.
///
/// The signal that comes with the refusal is ignored; no disk sends one.
fn limited(command: &Command, kibibytes: usize) -> Command {
    within(&format!("trap '' XFSZ; ulimit -f {kibibytes}"), command)
}

/// The same command, in a shell that has done something before.
fn within(before: &str, command: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    tie(&mut shell);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Runs it to its end and returns code, signal-less ends included, and what it said.
fn refused(command: Command) -> (Option<i32>, String) {
    let ended = tokio::task::block_in_place(|| end(command));
    assert_ne!(ended.code, Some(0), "{ended:?}");
    (ended.code, ended.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_into_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let desk = Desk::new(300, 11, "400/s").await;
    let queue = desk.path("items.jsonl.queue").display().to_string();

    // Room for nothing, then for the items but not for all of the work.
    for room in [40, 700] {
        let (code, said) = refused(limited(&desk.run(), room));
        assert_eq!(code, Some(7), "{said}");
        assert!(said.contains(&queue) && said.contains("space"), "file and remedy are named: {said}");
    }
    assert!(!desk.sandbox.seen().is_empty(), "the second came to calls");
    // Where the signal is not ignored, it ends the process on the spot.
    assert_eq!(refused(within("ulimit -c 0 -f 700", &desk.run())).0, None);

    let ended = tokio::task::block_in_place(|| end(desk.run()));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    desk.check(&desk.path("items.jsonl.outcomes.jsonl"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_beside_the_queue_are_whole_or_not_there_when_the_disk_is_full() {
    let desk = Desk::new(300, 12, "400/s").await;
    let ended = tokio::task::block_in_place(|| end(desk.run()));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let outcomes = desk.path("items.jsonl.outcomes.jsonl");
    let before = desk.outcomes(&outcomes);

    // Room for the queue's locks, not for all the outcomes.
    let (code, said) = refused(limited(&desk.run(), 64));
    assert_eq!(code, Some(10), "{said}");
    assert!(
        said.contains("items.jsonl.outcomes.jsonl.part cannot be written") && said.contains("free some space"),
        "{said}"
    );
    assert_eq!(desk.outcomes(&outcomes), before, "the file there was is still whole");
    assert!(!desk.path("items.jsonl.outcomes.jsonl.part").exists(), "what could not be finished takes no room");

    let bad = format!("{{\"nonsense\":\"{}\"}}\n", "x".repeat(1000)).repeat(200);
    std::fs::write(desk.path("bad.jsonl"), bad).unwrap();
    let (code, said) = refused(limited(&takedown(desk.dir.path(), &["run", "bad.jsonl"]), 64));
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("bad.jsonl.rejected.jsonl cannot be written") && said.contains("free some space"), "{said}");
    let names = std::fs::read_dir(desk.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains("rejected")).collect();
    assert!(left.is_empty() && !desk.path("bad.jsonl.queue").exists(), "{left:?}");
}
