//! One account: which gateway, whose keys, how fast.

use std::time::Duration;

use crate::domain::takedown::Gateway;
use crate::gateway::GatewayAccount;
use crate::gateway::certificates::CertificateSet;
use crate::gateway::http::Endpoint;
use crate::limits::pause::HoldSettings;
use crate::limits::rate::Rate;
use crate::limits::{LimitSettings, Sharing};
use crate::ops::config::fault::Problem;
use crate::ops::config::keys::Secrets;
use crate::ops::config::section::Section;
use crate::ops::config::{mapi, open_platform, quota, units};
use crate::signing::charset::Charset;
use crate::signing::key::KeyError;

/// Calls a second where the operator says nothing; neither gateway documents its limit, so this one is cautious.
const DEFAULT_RATE: &str = "10/s";
/// Calls in flight where the operator says nothing.
const DEFAULT_IN_FLIGHT: usize = 32;
/// The longest a prefetched message may wait for its turn: a third of the broker's `consumer_timeout` of 30 minutes
/// (rabbitmq.com/docs/consumers, "Delivery Acknowledgement Timeout").
const MAX_PREFETCH_WAIT: Duration = Duration::from_mins(10);
/// Unacked messages are kept in the broker's memory; more buys nothing.
const MAX_PREFETCH: u16 = 2000;

/// One account.
#[derive(Debug)]
pub struct AccountConfig {
    /// Credentials.
    pub gateway: GatewayAccount,
    /// The certificates they were made of, in certificate mode.
    pub certificates: Option<CertificateSet>,
    /// Limits.
    pub limits: LimitSettings,
    /// Messages handed out ahead, bounded in count and in time: prefetch ÷ rate is at most 10 minutes.
    pub prefetch: u16,
}

/// An account as it was read; `config` is `None` once a fault is noted, and where secrets are not needed.
pub(super) struct Read {
    pub(super) gateway: Gateway,
    pub(super) sharing: Sharing,
    pub(super) rate: Rate,
    pub(super) config: Option<AccountConfig>,
}

/// Reads `[accounts.NAME]`; `None` where not even the gateway is known.
pub(super) fn read(mut section: Section<'_>, secrets: Secrets<'_>) -> Option<Read> {
    let remedy = "write gateway = \"mapi\" or gateway = \"open_platform\"";
    let gateway = section.required("gateway", remedy, |text| match text {
        "mapi" => Ok(Gateway::Mapi),
        "open_platform" => Ok(Gateway::OpenPlatform),
        other => Err(Problem::new(format!("is {other:?}, which is no gateway"), remedy)),
    });
    let (limits, prefetch) = limits(&mut section);
    // What the rest means depends on the gateway; telling it unknown would only confuse.
    let gateway = gateway?;
    let account = match gateway {
        Gateway::Mapi => mapi::read(&mut section, secrets).map(|account| (GatewayAccount::Mapi(account), None)),
        Gateway::OpenPlatform => open_platform::read(&mut section, secrets)
            .map(|(account, certificates)| (GatewayAccount::OpenPlatform(account), certificates)),
    };
    section.finish();
    let (sharing, rate) = (limits.sharing, limits.rate);
    let config = account.map(|(gateway, certificates)| AccountConfig { gateway, certificates, limits, prefetch });
    Some(Read { gateway, sharing, rate, config })
}

fn limits(section: &mut Section<'_>) -> (LimitSettings, u16) {
    let rate = section.text("rate", units::rate);
    let mut rate = rate.unwrap_or_else(|| units::rate(DEFAULT_RATE).expect("invariant: the default rate is a rate"));
    if let Some(burst) = section.number::<u32>("burst", 1..=1000) {
        rate.burst = burst.try_into().expect("invariant: the bounds exclude zero");
    }
    let in_flight = section.number("in_flight", 1..=1000).unwrap_or(DEFAULT_IN_FLIGHT);
    let second = Duration::from_secs(1);
    let max_wait = section.text("max_wait", units::duration_within(second, MAX_PREFETCH_WAIT));
    let cool_down = section.text("cool_down", units::duration_within(Duration::ZERO, Duration::from_hours(1)));
    let sharing = sharing(section);
    let settings = LimitSettings {
        rate,
        sharing,
        in_flight,
        max_wait: max_wait.unwrap_or(Duration::from_secs(60)),
        cool_down: cool_down.unwrap_or(Duration::from_secs(5)),
        hold: hold(section.section("hold")),
        quota: quota::read(section.section("quota")),
    };
    let prefetch = prefetch(section, rate, in_flight);
    (settings, prefetch)
}

