//! The real binary as a person runs it: arguments in, exit code and both outputs out.
//!
//! Promise: none outlives the test process, however that ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longest wait for a line or an end; a busy machine needs patience.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Has a process end with this one: it joins the group of a shell that reads a pipe from here, and kills its group once
/// the pipe closes.
pub(crate) fn tie(command: &mut Command) {
    static LEADER: OnceLock<Child> = OnceLock::new();
    let leader = LEADER.get_or_init(|| {
        Command::new("sh")
            .args(["-c", "read -r never; kill -KILL 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap()
    });
    command.process_group(leader.id().try_into().unwrap());
}

/// Builds a command in a directory, without any setting of the caller's environment.
pub(crate) fn takedown(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_takedown"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TAKEDOWN_")) {
        command.env_remove(name);
    }
    // What a desk keeps of its own is kept there too.
    command.env("XDG_STATE_HOME", directory.join("state"));
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    tie(&mut command);
    command
}

/// Runs a command to its end.
pub(crate) fn end(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the binary in a directory to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Ended {
    end(takedown(directory, arguments))
}

/// A command that keeps running; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts it; the lines of both outputs are read as they come.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
            });
        }
        Self { child, lines }
    }

    /// Waits for a line that holds a text.
    pub(crate) fn line(&self, text: &str) -> String {
        self.lines_to(text).pop().unwrap()
    }

    /// Waits for a line that holds a text; returns those before it, too.
    pub(crate) fn lines_to(&self, text: &str) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        while !seen.last().is_some_and(|line| line.contains(text)) {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("no line with {text:?} ({error}); lines so far: {seen:#?}"),
            }
        }
        seen
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Says whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end: both outputs close.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => rest.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it does not end; lines so far: {rest:#?}"),
            }
        }
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Sends a process a signal by its name.
pub(crate) fn signal(name: &str, id: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().unwrap();
    assert!(sent.success(), "kill -{name} {id}");
}

/// Starts a worker by a name, and waits until it is at work.
pub(crate) fn worker(directory: &Path, name: &str) -> Running {
    let mut command = takedown(directory, &["worker"]);
    command.env("TAKEDOWN_WORKER__ID", name).env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
    let worker = Running::start(command);
    worker.line("worker started");
    worker
}

/// Asks a server one thing; returns status and body.
pub(crate) fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
