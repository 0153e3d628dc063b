//! The configuration: every fault at once, the environment, the default file, the schema.

mod brokers;
mod certificates;
mod protocol;
mod telemetry;
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use takedown::domain::ids::AccountId;
use takedown::gateway::GatewayAccount;
use takedown::limits::Sharing;
use takedown::ops::config::{Config, DEFAULT, Fault, Origin, Outline};
use tempfile::TempDir;

fn keys() -> Value {
    serde_json::from_str(include_str!("../fixtures/vectors/keys.json")).unwrap()
}

fn key(name: &str, form: &str) -> String {
    keys()[name][form].as_str().unwrap().to_owned()
}

/// A directory with the key files the example of the default names.
fn key_directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        fs::create_dir_all(directory.path().join("keys")).unwrap();
        fs::write(directory.path().join("keys").join(name), text).unwrap();
    };
    write("shops.private.pem", &key("app_rsa2048", "private_pkcs8_pem"));
    write("shops.gateway.pem", &key("gateway_rsa2048", "public_spki_pem"));
    write("m1.token", "201208134b203fe6c11548bcabd8da5bb087a83b\n");
    write("desk.secret", &key("mapi_md5_key", "value"));
    directory
}

/// The default with its examples switched on: every `#setting` line becomes a setting.
fn example() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    DEFAULT.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

fn load(text: &str, base: &Path, environment: &[(&str, &str)]) -> Result<Config, Vec<Fault>> {
    let environment: BTreeMap<_, _> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::parse(text, base, &environment)
}

#[test]
fn the_default_alone_lacks_nothing_but_an_account() {
    let faults = load("", Path::new(""), &[]).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].key, "accounts");
    assert!(faults[0].remedy.contains("[accounts.NAME]"), "{faults:?}");
}

#[test]
fn the_default_with_its_examples_switched_on_loads_and_says_what_the_code_does() {
    let directory = key_directory();
    let written = load(&example(), directory.path(), &[]).unwrap();
    let bare = r#"
        [accounts.shops]
        gateway = "open_platform"
        app_id = "2016072600000001"
        private_key_file = "keys/shops.private.pem"
        gateway_key_file = "keys/shops.gateway.pem"
    "#;
    let silent = load(bare, directory.path(), &[]).unwrap();
    let shops = AccountId::new("shops").unwrap();
    assert_eq!(written.accounts[&shops].limits, silent.accounts[&shops].limits);
    assert_eq!(written.accounts[&shops].prefetch, silent.accounts[&shops].prefetch);
    assert_eq!(written.http, silent.http);
    assert_eq!(written.retry, takedown::domain::retry::RetryPolicy::default());
    assert_eq!(written.http, takedown::gateway::http::HttpSettings::default());
    assert_eq!(written.worker.as_str(), "worker-1");
    let GatewayAccount::OpenPlatform(account) = &written.accounts[&shops].gateway else { panic!("shops is an app") };
    assert_eq!(account.endpoint.url().as_str(), "https://openapi.alipay.com/gateway.do");
    assert_eq!(account.merchants.len(), 1);
}

#[test]
fn the_default_and_its_examples_obey_the_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../schemas/config.v1.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for text in [DEFAULT.to_owned(), example()] {
        let document = serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    for wrong in [
        "[worker]\nlisten = 9100",
        "[retry]\ndelays = []",
        "[accounts.a]\ngateway = \"mapi\"\npartner = \"2088000000000001\"\nsign_type = \"MD5\"\napp_id = \"1\"",
        "[accounts.a]\ngateway = \"open_platform\"\napp_id = \"1\"\nrate = \"fast\"",
    ] {
        let document = serde_json::to_value(toml::from_str::<toml::Table>(wrong).unwrap()).unwrap();
        assert!(!validator.is_valid(&document), "{wrong}");
    }
}

