//! A replica on real parts: the embedded queue in a file, both gateways of the sandbox over HTTP, the worker's own run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use takedown::domain::ids::{AccountId, MerchantId, WorkerId};
use takedown::domain::outcome::FinalOutcome;
use takedown::domain::retry::RetryPolicy;
use takedown::domain::secret::Secret;
use takedown::domain::takedown::Takedown;
use takedown::gateway::GatewayAccount;
use takedown::gateway::http::{Endpoint, HttpClient, HttpSettings};
use takedown::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use takedown::gateway::open_platform::{CertificateNumbers, GatewayKeys, OpenPlatformAccount, Protocol};
use takedown::limits::fleet::Pace;
use takedown::limits::pause::HoldSettings;
use takedown::limits::quota::QuotaSettings;
use takedown::limits::{LimitSettings, Limits, Sharing};
use takedown::queue::embedded::EmbeddedQueue;
use takedown::queue::{Intake, QueueError};
use takedown::sandbox::faults::{Fault, Faults, Scripted};
use takedown::sandbox::setup::{Certified, Keys, Setup};
use takedown::sandbox::{ItemState, Sandbox};
use takedown::signing::certificate::Bundle;
use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};
use takedown::trace::Tracer;
use takedown::worker::context::{Account, Context, GatewayTrace, system_clock};
use takedown::worker::event::WorkerEvent;
use takedown::worker::shutdown::Shutdown;
use takedown::worker::{Summary, run};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) use crate::support::queue::account;

/// Longest wait for anything a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A merchant whose token the gateway does not know.
pub(crate) const LAPSED: &str = "lapsed";

/// What a test may change of a replica; the defaults are quick.
pub(crate) struct Tuning {
    pub(crate) limits: LimitSettings,
    pub(crate) policy: RetryPolicy,
    pub(crate) http: HttpSettings,
    pub(crate) drain_timeout: Duration,
    /// Sees every event before it is logged; may panic.
    pub(crate) spy: Box<dyn Fn(&WorkerEvent) + Send + Sync>,
}

impl Default for Tuning {
    fn default() -> Self {
        let short = Duration::from_millis(20);
        Self {
            limits: LimitSettings {
                rate: "1000/s".parse().unwrap(),
                sharing: Sharing::Fleet,
                in_flight: 8,
                max_wait: Duration::from_secs(60),
                cool_down: short,
                hold: HoldSettings { first_probe: Duration::from_millis(200), max_probe: Duration::from_secs(2) },
                quota: QuotaSettings::default(),
            },
            policy: RetryPolicy { delays: vec![short], ..RetryPolicy::default() },
            http: HttpSettings::default(),
            drain_timeout: PATIENCE,
            spy: Box::new(|_| ()),
        }
    }
}

/// A queue's file and a sandbox, which outlive the replicas that work on them.
pub(crate) struct Bench {
    dir: TempDir,
    setup: Setup,
    pub(crate) sandbox: Sandbox,
}

/// One replica at work.
pub(crate) struct Replica {
    pub(crate) queue: EmbeddedQueue,
    pub(crate) shutdown: Shutdown,
    pub(crate) context: Arc<Context>,
    log: Arc<Log>,
    run: JoinHandle<Result<Summary, QueueError>>,
}

