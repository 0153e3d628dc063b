//! Certificate mode and content encryption end to end: configuration from files, real HTTP, the sandbox's answers.

use std::time::SystemTime;

use takedown::domain::classify::{Cause, Effect, History, Outcome, Redelivery, classify};
use takedown::domain::reply::{Answer, Claim, Reply, Signature};
use takedown::domain::takedown::{Gateway, Item, OpenPlatformItem};
use takedown::gateway::GatewayAccount;
use takedown::gateway::http::{HttpClient, HttpSettings};
use takedown::ops::config::Config;
use takedown::sandbox::faults::Faults;
use takedown::sandbox::setup::CERTIFIED_ACCOUNT;
use takedown::sandbox::{ItemState, Sandbox, SandboxSettings};
use tempfile::TempDir;

use crate::support::replica::setup;

const ITEM: &str = "20160010200000000033400@2015052000077000000000182140";

struct Stage {
    home: TempDir,
    sandbox: Sandbox,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(|_| ()).await
    }

    /// Changes the sandbox's side only: the caller's files stay those of the setup.
    async fn set_with(change: impl FnOnce(&mut SandboxSettings)) -> Self {
        let home = TempDir::new().unwrap();
        for (name, text) in setup().certified.files() {
            std::fs::write(home.path().join(name), text.expose()).unwrap();
        }
        let mut settings = setup().settings().unwrap();
        change(&mut settings);
        Self { home, sandbox: Sandbox::start(settings).await.unwrap() }
    }

    /// The account as its configuration gives it; `more` is put into it.
    fn account(&self, more: &str) -> GatewayAccount {
        let (url, app_id) = (self.sandbox.open_platform_url(), setup().certified.app_id);
        let text = format!(
            r#"
            [accounts.{CERTIFIED_ACCOUNT}]
            gateway = "open_platform"
            endpoint = "{url}"
            app_id = "{app_id}"
            private_key_file = "{CERTIFIED_ACCOUNT}.private.pem"
            app_cert_file = "{CERTIFIED_ACCOUNT}.app.crt"
            root_cert_file = "{CERTIFIED_ACCOUNT}.root.crt"
            gateway_cert_files = ["{CERTIFIED_ACCOUNT}.gateway.crt"]
            {more}
            "#
        );
        let config = Config::parse(&text, self.home.path(), &[].into()).unwrap();
        config.accounts.into_values().next().unwrap().gateway
    }

    fn encrypted(&self) -> GatewayAccount {
        self.account(&format!("content_key_file = \"{CERTIFIED_ACCOUNT}.content.key\""))
    }

    fn play(&self, fault: &str) {
        self.sandbox.set_faults(Faults::parse([], &format!("{{\"fault\":\"{fault}\"}}")).unwrap());
    }
}

async fn call(account: &GatewayAccount) -> Answer {
    let (commodity_id, shop_id) = ITEM.split_once('@').unwrap();
    let item = Item::OpenPlatform(OpenPlatformItem {
        commodity_id: commodity_id.to_owned(),
        shop_id: shop_id.to_owned(),
        merchant: None,
        app_auth_token: None,
    });
    let http = HttpClient::for_loopback(&HttpSettings::default()).unwrap();
    match account.call(&http, &item, SystemTime::now()).await {
        Reply::Answered(answer) => answer,
        broken => panic!("{broken:?}"),
    }
}

fn sub_code(answer: &Answer) -> Option<&str> {
    match &answer.claim {
        Claim::Failure { sub_code, .. } => sub_code.as_deref(),
        Claim::Success { .. } | Claim::Unreadable { .. } => None,
    }
}

#[tokio::test]
async fn an_encrypted_takedown_is_carried_out_and_its_encrypted_answer_verified() {
    for more in ["", "charset = \"gbk\""] {
        let stage = Stage::set().await;
        let account = stage.account(&format!("content_key_file = \"{CERTIFIED_ACCOUNT}.content.key\"\n{more}"));
        let answer = call(&account).await;
        assert!(matches!(answer.claim, Claim::Success { .. }), "{answer:?}");
        assert_eq!((answer.signature, answer.unknown_certificate), (Signature::Valid, None));
        assert_eq!(stage.sandbox.item(ITEM), ItemState::OffSale);
        let again = call(&account).await;
        assert_eq!((again.signature, sub_code(&again)), (Signature::Valid, Some("SHOP_STATUS_NOT_SUPPORT")), "{more}");
    }
}

#[tokio::test]
async fn an_answer_of_an_unknown_certificate_is_not_believed_and_names_it() {
    let stage = Stage::set().await;
    stage.play("unknown_certificate");
    let answer = call(&stage.encrypted()).await;
    assert_eq!(answer.signature, Signature::Unverifiable);
    assert_eq!(answer.unknown_certificate.as_deref(), Some("00000000000000000000000000000000"));
    let first = History { effect: Effect::None, redelivery: Redelivery::First, replays: 0 };
    let outcome = classify(Gateway::OpenPlatform, &Reply::Answered(answer), first);
    assert_eq!(outcome, Outcome::Retryable(Cause::Untrusted, Effect::Possible));
}

#[tokio::test]
async fn a_bad_signature_over_encrypted_content_is_refused() {
    let stage = Stage::set().await;
    stage.play("bad_signature");
    assert_eq!(call(&stage.encrypted()).await.signature, Signature::Invalid);
}

#[tokio::test]
async fn plain_content_is_refused_where_encryption_is_on_and_the_item_left_alone() {
    let stage = Stage::set().await;
    let answer = call(&stage.account("")).await;
    let code = Some("isv.decryption-error-missing-encrypt-type");
    assert_eq!((answer.signature, sub_code(&answer)), (Signature::Valid, code));
    let other_key = call(&stage.account("content_key = \"AAAAAAAAAAAAAAAAAAAAAA==\"")).await;
    assert_eq!((other_key.signature, sub_code(&other_key)), (Signature::Valid, Some("isv.invalid-encrypt")));
    assert_eq!(stage.sandbox.item(ITEM), ItemState::OnSale);
}

#[tokio::test]
async fn certificates_the_platform_does_not_expect_are_refused() {
    for (is_root, code) in [(false, "isv.missing-signature-config"), (true, "isv.missing-signature-config")] {
        let stage = Stage::set_with(|settings| {
            let certificates = settings.apps[1].certificates.as_mut().unwrap();
            let number = if is_root { &mut certificates.root } else { &mut certificates.app };
            *number = "1".repeat(32);
        });
        let answer = call(&stage.await.encrypted()).await;
        assert_eq!((answer.signature, sub_code(&answer)), (Signature::Valid, Some(code)));
    }
}
