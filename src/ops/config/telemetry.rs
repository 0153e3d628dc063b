//! `[telemetry]`: where spans go, which traces are recorded, and what gateways are told of them.
//!
//! What the file and our own variables leave open is filled by OpenTelemetry's. One of those that makes no sense is
//! warned of and ignored (OpenTelemetry, SDK environment variables, "parsing"): it may be meant for other programs.

use std::collections::BTreeMap;

use url::Url;
use zeroize::Zeroizing;

use crate::ops::config::fault::{Faults, Origin, Problem};
use crate::ops::config::raw::{Node, Table, Value};
use crate::ops::config::section::Section;
use crate::ops::telemetry::{Export, ParentSampling, Sampling, TelemetrySettings};
use crate::worker::context::GatewayTrace;

const ENDPOINT_REMEDY: &str = "write the whole address, such as http://127.0.0.1:4318/v1/traces";
const SAMPLERS: &str = "always_on, always_off, traceidratio, or one of these with parentbased_ before it";
const RATIO: &str = "write a number from 0 to 1, such as \"0.1\"";

/// Fills what was not given from OpenTelemetry's variables.
pub(super) fn fill(tree: &mut Table, environment: &BTreeMap<String, String>, faults: &Faults) {
    let variable = |name: &'static str| {
        let value = environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        value.map(|value| (name, value.to_owned()))
    };
    let Some(Node { value: Value::Table(section), .. }) = tree.entries.get_mut("telemetry") else { return };
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|(_, value)| value == "none");
    if is_off {
        section.entries.remove("endpoint");
    }
    let endpoint = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| {
        // Of the address for all signals it is the base (OTLP exporter, endpoint URLs).
        let (name, base) = variable("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        Some((name, format!("{}/v1/traces", base.trim_end_matches('/'))))
    });
    let is_plain = |text: &str| if text.is_empty() { Err(Problem::new("is empty", "")) } else { Ok(()) };
    let given = [
        ("endpoint", endpoint.filter(|_| !is_off), (|text| self::endpoint(text).map(drop)) as fn(&str) -> _),
        ("service_name", variable("OTEL_SERVICE_NAME"), is_plain),
        ("sampler", variable("OTEL_TRACES_SAMPLER"), |text| sampler(text).map(drop)),
        ("sampler_arg", variable("OTEL_TRACES_SAMPLER_ARG"), |text| ratio(text).map(drop)),
    ];
    for (key, given, check) in given {
        let Some((name, text)) = given.filter(|_| !section.entries.contains_key(key)) else { continue };
        let origin = Origin::Variable(name.to_owned());
        match check(&text) {
            Ok(()) => {
                let value = Value::Text(Zeroizing::new(text));
                section.entries.insert(key.to_owned(), Node { value, origin });
            }
            Err(problem) => faults.warn(format!("telemetry.{key}"), &origin, problem),
        }
    }
}

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Option<TelemetrySettings> {
    let is_given = section.has("endpoint");
    let endpoint = section.text("endpoint", self::endpoint);
    let service_name = section.text("service_name", |text| Ok(text.to_owned()));
    let sampler = if section.has("sampler") { section.text("sampler", self::sampler) } else { sampler("").ok() };
    let ratio = if section.has("sampler_arg") { section.text("sampler_arg", self::ratio) } else { Some(1.0) };
    let gateway_trace = section.boolean("tell_gateways");
    section.finish();
    let (parent, root) = sampler?;
    let sampling = Sampling { parent, ratio: root.ratio(ratio?) };
    let export = match endpoint {
        Some(endpoint) => {
            let service_name = service_name.unwrap_or_else(|| "takedown".to_owned());
            Some(Export { endpoint, service_name, sampling })
        }
        // A fault is noted.
        None if is_given => return None,
        None => None,
    };
    let gateway_trace = if gateway_trace? { GatewayTrace::Told } else { GatewayTrace::Kept };
    Some(TelemetrySettings { export, gateway_trace })
}

/// What is recorded of traces whose beginning is here.
#[derive(Debug, Clone, Copy)]
enum Root {
    On,
    Off,
    Ratio,
}

impl Root {
    fn ratio(self, given: f64) -> f64 {
        match self {
            Self::On => 1.0,
            Self::Off => 0.0,
            Self::Ratio => given,
        }
    }
}

fn endpoint(text: &str) -> Result<Url, Problem> {
    let wrong = |problem: &str| Problem::new(problem, ENDPOINT_REMEDY);
    let url = Url::parse(text).map_err(|_| wrong("is no address"))?;
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Err(wrong("is no http or https address (spans go by OTLP/HTTP, not gRPC)"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::new(
            "carries a user name or password",
            "remove it; OTEL_EXPORTER_OTLP_HEADERS takes a token",
        ));
    }
    Ok(url)
}

/// An absent one is `parentbased_always_on`, OpenTelemetry's default.
fn sampler(text: &str) -> Result<(ParentSampling, Root), Problem> {
    let (parent, root) = match text.strip_prefix("parentbased_") {
        Some(root) => (ParentSampling::Decides, root),
        None if text.is_empty() => (ParentSampling::Decides, "always_on"),
        None => (ParentSampling::IsIgnored, text),
    };
    let root = match root {
        "always_on" => Root::On,
        "always_off" => Root::Off,
        "traceidratio" => Root::Ratio,
        _ => return Err(Problem::new(format!("is {text:?}, which is no sampler"), format!("write {SAMPLERS}"))),
    };
    Ok((parent, root))
}

fn ratio(text: &str) -> Result<f64, Problem> {
    let wrong = || Problem::new(format!("is {text:?}, which is no part of a whole"), RATIO);
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(wrong)
}