#[test]
fn every_fault_is_told_at_once_with_its_key_and_line() {
    let directory = key_directory();
    let text = r#"
[worker]
listen = "9100"
[amqp]
urll = "amqp://x"
[retry]
rungs = ["30s", "5s"]
max_attempts = 0
delays = ["5s", "soon"]
[accounts.shops]
gateway = "open_platform"
private_key_file = "keys/absent.pem"
gateway_key_file = "keys/desk.secret"
rate = "fast"
partner = "2088000000000001"
[accounts.desk]
gateway = "mapi"
partner = "1234"
sign_type = "MD5"
secret_file = "keys/desk.secret"
rate = "1/h"
prefetch = 50
[accounts."a.b"]
gateway = "telex"
"#;
    let faults = load(text, directory.path(), &[]).unwrap_err();
    let found: Vec<_> = faults.iter().map(|fault| (fault.line().unwrap_or(0), fault.key.as_str())).collect();
    assert_eq!(
        found,
        [
            (3, "worker.listen"),
            (5, "amqp.urll"),
            (7, "retry.rungs"),
            (8, "retry.max_attempts"),
            (9, "retry.delays[1]"),
            (10, "accounts.shops.app_id"),
            (12, "accounts.shops.private_key_file"),
            (13, "accounts.shops.gateway_key_file"),
            (14, "accounts.shops.rate"),
            (15, "accounts.shops.partner"),
            (18, "accounts.desk.partner"),
            (22, "accounts.desk.prefetch"),
            (23, "accounts.a.b"),
            (24, "accounts.a.b.gateway"),
        ],
        "{faults:#?}"
    );
    for fault in &faults {
        assert!(!fault.problem.is_empty() && !fault.remedy.is_empty(), "{fault:?}");
    }
    assert_eq!(faults[1].remedy, "did you mean `url`?");
    assert!(faults[9].remedy.contains("mapi"), "{:?}", faults[9]);
}

#[test]
fn syntax_faults_are_told_with_their_lines() {
    let faults = load("[worker]\nlisten = \n\n[amqp\n", Path::new(""), &[]).unwrap_err();
    assert!(faults.iter().any(|fault| fault.line() == Some(2)), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.line() == Some(4)), "{faults:?}");
}

#[test]
fn the_environment_wins_over_the_file_in_any_letter_case() {
    let directory = key_directory();
    let text = example().replace("[accounts.desk]", "[accounts.desk-1]");
    let environment = [
        ("TAKEDOWN_ACCOUNTS__SHOPS__RATE", "20/s"),
        ("takedown_accounts__desk_1__rate", "600/min"),
        ("TAKEDOWN_AMQP__URL", "amqp://u:p@broker:5672/%2f"),
        ("TAKEDOWN_RETRY__DELAYS", "1s, 2s"),
        ("TAKEDOWN_RETRY__MAX_ATTEMPTS", "2"),
        ("TAKEDOWN_ACCOUNTS__DESK_1__SEND_GOODS_ID", "false"),
        ("TAKEDOWN_ACCOUNTS__SHOPS__HOLD__FIRST_PROBE", "1m"),
        ("TAKEDOWN_HTTP__TOTAL_TIMEOUT", ""),
        ("TAKEDOWN_CONFIG", "elsewhere.toml"),
        ("TAKEDOWN_PORT_9100_TCP", "tcp://10.0.0.1:9100"),
        ("PATH", "/bin"),
    ];
    let config = load(&text, directory.path(), &environment).unwrap();
    let shops = &config.accounts[&AccountId::new("shops").unwrap()];
    let desk = &config.accounts[&AccountId::new("desk-1").unwrap()];
    assert_eq!(shops.limits.rate.calls.get(), 20);
    assert_eq!((desk.limits.rate.calls.get(), desk.limits.rate.per), (600, Duration::from_secs(60)));
    assert_eq!(config.amqp.urls, ["amqp://u:p@broker:5672/%2f"]);
    assert_eq!(config.retry.delays, [1, 2].map(Duration::from_secs));
    assert_eq!(config.retry.max_attempts, 2);
    assert_eq!(shops.limits.hold.first_probe, Duration::from_secs(60));
    assert_eq!(config.http.total_timeout, Duration::from_secs(10));
    let GatewayAccount::Mapi(account) = &desk.gateway else { panic!("desk-1 is a partner") };
    assert_eq!(account.goods_id, takedown::gateway::mapi::GoodsIdField::NotSent);
}