#[derive(Default)]
struct Log {
    events: Mutex<Vec<WorkerEvent>>,
    grown: Notify,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let setup = setup();
        let sandbox = Sandbox::start(setup.settings().unwrap()).await.unwrap();
        Self { dir: tempfile::tempdir().unwrap(), setup, sandbox }
    }

    /// Plays these faults, one a call, then none.
    pub(crate) fn play(&self, faults: impl IntoIterator<Item = Fault>) {
        let script = faults.into_iter().map(|fault| Scripted { item: None, fault: Some(fault) }).collect();
        self.sandbox.set_faults(Faults { script, rates: Vec::new() });
    }

    /// Waits until a call has taken an item off sale, answered or not.
    pub(crate) async fn took_effect(&self, item: &str) {
        let taken = timeout(PATIENCE, async {
            while self.sandbox.item(item) != ItemState::OffSale {
                tokio::task::yield_now().await;
            }
        });
        taken.await.unwrap_or_else(|_| panic!("{item} is still on sale"));
    }

    /// Opens the queue's file; no replica may be at work.
    pub(crate) fn queue(&self) -> EmbeddedQueue {
        EmbeddedQueue::open(&self.queue_path()).unwrap()
    }

    pub(crate) fn queue_path(&self) -> PathBuf {
        self.dir.path().join("items.queue")
    }

    pub(crate) fn start(&self, tuning: Tuning) -> Replica {
        self.start_on(self.queue(), tuning)
    }

    pub(crate) fn start_on(&self, queue: EmbeddedQueue, tuning: Tuning) -> Replica {
        let (log, shutdown) = (Arc::new(Log::default()), Shutdown::new());
        let (observer, spy) = (Arc::clone(&log), tuning.spy);
        let context = Arc::new(Context {
            pace: Pace::default(),
            worker: WorkerId::new("w1").unwrap(),
            accounts: self.accounts(&tuning.limits),
            http: HttpClient::new(&tuning.http).unwrap(),
            policy: tuning.policy,
            drain_timeout: tuning.drain_timeout,
            clock: system_clock(),
            tracer: Tracer::off(),
            gateway_trace: GatewayTrace::Told,
            observer: Arc::new(move |event| {
                spy(event);
                observer.events.lock().unwrap().push(event.clone());
                observer.grown.notify_waiters();
            }),
        });
        let run = tokio::spawn(run(Arc::new(queue.clone()), Arc::clone(&context), shutdown.clone()));
        Replica { queue, shutdown, context, log, run }
    }

    /// Returns the credentials of `desk`.
    pub(crate) fn desk(&self) -> GatewayAccount {
        let (signer, verifier) = load(&self.setup.mapi_keys);
        GatewayAccount::Mapi(MapiAccount {
            endpoint: Endpoint::new(&self.sandbox.mapi_url()).unwrap(),
            partner: self.setup.partner.clone(),
            charset: Charset::Utf8,
            method: Method::Get,
            goods_id: GoodsIdField::Sent,
            signer,
            verifier,
        })
    }

    fn accounts(&self, limits: &LimitSettings) -> BTreeMap<AccountId, Arc<Account>> {
        let Setup { app_id, open_platform_keys, merchants, .. } = &self.setup;
        let shops = |protocol, url: String| {
            let (signer, verifier) = load(open_platform_keys);
            let lapsed = (MerchantId::new(LAPSED).unwrap(), Secret::new("no-longer-known"));
            GatewayAccount::OpenPlatform(OpenPlatformAccount {
                endpoint: Endpoint::new(&url).unwrap(),
                protocol,
                app_id: app_id.clone(),
                charset: Charset::Utf8,
                signer,
                keys: GatewayKeys::Single(verifier),
                merchants: merchants.iter().cloned().chain([lapsed]).collect(),
                content_key: None,
                certificates: None,
            })
        };
        [
            ("desk", self.desk()),
            ("shops", shops(Protocol::V1, self.sandbox.open_platform_url())),
            ("shops-v3", shops(Protocol::V3, self.sandbox.open_platform_v3_url())),
            ("shops-cert", self.certified()),
        ]
        .map(|(name, gateway)| (account(name), Arc::new(Account::new(gateway, Limits::new(limits.clone())))))
        .into()
    }
}

impl Bench {
    /// The app in certificate mode, its content encrypted.
    fn certified(&self) -> GatewayAccount {
        let Certified { app_id, keys, app_certificate, gateway_certificate, root_certificate, content_key } =
            &self.setup.certified;
        let leaf = |text: &str| Bundle::read(text).unwrap().leaf().clone();
        let gateway = leaf(gateway_certificate);
        let verifier = gateway.verifier(keys.sign_type).unwrap();
        GatewayAccount::OpenPlatform(OpenPlatformAccount {
            endpoint: Endpoint::new(&self.sandbox.open_platform_url()).unwrap(),
            protocol: Protocol::V1,
            app_id: app_id.clone(),
            charset: Charset::Utf8,
            signer: load(keys).0,
            keys: GatewayKeys::ByCertificate([(gateway.number().unwrap(), verifier)].into()),
            merchants: BTreeMap::new(),
            content_key: Some(ContentKey::load(content_key.expose()).unwrap()),
            certificates: Some(CertificateNumbers {
                app: leaf(app_certificate).number().unwrap(),
                root: Bundle::read(root_certificate).unwrap().root_number().unwrap().unwrap(),
            }),
        })
    }
}

impl Replica {
    pub(crate) async fn enqueue(&self, takedowns: impl IntoIterator<Item = Takedown>) {
        self.queue.enqueue(takedowns.into_iter().collect()).await.unwrap();
    }

    /// Returns the events so far.
    pub(crate) fn events(&self) -> Vec<WorkerEvent> {
        self.log.events.lock().unwrap().clone()
    }

