//! A command on a terminal of its own: `script` (util-linux, on every Debian) makes one, a shell sets its size.
//!
//! Promise: what the command's terminal was before and after it, and its exit code, are told after it has ended.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::command::{takedown, tie};

/// Longest wait for a text; a busy machine needs patience.
const DEADLINE: Duration = Duration::from_secs(60);

/// The shell stays alive through Ctrl-C, so that it can tell how the terminal was left.
const SHELL: &str = r#"trap : INT
stty cols "$PTY_COLUMNS" rows "$PTY_ROWS"
before=$(stty -a)
"$PTY_PROGRAM" $PTY_ARGUMENTS
code=$?
if [ "$before" = "$(stty -a)" ]; then whole=whole; else whole=changed; fi
echo "[ended $code, terminal $whole]""#;

/// A command on a terminal; killed when dropped.
pub(crate) struct Pty {
    child: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    /// As it came: a letter may come in two parts.
    seen: Vec<u8>,
}

impl Pty {
    /// Starts the real binary on a terminal of a size; arguments may hold no blanks.
    pub(crate) fn start(directory: &Path, arguments: &[&str], size: (u16, u16), set: &[(&str, &str)]) -> Self {
        let program = takedown(directory, &[]).get_program().to_owned();
        let mut command = Command::new("script");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TAKEDOWN_")) {
            command.env_remove(name);
        }
        command.args(["-qec", SHELL, "/dev/null"]).current_dir(directory);
        command.env("SHELL", "/bin/sh").env("PTY_PROGRAM", program).env("PTY_ARGUMENTS", arguments.join(" "));
        command.env("PTY_COLUMNS", size.0.to_string()).env("PTY_ROWS", size.1.to_string());
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "LC_CTYPE", "LANG"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").envs(set.iter().copied());
        tie(&mut command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (keys, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, output, seen: Vec::new() }
    }

    /// Waits until the terminal was sent a text; returns everything it was sent so far.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let seen = String::from_utf8_lossy(&self.seen);
            if seen.contains(text) {
                return seen.into_owned();
            }
            match self.output.recv_timeout(DEADLINE.saturating_sub(start.elapsed())) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(error) => panic!("no {text:?} ({error}); so far: {seen}"),
            }
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the end; returns the exit code, and everything the terminal was sent. Fails if the terminal was not
    /// left as it was.
    pub(crate) fn end(mut self) -> (i32, String) {
        self.until("[ended ");
        let all = self.until("terminal whole]");
        let (shown, end) = all.rsplit_once("[ended ").unwrap();
        (end.split(',').next().unwrap().parse().unwrap(), shown.to_owned())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}
