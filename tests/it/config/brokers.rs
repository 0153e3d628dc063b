//! `amqp.url`: one address, or those of a cluster's nodes.

use serde_json::{Value, json};
use takedown::ops::config::Fault;

use super::{example, key_directory, load};

const NODES: [&str; 2] = ["amqp://u:p,w@mq-1:5672/%2f", "amqps://u:p@mq-2/%2F"];

fn from_file(url: &str) -> Result<Vec<String>, Vec<Fault>> {
    let text = example().replacen("url = \"amqp://guest:guest@127.0.0.1:5672/%2f\"", &format!("url = {url}"), 1);
    load(&text, key_directory().path(), &[]).map(|config| config.amqp.urls)
}

fn from_environment(url: &str) -> Result<Vec<String>, Vec<Fault>> {
    load(&example(), key_directory().path(), &[("TAKEDOWN_AMQP__URL", url)]).map(|config| config.amqp.urls)
}

#[test]
fn a_file_names_one_node_or_a_list_of_them() {
    assert_eq!(from_file(&format!("{:?}", NODES[0])).unwrap(), NODES[..1]);
    assert_eq!(from_file(&format!("{NODES:?}")).unwrap(), NODES);
}

#[test]
fn commas_separate_nodes_in_the_environment_and_are_escaped_in_a_password() {
    let escaped = NODES.map(|node| node.replace("p,w", "p%2cw"));
    assert_eq!(from_environment(&escaped.join(", ")).unwrap(), escaped);
    let faults = from_environment(&NODES.join(",")).unwrap_err();
    assert!(faults[0].remedy.contains("%2c") && !faults[0].problem.contains("w@"), "{faults:?}");
}

#[test]
fn every_faulty_address_is_told_and_none_is_quoted() {
    let faults = from_file(r#"["amqp://u:s3cret@a/%2f", "http://u:s3cret@b/", "s3cret"]"#).unwrap_err();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["amqp.url[1]", "amqp.url[2]"]);
    assert!(!format!("{faults:?}").contains("s3cret"), "{faults:?}");
    for (url, problem) in [
        ("[]", "is empty"),
        (r#"["amqp://a/%2f", "amqp://a/other"]"#, "more than one virtual host"),
        (r#"["amqp://a/%2f", "amqp://a/"]"#, "more than one virtual host"),
        ("5", "expected a text"),
    ] {
        let faults = from_file(url).unwrap_err();
        assert!(faults.len() == 1 && faults[0].problem.contains(problem), "{url}: {faults:?}");
    }
    assert_eq!(from_file(r#"["amqp://a", "amqp://b/%2f"]"#).unwrap().len(), 2);
}

#[test]
fn the_schema_takes_both_forms() {
    let schema: Value = serde_json::from_str(include_str!("../../../schemas/config.v1.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (url, is_right) in [(json!(NODES[0]), true), (json!(NODES), true), (json!([]), false), (json!(["mq"]), false)] {
        assert_eq!(validator.is_valid(&json!({ "amqp": { "url": url } })), is_right, "{url}");
    }
}
