//! `[worker]`: this replica's name, where it tells of itself and to whom, and how long a drain waits.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::domain::ids::WorkerId;
use crate::domain::secret::Secret;
use crate::ops::config::fault::Problem;
use crate::ops::config::keys::{self, Secrets};
use crate::ops::config::section::Section;
use crate::ops::config::units;

/// Shortest token, in bytes: what can be guessed over a network is no token.
const SHORTEST_TOKEN: usize = 16;

const TOKEN_REMEDY: &str = "make one with `openssl rand -hex 32`, and give it as `token_file = \"FILE\"` or \
                            TAKEDOWN_WORKER__TOKEN";

/// The section as read.
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) listen: SocketAddr,
    pub(super) token: Option<Secret>,
    pub(super) drain_timeout: Duration,
}

/// Reads the section. Where strangers may come a token is demanded.
pub(super) fn read(mut section: Section<'_>, secrets: Secrets<'_>) -> Option<Worker> {
    let id = section.text("id", |text| {
        let wrong = |error| Problem::new(format!("{error}"), "write 1 to 64 letters, digits, . _ or -");
        WorkerId::new(text).map_err(wrong)
    });
    let listen = section.text("listen", |text| {
        let wrong = |_| Problem::new(format!("is {text:?}, which is no address"), "write 127.0.0.1:9100 or [::1]:9100");
        text.parse::<SocketAddr>().map_err(wrong)
    });
    let token = keys::read(&mut section, secrets, "token", "token_file").and_then(|given| {
        let read = checked(given.text);
        read.map_err(|problem| section.fault(given.key, problem)).ok()
    });
    let is_given = section.has("token") || section.has("token_file");
    if let (Secrets::From(_), Some(listen), false) = (secrets, listen, is_given)
        && !listen.ip().is_loopback()
    {
        let problem = format!("is {listen}, where others than this machine may ask, and there is no token to ask for");
        section.fault("listen", Problem::new(problem, format!("write 127.0.0.1:{}, or {TOKEN_REMEDY}", listen.port())));
    }
    let bounds = units::duration_within(Duration::ZERO, Duration::from_hours(1));
    let drain_timeout = section.text("drain_timeout", bounds);
    section.finish();
    Some(Worker { id: id.unwrap_or_else(machine), listen: listen?, token, drain_timeout: drain_timeout? })
}

/// Reads a token of a file that no configuration names; an `Err` holds the problem and its remedy.
pub(in crate::ops) fn token_of_file(path: &Path) -> Result<Secret, (String, String)> {
    let text = fs::read_to_string(path).map_err(|error| {
        (
            format!("{} cannot be read: {}", path.display(), keys::reason(&error)),
            "name the file of the token".to_owned(),
        )
    })?;
    let told = |Problem { problem, remedy }: Problem| (format!("{} {problem}", path.display()), remedy);
    checked(Secret::new(text.trim())).map_err(told)
}

fn checked(token: Secret) -> Result<Secret, Problem> {
    let text = token.expose();
    if text.len() < SHORTEST_TOKEN {
        return Err(Problem::new(format!("holds {} bytes, of {SHORTEST_TOKEN} at least", text.len()), TOKEN_REMEDY));
    }
    // RFC 6750, section 2.1: what a header can carry as a bearer token.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !text.bytes().all(is_plain) {
        return Err(Problem::new("holds more than letters, digits and - . _ ~ + / =", TOKEN_REMEDY));
    }
    Ok(token)
}

/// The machine's name and the process's number: replicas on one machine are told apart.
fn machine() -> WorkerId {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(48).collect();
    let name = if name.is_empty() { "worker" } else { &name };
    WorkerId::new(format!("{name}-{}", std::process::id())).expect("invariant: the characters and length were chosen")
}