/// Reads `mode`, and the `share` of `static`.
fn sharing(section: &mut Section<'_>) -> Sharing {
    let mode = section.text("mode", |text| match text {
        "static" => Ok(Sharing::Static(1.0)),
        "fleet" => Ok(Sharing::Fleet),
        "exclusive" => Ok(Sharing::Exclusive),
        other => Err(Problem::new(format!("is {other:?}, which is no mode"), "write fleet, exclusive or static")),
    });
    let share = section.text("share", units::part);
    match (mode.unwrap_or_default(), share) {
        (Sharing::Static(_), share) => Sharing::Static(share.unwrap_or(1.0)),
        (mode @ (Sharing::Fleet | Sharing::Exclusive), None) => mode,
        (mode @ (Sharing::Fleet | Sharing::Exclusive), Some(_)) => {
            let remedy = "write mode = \"static\", or remove it";
            section.fault("share", Problem::new("belongs to mode static; a fleet agrees on its shares", remedy));
            mode
        }
    }
}

fn hold(mut section: Section<'_>) -> HoldSettings {
    let bounds = || units::duration_within(Duration::from_millis(100), Duration::from_hours(24));
    let first_probe = section.text("first_probe", bounds()).unwrap_or(Duration::from_secs(30));
    let default_max = Duration::from_mins(10).max(first_probe);
    let max_probe = section.text("max_probe", bounds()).unwrap_or(default_max);
    if max_probe < first_probe {
        let problem = "is shorter than `first_probe`";
        section.fault("max_probe", Problem::new(problem, "the wait grows from first_probe up to max_probe"));
    }
    section.finish();
    HoldSettings { first_probe, max_probe }
}

/// Twice the calls in flight keep every place busy, as far as the rate can work them off in time.
fn prefetch(section: &mut Section<'_>, rate: Rate, in_flight: usize) -> u16 {
    let within = f64::from(rate.calls.get()) * MAX_PREFETCH_WAIT.as_secs_f64() / rate.per.as_secs_f64();
    let most = (1..=MAX_PREFETCH).rev().find(|count| f64::from(*count) <= within).unwrap_or(1);
    let wanted = u16::try_from(in_flight.saturating_mul(2)).unwrap_or(MAX_PREFETCH);
    let prefetch = section.number("prefetch", 1..=i64::from(MAX_PREFETCH)).unwrap_or(wanted.min(most));
    if prefetch > most {
        let problem = format!("is {prefetch}: at this rate the last of them would wait longer than 10 minutes unacked");
        section.fault("prefetch", Problem::new(problem, format!("write {most} or less, or remove it")));
    }
    prefetch.min(most)
}

/// Reads the address of the gateway; the real one where none is given.
pub(super) fn endpoint(section: &mut Section<'_>, default: &str) -> Option<Endpoint> {
    let check = |text: &str| {
        let remedy = format!("write {default}, or http:// to a loopback address for a rehearsal");
        Endpoint::new(text).map_err(|error| Problem::new(format!("is refused: {error}"), remedy))
    };
    if section.has("endpoint") { section.text("endpoint", check) } else { Endpoint::new(default).ok() }
}

/// Reads the charset; utf-8 where none is given.
pub(super) fn charset(section: &mut Section<'_>) -> Charset {
    let check = |text: &str| {
        Charset::from_label(text)
            .ok_or_else(|| Problem::new(format!("is {text:?}, which is no charset here"), "write utf-8, gbk or gb2312"))
    };
    section.text("charset", check).unwrap_or_default()
}

/// Words a key's fault, never with the key in it.
pub(super) fn bad_key(error: &KeyError) -> Problem {
    let remedy = "give PEM or bare Base64: the private key as PKCS#8 or PKCS#1, the gateway's key as \
                  SubjectPublicKeyInfo; `openssl pkey -in KEY` shows what a file holds";
    Problem::new(format!("is not usable: {error}"), remedy)
}
