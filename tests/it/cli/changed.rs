//! A file that is written to between its check and its way to the broker.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use tempfile::TempDir;
use url::Url;

use crate::support::broker::{shared_url, unique_prefix};
use crate::support::command::{Ended, end, takedown};

/// A way to the broker on which something happens once so many bytes of one connection have passed to it.
struct Gate {
    url: String,
}

impl Gate {
    fn open(after: usize, happens: impl FnOnce() + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut url = Url::parse(&shared_url()).unwrap();
        let broker: SocketAddr = url.socket_addrs(|| None).unwrap()[0];
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let happens = std::sync::Arc::new(std::sync::Mutex::new(Some(happens)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let broker = TcpStream::connect(broker).unwrap();
                let (mut from, mut to) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from, &mut to));
                let happens = std::sync::Arc::clone(&happens);
                thread::spawn(move || pass(client, broker, after, || happens.lock().unwrap().take()));
            }
        });
        Self { url: url.to_string() }
    }
}

/// Carries bytes on until either side ends.
fn pass<F: FnOnce()>(mut from: TcpStream, mut to: TcpStream, after: usize, happens: impl Fn() -> Option<F>) {
    let (mut block, mut passed) = ([0; 4096], 0);
    while let Ok(length @ 1..) = from.read(&mut block) {
        passed += length;
        if passed > after
            && let Some(happens) = happens()
        {
            happens();
        }
        if to.write_all(&block[..length]).is_err() {
            break;
        }
    }
}

/// A file of so many items, and an account to work them.
fn desk(items: usize) -> TempDir {
    let directory = super::directory(super::DESK);
    let rows: String = (0..items).map(|item| format!("desk,admin,k3y,{item:08}\n")).collect();
    fs::write(directory.path().join("items.csv"), format!("account,sns_user_id,key,goods_id\n{rows}")).unwrap();
    directory
}

fn command(directory: &Path, prefix: &str, url: &str, arguments: &[&str]) -> Ended {
    let mut command = takedown(directory, arguments);
    command.env("TAKEDOWN_AMQP__URL", url).env("TAKEDOWN_AMQP__PREFIX", prefix);
    end(command)
}

/// Writes one more row at the file's end.
fn append(file: &Path) {
    OpenOptions::new().append(true).open(file).unwrap().write_all(b"desk,admin,k3y,one-more\n").unwrap();
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_batch_of_which_nothing_went_out_takes_the_changed_file_under_its_name() {
    let (directory, prefix) = (desk(10), unique_prefix());
    let file = directory.path().join("items.csv");
    let run = |url: &str, arguments: &[&str]| command(directory.path(), &prefix, url, arguments);
    assert_eq!(run(&shared_url(), &["topology", "apply"]).code, Some(0));
    let enqueue = ["enqueue", "items.csv", "--batch", "night"];

    // The first byte to the broker: the check is over, nothing is noted.
    let gate = Gate::open(0, move || append(&file));
    let refused = run(&gate.url, &enqueue);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("items.csv was written to after it was checked"), "{refused:?}");
    let enqueued = run(&shared_url(), &enqueue);
    assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
    assert!(enqueued.stdout.starts_with("11 of 11 items enqueued and confirmed"), "{enqueued:?}");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_batch_of_which_some_went_out_says_how_to_go_on() {
    let (directory, prefix) = (desk(10_000), unique_prefix());
    let file = directory.path().join("items.csv");
    let before = fs::read(&file).unwrap();
    let run = |url: &str, arguments: &[&str]| command(directory.path(), &prefix, url, arguments);
    assert_eq!(run(&shared_url(), &["topology", "apply"]).code, Some(0));
    let enqueue = ["enqueue", "items.csv", "--batch", "night"];

    let gate = Gate::open(200_000, {
        let file = file.clone();
        move || append(&file)
    });
    let refused = run(&gate.url, &enqueue);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    for part in
        ["of 10000 items confirmed before", "bring the file back as it was", "--batch ID", "batch night was noted"]
    {
        assert!(refused.stderr.contains(part), "{part} in {refused:?}");
    }
    // Either way leads on: another name, and the file as it was.
    let other = run(&shared_url(), &["enqueue", "items.csv", "--batch", "night-2"]);
    assert!(other.stdout.starts_with("10001 of 10001 items"), "{other:?}");
    fs::write(&file, before).unwrap();
    let again = run(&shared_url(), &enqueue);
    assert!(again.stdout.starts_with("10000 of 10000 items"), "{again:?}");
}
