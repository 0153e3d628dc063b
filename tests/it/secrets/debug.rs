//! `Debug` of every public type that holds a secret.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::SystemTime;

use hyper::header::{HeaderMap, HeaderValue};
use takedown::domain::ids::AccountId;
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::domain::takedown::{Item, Takedown};
use takedown::gateway::http::HttpAnswer;
use takedown::gateway::open_platform::{Protocol, v3};
use takedown::gateway::{GatewayAccount, mapi, open_platform};
use takedown::ops::config::{Config, Outline};
use takedown::ops::items::{self, Options};
use takedown::queue::embedded::EmbeddedQueue;
use takedown::queue::{DeadLetters, Intake, Queue};
use takedown::sandbox::setup::Setup;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType, Signer};

use super::plant::{AMQP_PASSWORD, CONTENT_KEY, INLINE_TOKEN, MD5_SECRET, Plant, USER_KEY, items};
use crate::support::queue::{outcome, take};

/// Looks at both ways to write it.
fn look(plant: &Plant, name: &str, value: &dyn Debug) {
    plant.needles.must_not_be_in(name, &format!("{value:?}"));
    plant.needles.must_not_be_in(name, &format!("{value:#?}"));
}

fn environment(plant: &Plant) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("TAKEDOWN_ACCOUNTS__SHOPS_ENV__PRIVATE_KEY".to_owned(), plant.environment_rsa.private.expose().to_owned()),
        ("TAKEDOWN_AMQP__URL".to_owned(), format!("amqp://desk:{AMQP_PASSWORD}@broker/%2f")),
    ])
}

#[test]
fn settings_keys_and_requests_show_no_secret() {
    let mut plant = Plant::new("127.0.0.1:1".parse().unwrap());
    let path = plant.home.path().join("takedown.toml");
    let config = Config::load(Some(&path), &environment(&plant)).unwrap();
    let outline = Outline::load(Some(&path), &environment(&plant)).unwrap();
    let file =
        plant.home.path().join(plant.items("items.jsonl", &(items() + &format!("{{\"key\":\"{USER_KEY}\"}}\n"))));
    let options =
        Options { accounts: &outline.accounts, charset: <_>::default(), format: None, account: None, batch: None };
    let items = items::read(&file, &options).unwrap();
    assert!(items.rejected.len() == 1 && items.accepted.len() > 30);
    for row in &items.accepted {
        let request = match (&config.accounts[&row.takedown.account].gateway, &row.takedown.item) {
            (GatewayAccount::Mapi(account), Item::Mapi(item)) => mapi::request::build(account, item),
            (GatewayAccount::OpenPlatform(account), Item::OpenPlatform(item)) => match account.protocol {
                Protocol::V1 => open_platform::request::build(account, item, SystemTime::UNIX_EPOCH),
                Protocol::V3 => v3::request::build(account, item, &v3::request::Stamp::fresh(SystemTime::UNIX_EPOCH)),
            },
            pair => panic!("{pair:?}"),
        };
        let request = request.unwrap();
        let query = request.url.split_once('?').unwrap_or_default().1;
        let headers: String = request.headers.iter().map(|(_, value)| format!("{value}&")).collect();
        let sign = format!("{query}&{headers}{}", request.body.as_ref().map_or("", |body| &body.text));
        plant.needles.derived("a signature", sign.split("sign=").nth(1).unwrap().split('&').next().unwrap());
        look(&plant, "HttpRequest", &request);
        look(&plant, "Body", &request.body);
        look(&plant, "Takedown", &row.takedown);
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-echo", HeaderValue::from_static(INLINE_TOKEN));
    let body = format!("{USER_KEY} {INLINE_TOKEN}").into_bytes();
    look(&plant, "HttpAnswer", &HttpAnswer { status: 200, headers, body, retry_after: None });
    look(&plant, "Items", &items);
    look(&plant, "Config", &config.accounts);
    look(&plant, "AmqpSettings", &(&config.amqp, &outline.amqp));
    assert!(format!("{:?}", config.amqp).contains("broker"), "the host is no secret");
    look(&plant, "KeyPair", &(&plant.rsa, &plant.dsa));
    look(&plant, "ContentKey", &ContentKey::load(CONTENT_KEY).unwrap());
    let signer = Signer::load(SignType::Md5, MD5_SECRET, DsaFormat::Der).unwrap();
    look(&plant, "Signer and Verifier", &(&signer, signer.own_verifier()));
}

#[test]
fn a_rehearsals_setup_shows_no_secret() {
    let mut plant = Plant::new("127.0.0.1:1".parse().unwrap());
    let setup = Setup::generate(SignType::Dsa).unwrap();
    for keys in [&setup.mapi_keys, &setup.open_platform_keys] {
        plant.needles.key("a key of the setup", keys.caller_private.expose());
        plant.needles.key("a key of the setup", keys.gateway_private.expose());
    }
    for (_, token) in &setup.merchants {
        plant.needles.text("a token of the setup", token.expose());
    }
    look(&plant, "Setup", &setup);
    look(&plant, "SandboxSettings", &setup.settings().unwrap());
}

#[tokio::test]
async fn messages_in_a_queue_show_no_secret() {
    let plant = Plant::new("127.0.0.1:1".parse().unwrap());
    let queue = EmbeddedQueue::open(&plant.home.path().join("q.queue")).unwrap();
    let takedowns = items().lines().map(|line| Takedown::decode(line.as_bytes()).unwrap()).collect::<Vec<_>>();
    queue.enqueue(takedowns).await.unwrap();
    for account in ["desk", "shops-env"] {
        let delivery = take(&queue, &AccountId::new(account).unwrap()).await;
        look(&plant, "Delivery", &delivery);
        let outcome = outcome(&delivery, Reason::UnknownCode);
        queue.settle(delivery, Settlement::DeadLetter(outcome)).await.unwrap();
    }
    // With rows taken ahead in its hands.
    look(&plant, "EmbeddedQueue", &queue);
    let letters = queue.list(&LetterFilter::default()).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().any(|letter| String::from_utf8_lossy(&letter.body).contains(USER_KEY)));
    look(&plant, "DeadLetter", &letters);
    queue.close().await.unwrap();
}