    /// Waits until the events satisfy a test; returns what it found in them.
    pub(crate) async fn wait_for<T>(&self, what: &str, find: impl Fn(&[WorkerEvent]) -> Option<T>) -> T {
        let found = timeout(PATIENCE, async {
            loop {
                let grown = self.log.grown.notified();
                if let Some(found) = find(&self.log.events.lock().unwrap()) {
                    return found;
                }
                grown.await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {what} in {:#?}", self.events()))
    }

    /// Waits for an item's end.
    pub(crate) async fn outcome(&self, id: &str) -> FinalOutcome {
        self.wait_for(&format!("outcome of {id}"), |events| {
            events.iter().find_map(|event| match event {
                WorkerEvent::Finished { outcome } if outcome.id == id => Some((**outcome).clone()),
                _ => None,
            })
        })
        .await
    }

    /// Waits until a number of calls are being made.
    pub(crate) async fn calls_in_flight(&self, number: usize) {
        let reached = timeout(PATIENCE, async {
            while self.context.accounts.values().map(|account| account.limits.in_flight()).sum::<usize>() < number {
                tokio::task::yield_now().await;
            }
        });
        reached.await.unwrap_or_else(|_| panic!("fewer than {number} calls in flight"));
    }

    /// Drains; the run must end well.
    pub(crate) async fn drain(self) -> Summary {
        self.shutdown.drain();
        self.end().await.unwrap()
    }

    /// Waits for the run's end; the queue's file is free again.
    pub(crate) async fn end(self) -> Result<Summary, QueueError> {
        timeout(PATIENCE, self.run).await.expect("the run ends").unwrap()
    }
}

/// A takedown of the Open Platform; its item is `<id>@s1`.
pub(crate) fn shop_item(id: &str) -> Takedown {
    with(id, "")
}

/// The same, called for a merchant.
pub(crate) fn merchant_item(id: &str, merchant: &str) -> Takedown {
    with(id, &format!(r#","merchant":"{merchant}""#))
}

/// Has an item of the Open Platform called for in certificate mode.
pub(crate) fn certified(takedown: Takedown) -> Takedown {
    Takedown { account: account("shops-cert"), ..takedown }
}

/// Has an item of the Open Platform called for by protocol v3.
pub(crate) fn by_v3(takedown: Takedown) -> Takedown {
    Takedown { account: account("shops-v3"), ..takedown }
}

fn with(id: &str, more: &str) -> Takedown {
    let item = format!(r#"{{"gateway":"open_platform","commodity_id":"{id}","shop_id":"s1"{more}}}"#);
    decode(&format!(r#"{{"version":1,"id":"{id}","account":"shops","takedown":{item}}}"#))
}

/// A takedown of mapi; its item is `<id>`.
pub(crate) fn goods(id: &str) -> Takedown {
    let item = format!(r#"{{"gateway":"mapi","sns_user_id":"u1","key":"2011k","goods_id":"{id}"}}"#);
    decode(&format!(r#"{{"version":1,"id":"{id}","account":"desk","takedown":{item}}}"#))
}

fn decode(text: &str) -> Takedown {
    Takedown::decode(text.as_bytes()).unwrap()
}

/// The fixture keys; new ones would take a while.
pub(crate) fn setup() -> Setup {
    let keys: Value = serde_json::from_str(include_str!("../fixtures/vectors/keys.json")).unwrap();
    let text = |key: &str, form: &str| Secret::new(keys[key][form].as_str().unwrap());
    let secret = || text("mapi_md5_key", "value");
    let certificate = |name: &str| keys["certs"][name].as_str().unwrap().to_owned();
    let open_platform_keys = Keys {
        sign_type: SignType::Rsa2,
        caller_private: text("app_rsa2048", "private_pkcs8_pem"),
        caller_public: text("app_rsa2048", "public_spki_pem"),
        gateway_private: text("gateway_rsa2048", "private_pkcs8_pem"),
        gateway_public: text("gateway_rsa2048", "public_spki_pem"),
    };
    let merchants = ["m1", "m2"].map(|name| (MerchantId::new(name).unwrap(), Secret::new(format!("token-of-{name}"))));
    Setup {
        partner: "2088000000000001".into(),
        mapi_keys: Keys {
            sign_type: SignType::Md5,
            caller_private: secret(),
            caller_public: secret(),
            gateway_private: secret(),
            gateway_public: secret(),
        },
        app_id: "2026000000000001".into(),
        certified: Certified {
            app_id: "2026000000000002".into(),
            keys: open_platform_keys.clone(),
            app_certificate: certificate("app_cert_pem"),
            gateway_certificate: certificate("alipay_cert_pem") + &certificate("intermediate_pem"),
            root_certificate: certificate("root_bundle_pem"),
            content_key: text("openapi_aes_key", "base64"),
        },
        open_platform_keys,
        merchants: merchants.into(),
    }
}

fn load(keys: &Keys) -> (Signer, Verifier) {
    let signer = Signer::load(keys.sign_type, keys.caller_private.expose(), DsaFormat::Der).unwrap();
    let verifier = Verifier::load(keys.sign_type, keys.gateway_public.expose(), DsaFormat::Der).unwrap();
    (signer, verifier)
}
