//! Reports of finished runs: charts on stdout, and a page that is there whole or not at all.

use std::fs;

use super::rehearsal::Rehearsal;

#[test]
fn a_run_ends_with_charts_and_a_page_of_the_same() {
    let rehearsal = Rehearsal::start(20, &[]);
    let ended = rehearsal.run(&["run", "items.csv", "--report", "out.html"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for told in ["Outcomes by reason\n", "Gateway latency\n", "From first delivery to outcome\n", "success taken_down"]
    {
        assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
    let page = fs::read_to_string(rehearsal.home.path().join("out.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
    assert!(page.contains("<dt>ended</dt><dd>20</dd>"), "{page}");
    assert!(page.contains("<figcaption>Gateway latency</figcaption>"), "{page}");

    // Nobody's key or token is in it.
    let items = fs::read_to_string(rehearsal.home.path().join("items.csv")).unwrap();
    let header: Vec<&str> = items.lines().next().unwrap().split(',').collect();
    let secrets = header.iter().position(|name| *name == "key").unwrap();
    for row in items.lines().skip(1) {
        let key = row.split(',').nth(secrets).unwrap();
        assert!(key.is_empty() || !page.contains(key), "{key}");
    }
    let names: Vec<_> = fs::read_dir(rehearsal.home.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{names:?}");
}

#[test]
fn a_report_in_a_chinese_locale_is_chinese() {
    let rehearsal = Rehearsal::start(6, &[]);
    let mut command = rehearsal.command(&["run", "items.csv", "--report", "out.html"]);
    command.env("LC_ALL", "zh_CN.UTF-8");
    assert_eq!(crate::support::command::end(command).code, Some(0));
    let page = fs::read_to_string(rehearsal.home.path().join("out.html")).unwrap();
    assert!(page.contains(r#"<html lang="zh-CN">"#) && page.contains("下架报告"), "{page}");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_work() {
    let rehearsal = Rehearsal::start(6, &[]);
    let refused = rehearsal.run(&["run", "items.csv", "--report", "nowhere/out.html"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("nowhere/out.html cannot be written"), "{refused:?}");
    assert!(!rehearsal.home.path().join("items.csv.queue").exists(), "nothing was begun");
}

#[test]
fn a_run_that_is_killed_leaves_the_last_report_whole() {
    let rehearsal = Rehearsal::start(40, &[]);
    let page = rehearsal.home.path().join("out.html");
    fs::write(&page, "the last one").unwrap();
    let mut slow = rehearsal.command(&["run", "items.csv", "--report", "out.html"]);
    slow.env("TAKEDOWN_ACCOUNTS__DESK__RATE", "4/s").env("TAKEDOWN_ACCOUNTS__SHOPS__RATE", "4/s");
    let slow = crate::support::command::Running::start(slow);
    slow.line("of 40 ended");
    slow.signal("KILL");
    slow.wait();
    assert_eq!(fs::read_to_string(&page).unwrap(), "the last one");
}
