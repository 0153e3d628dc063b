//! `protocol`: the default address of each, and what v3 rules out.

use serde_json::Value;
use takedown::domain::ids::AccountId;
use takedown::gateway::GatewayAccount;
use takedown::gateway::open_platform::{OpenPlatformAccount, Protocol};
use takedown::ops::config::Fault;

use super::{key_directory, load};

const V3: &str = "https://openapi.alipay.com/v3/alipay/open/servicemarket/commodity/shop/offline";

/// An account with key files and more settings.
fn written(more: &str) -> String {
    format!(
        "[accounts.shops]\ngateway = \"open_platform\"\napp_id = \"2016072600000001\"\n\
         private_key_file = \"keys/shops.private.pem\"\ngateway_key_file = \"keys/shops.gateway.pem\"\n{more}\n"
    )
}

fn read(more: &str) -> Result<OpenPlatformAccount, Vec<Fault>> {
    let directory = key_directory();
    let mut config = load(&written(more), directory.path(), &[])?;
    match config.accounts.remove(&AccountId::new("shops").unwrap()).unwrap().gateway {
        GatewayAccount::OpenPlatform(account) => Ok(account),
        GatewayAccount::Mapi(_) => panic!("shops is an app"),
    }
}

fn faults(more: &str) -> Vec<(String, String, String)> {
    let faults = read(more).unwrap_err();
    faults.into_iter().map(|fault| (fault.key.replace("accounts.shops.", ""), fault.problem, fault.remedy)).collect()
}

#[test]
fn each_protocol_has_its_own_default_address() {
    for (more, protocol, address) in [
        ("", Protocol::V1, "https://openapi.alipay.com/gateway.do"),
        ("protocol = \"v1\"", Protocol::V1, "https://openapi.alipay.com/gateway.do"),
        ("protocol = \"v3\"\ncharset = \"utf-8\"\nsign_type = \"RSA2\"", Protocol::V3, V3),
    ] {
        let account = read(more).unwrap();
        assert_eq!((account.protocol, account.endpoint.url().as_str()), (protocol, address), "{more}");
    }
    let host = V3.replace("openapi.alipay.com", "127.0.0.1:8750").replace("https", "http");
    assert_eq!(read(&format!("protocol = \"v3\"\nendpoint = \"{host}\"")).unwrap().endpoint.url().as_str(), host);
}

#[test]
fn an_address_of_the_other_protocol_is_refused_and_the_remedy_told() {
    for (more, problem, remedy) in [
        (format!("endpoint = \"{V3}\""), "is an address of protocol v3", "or protocol = \"v3\""),
        (
            "protocol = \"v3\"\nendpoint = \"https://openapi.alipay.com/gateway.do\"".to_owned(),
            "is an address of protocol v1",
            "or protocol = \"v1\"",
        ),
        (
            "protocol = \"v3\"\nendpoint = \"https://openapi.alipay.com\"".to_owned(),
            "does not have the path of the operation",
            V3,
        ),
        (format!("protocol = \"v3\"\nendpoint = \"{V3}/\""), "does not have the path of the operation", V3),
    ] {
        let found = faults(&more);
        let [(key, told, what)] = found.as_slice() else { panic!("{found:?}") };
        assert!(key == "endpoint" && told.contains(problem) && what.contains(remedy), "{found:?}");
    }
}

#[test]
fn what_v3_does_not_know_is_a_fault_with_a_remedy() {
    let more = "protocol = \"v3\"\ncharset = \"gbk\"\nsign_type = \"RSA\"\n\
                merchants = { m1 = \"to ken\", m2 = \"t\u{f6}ken\", m3 = \"token\" }";
    let found = faults(more);
    let keys: Vec<_> = found.iter().map(|(key, ..)| key.as_str()).collect();
    assert_eq!(keys, ["charset", "sign_type", "merchants.m1", "merchants.m2"], "{found:?}");
    assert!(found[0].1.contains("is gbk") && found[0].2.contains("utf-8"), "{found:?}");
    assert!(found[1].1.contains("is RSA") && found[1].2.contains("RSA2"), "{found:?}");
    assert!(!format!("{found:?}").contains("ken\""), "{found:?}");
    read(&more.replace("\"v3\"", "\"v1\"")).unwrap();
    assert_eq!(faults("protocol = \"v2\"")[0].0, "protocol");
}

#[test]
fn the_schema_says_the_same() {
    let schema: Value = serde_json::from_str(include_str!("../../../schemas/config.v1.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (more, is_valid) in [
        ("protocol = \"v1\"\ncharset = \"gbk\"\nsign_type = \"RSA\"", true),
        ("protocol = \"v3\"", true),
        ("protocol = \"v3\"\ncharset = \"utf-8\"\nsign_type = \"RSA2\"", true),
        ("protocol = \"v3\"\ncharset = \"gbk\"", false),
        ("protocol = \"v3\"\nsign_type = \"RSA\"", false),
        ("protocol = \"v2\"", false),
    ] {
        let document = serde_json::to_value(toml::from_str::<toml::Table>(&written(more)).unwrap()).unwrap();
        assert_eq!(validator.is_valid(&document), is_valid, "{more}");
        assert_eq!(read(more).is_ok(), is_valid, "{more}");
    }
}
