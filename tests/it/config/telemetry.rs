//! `[telemetry]`: the file, our variables, and OpenTelemetry's for what they leave open.

use std::collections::BTreeMap;

use takedown::ops::config::{Config, Fault};
use takedown::ops::telemetry::{Export, ParentSampling, Sampling, TelemetrySettings};
use takedown::worker::context::GatewayTrace;

use super::key_directory;

const ACCOUNT: &str = "[accounts.shops]\ngateway = \"open_platform\"\napp_id = \"2016072600000001\"\n\
    private_key_file = \"keys/shops.private.pem\"\ngateway_key_file = \"keys/shops.gateway.pem\"\n";

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<Fault>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(&format!("{text}\n{ACCOUNT}"), key_directory().path(), &variables.collect::<BTreeMap<_, _>>())
}

fn read(text: &str, variables: &[(&str, &str)]) -> TelemetrySettings {
    load(text, variables).unwrap().telemetry
}

fn endpoint(text: &str, variables: &[(&str, &str)]) -> Option<String> {
    read(text, variables).export.map(|export| export.endpoint.to_string())
}

const FILE: &str = "[telemetry]\nendpoint = \"http://collector:4318/v1/traces\"";

#[test]
fn without_an_endpoint_nothing_is_exported() {
    let silent = read("", &[]);
    assert_eq!(silent, TelemetrySettings { export: None, gateway_trace: GatewayTrace::Told });
    assert_eq!(read("[telemetry]\ntell_gateways = false", &[]).gateway_trace, GatewayTrace::Kept);
}

#[test]
fn the_defaults_are_opentelemetrys() {
    let sampling = Sampling { parent: ParentSampling::Decides, ratio: 1.0 };
    let export = Export {
        endpoint: "http://collector:4318/v1/traces".parse().unwrap(),
        service_name: "takedown".into(),
        sampling,
    };
    assert_eq!(read(FILE, &[]).export, Some(export));
}

#[test]
fn the_variables_of_opentelemetry_fill_what_is_open() {
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://base:4318");
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://own:1/here");
    let ours = ("TAKEDOWN_TELEMETRY__ENDPOINT", "http://ours:2/v1/traces");
    assert_eq!(endpoint("", &[base]).as_deref(), Some("http://base:4318/v1/traces"));
    assert_eq!(endpoint("", &[base, traces]).as_deref(), Some("https://own:1/here"));
    assert_eq!(endpoint(FILE, &[base, traces]).as_deref(), Some("http://collector:4318/v1/traces"));
    assert_eq!(endpoint(FILE, &[base, traces, ours]).as_deref(), Some("http://ours:2/v1/traces"));
    for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        assert_eq!((endpoint("", &[base, off]), endpoint(FILE, &[off])), (None, None));
    }
    let named = read(FILE, &[("OTEL_SERVICE_NAME", "night"), ("OTEL_TRACES_SAMPLER", "traceidratio")]).export.unwrap();
    assert_eq!(named.service_name, "night");
    assert_eq!(named.sampling, Sampling { parent: ParentSampling::IsIgnored, ratio: 1.0 });
    let part = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")];
    let part = read(FILE, &part).export.unwrap();
    assert_eq!(part.sampling, Sampling { parent: ParentSampling::Decides, ratio: 0.25 });
}

#[test]
fn a_variable_that_may_be_meant_for_others_is_warned_of_and_ignored() {
    for (name, value, key) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector-without-scheme", "telemetry.endpoint"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector:4317", "telemetry.endpoint"),
        ("OTEL_TRACES_SAMPLER", "xray", "telemetry.sampler"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "telemetry.sampler_arg"),
    ] {
        let config = load("", &[(name, value)]).unwrap();
        assert_eq!(config.telemetry, TelemetrySettings::default(), "{name}");
        let warned = config.warnings.iter().map(|fault| fault.key.as_str()).filter(|key| key.starts_with("telemetry"));
        let warned: Vec<_> = warned.collect();
        assert_eq!(warned, [key], "{name}");
    }
}

#[test]
fn what_the_file_says_wrongly_is_a_fault_with_its_remedy() {
    for (line, problem, remedy) in [
        ("endpoint = \"collector:4318\"", "no http or https address", "http://127.0.0.1:4318/v1/traces"),
        ("endpoint = \"http://u:secret-word@c:1/\"", "user name or password", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("sampler = \"sometimes\"", "which is no sampler", "parentbased_"),
        ("sampler_arg = \"2\"", "no part of a whole", "0 to 1"),
        ("endpint = \"http://c:1/\"", "not known", "endpoint"),
    ] {
        let faults = load(&format!("[telemetry]\n{line}"), &[]).err().unwrap_or_else(|| panic!("{line}"));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].problem.contains(problem) && faults[0].remedy.contains(remedy), "{faults:?}");
        assert!(!format!("{faults:?}").contains("secret-word"));
    }
}