#[test]
fn an_account_can_come_from_the_environment_alone_keys_included() {
    let environment = [
        ("TAKEDOWN_ACCOUNTS__SHOPS__GATEWAY", "open_platform".to_owned()),
        ("TAKEDOWN_ACCOUNTS__SHOPS__APP_ID", "2016072600000001".to_owned()),
        ("TAKEDOWN_ACCOUNTS__SHOPS__PRIVATE_KEY", key("app_rsa2048", "private_pkcs1_base64")),
        ("TAKEDOWN_ACCOUNTS__SHOPS__GATEWAY_KEY", key("gateway_rsa2048", "public_spki_base64")),
        ("TAKEDOWN_ACCOUNTS__SHOPS__MERCHANTS__M1", "t0k3n".to_owned()),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let config = load("", Path::new(""), &environment).unwrap();
    assert_eq!(config.accounts.keys().map(AccountId::as_str).collect::<Vec<_>>(), ["shops"]);
    assert!(!format!("{config:?}").contains("t0k3n"));
}

#[test]
fn faults_of_the_environment_name_the_variable() {
    let directory = key_directory();
    let environment =
        [("TAKEDOWN_AMQP_URL", "amqp://x"), ("TAKEDOWN_WORKER__LISTNE", "x"), ("TAKEDOWN_RETRY__MAX_ATTEMPTS", "many")];
    let faults = load(&example(), directory.path(), &environment).unwrap_err();
    let of = |name: &str| {
        let origin = Origin::Variable(name.to_owned());
        faults.iter().find(|fault| fault.origin == origin).unwrap_or_else(|| panic!("{name} in {faults:?}"))
    };
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert_eq!(of("TAKEDOWN_AMQP_URL").remedy, "write TAKEDOWN_AMQP__URL");
    assert_eq!(of("TAKEDOWN_WORKER__LISTNE").remedy, "did you mean `listen`?");
    assert!(of("TAKEDOWN_RETRY__MAX_ATTEMPTS").problem.contains("many"));
}

#[test]
fn no_fault_quotes_a_secret() {
    let directory = key_directory();
    let password = "hunter2";
    let private = key("app_rsa2048", "private_pkcs8_base64");
    let environment = [
        ("TAKEDOWN_AMQP__URL", format!("http://user:{password}@broker")),
        ("TAKEDOWN_ACCOUNTS__SHOPS__PRIVATE_KEY", private.clone()),
        ("TAKEDOWN_ACCOUNTS__SHOPS__GATEWAY_KEY", private.clone()),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let faults = load(&example(), directory.path(), &environment).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
    let told = format!("{faults:?}");
    assert!(!told.contains(password) && !told.contains(&private[..40]), "{told}");
    let wrong = faults.iter().find(|fault| fault.key == "accounts.shops.gateway_key").unwrap();
    assert!(wrong.problem.contains("RSA private key"), "{wrong:?}");
}

#[test]
fn a_secret_given_twice_at_one_place_is_refused_and_the_environment_wins_over_a_file() {
    let directory = key_directory();
    let twice = example().replace("secret_file =", "secret = \"x\"\nsecret_file =");
    let faults = load(&twice, directory.path(), &[]).unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.key.as_str()).collect::<Vec<_>>(), ["accounts.desk.secret"]);
    load(&example(), directory.path(), &[("TAKEDOWN_ACCOUNTS__DESK__SECRET", "from-the-environment")]).unwrap();
}

#[test]
fn the_prefetch_follows_the_rate_down() {
    let directory = key_directory();
    let slow = example().replace("#rate", "rate").replace("rate = \"5/s\"", "rate = \"60/h\"");
    let config = load(&slow, directory.path(), &[]).unwrap();
    assert_eq!(config.accounts[&AccountId::new("desk").unwrap()].prefetch, 10);
}

#[test]
fn the_mode_is_one_of_three_and_a_share_belongs_to_one_of_them() {
    let directory = key_directory();
    let with = |mode: &str| example().replacen("mode = \"fleet\"", &format!("mode = {mode}"), 1);
    let config = load(&with("\"exclusive\""), directory.path(), &[]).unwrap();
    assert_eq!(config.accounts[&AccountId::new("shops").unwrap()].limits.sharing, Sharing::Exclusive);
    for wrong in ["\"alone\"", "\"exclusive\"\nshare = \"1/2\""] {
        let faults = load(&with(wrong), directory.path(), &[]).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}

#[test]
fn a_missing_file_is_a_fault_with_a_remedy() {
    let error = Config::load(Some(Path::new("/nowhere/takedown.toml")), &BTreeMap::new()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/nowhere/takedown.toml") && text.contains("takedown config >"), "{text}");
}

#[test]
fn an_outline_needs_no_key_and_checks_the_rest() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("takedown.toml");
    fs::write(&file, example()).unwrap();
    let outline = Outline::load(Some(&file), &BTreeMap::new()).unwrap();
    assert_eq!(outline.accounts.keys().map(AccountId::as_str).collect::<Vec<_>>(), ["desk", "shops"]);
    let faulty = example().replace("private_key_file", "privat_key_file").replace("\"5/s\"", "\"fast\"");
    fs::write(&file, faulty).unwrap();
    let faults = Outline::load(Some(&file), &BTreeMap::new()).err().unwrap().faults;
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["accounts.shops.privat_key_file", "accounts.desk.rate"]);
    assert_eq!(faults[0].remedy, "did you mean `private_key_file`?");
}
