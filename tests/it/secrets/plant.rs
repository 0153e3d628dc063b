//! A desk with a secret of every kind, each planted so that it can be recognised.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use takedown::gateway::open_platform::v3;
use takedown::signing::SignType;
use takedown::signing::generate::authority::{Authority, Lifetime};
use takedown::signing::generate::{KeyPair, key_pair};
use tempfile::TempDir;

use super::needles::Needles;
use crate::support::command::{Ended, end, takedown};

pub(super) const MD5_SECRET: &str = "md5pl4ntedx8vq2c9k1m5t7r3w6z4n0b";
pub(super) const CONTENT_KEY: &str = "cGw0bnRlZC9jb250M250Kw==";
pub(super) const MERCHANT_TOKEN: &str = "201511BBmerchantpl4nted9dc5efe41a0b98X62";
pub(super) const INLINE_TOKEN: &str = "201611BBinlinepl4ntedf5efe41a0b98ae22X17";
pub(super) const USER_KEY: &str = "20110417C4userkeypl4nted6B4A4F446E7AA442";
pub(super) const AMQP_PASSWORD: &str = "amqppl4ntedQ7w2";

/// A directory with configuration, keys and items.
pub(super) struct Plant {
    pub(super) home: TempDir,
    pub(super) needles: Needles,
    pub(super) rsa: KeyPair,
    pub(super) environment_rsa: KeyPair,
    pub(super) dsa: KeyPair,
    config: String,
}

/// Read and written by the operator, or by nature full of messages: what must be unreadable to others instead.
const OWN: [&str; 5] = [".queue", ".queue-wal", ".queue-shm", ".rejected.csv", ".rejected.jsonl"];

impl Plant {
    /// Plants accounts that call `gateway`.
    pub(super) fn new(gateway: SocketAddr) -> Self {
        let pair = |sign_type| key_pair(sign_type).unwrap();
        let (rsa, environment_rsa, dsa) = (pair(SignType::Rsa2), pair(SignType::Rsa2), pair(SignType::Dsa));
        let mut needles = Needles::default();
        for (name, text) in [
            ("the MD5 secret", MD5_SECRET),
            ("the content key", CONTENT_KEY),
            ("the merchant's token", MERCHANT_TOKEN),
            ("the token of the message", INLINE_TOKEN),
            ("the user key", USER_KEY),
            ("the broker's password", AMQP_PASSWORD),
        ] {
            needles.text(name, text);
        }
        needles.key("the RSA key", rsa.private.expose());
        needles.key("the RSA key of the environment", environment_rsa.private.expose());
        needles.key("the DSA key", dsa.private.expose());
        let home = TempDir::new().unwrap();
        let file = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
        file("rsa.pem", rsa.private.expose());
        file("rsa.gateway.pem", pair(SignType::Rsa2).public.expose());
        file("dsa.pem", dsa.private.expose());
        file("dsa.gateway.pem", pair(SignType::Dsa).public.expose());
        let now = SystemTime::now();
        let authority = Authority::new("Plant", Lifetime::beginning(now, Duration::from_hours(24 * 365))).unwrap();
        let issue = |name: &str, public: &str, days: u64| {
            authority.issue(name, public, Lifetime::beginning(now, Duration::from_hours(24 * days))).unwrap()
        };
        file("root.crt", authority.certificate());
        file("app.crt", &issue("app", rsa.public.expose(), 300));
        // Ends soon, so that `check` has something to say.
        file("gateway.crt", &issue("gateway", pair(SignType::Rsa2).public.expose(), 3));
        file("content.key", CONTENT_KEY);
        file("m1.token", MERCHANT_TOKEN);
        let config = configuration(gateway);
        file("takedown.toml", &config);
        Self { home, needles, rsa, environment_rsa, dsa, config }
    }

    /// The program as an operator runs it, with a secret in its environment.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = takedown(self.home.path(), arguments);
        command.env("TAKEDOWN_ACCOUNTS__SHOPS_ENV__PRIVATE_KEY", self.environment_rsa.private.expose());
        command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
        command
    }

    /// Runs it to its end; nothing it prints may hold a secret.
    pub(super) fn run(&self, arguments: &[&str], log: &str, format: &str) -> Ended {
        let mut command = self.command(arguments);
        command.env("TAKEDOWN_LOG", log).env("TAKEDOWN_LOG_FORMAT", format);
        self.check(arguments.join(" ").as_str(), end(command))
    }

    pub(super) fn check(&self, source: &str, ended: Ended) -> Ended {
        self.needles.must_not_be_in(&format!("stdout of {source}"), &ended.stdout);
        self.needles.must_not_be_in(&format!("stderr of {source}"), &ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{source}: {}", ended.stderr);
        ended
    }

    /// Writes the configuration anew, altered.
    pub(super) fn configure(&self, alter: impl FnOnce(&str) -> String) {
        fs::write(self.home.path().join("takedown.toml"), alter(&self.config)).unwrap();
    }

    /// Writes a file of items; gives its name back.
    pub(super) fn items<'a>(&self, name: &'a str, text: &str) -> &'a str {
        fs::write(self.home.path().join(name), text).unwrap();
        name
    }

    /// Looks into every file the program wrote. Files that hold messages, and the rejected rows, which an operator is to
    /// mend and hand in again, have their secrets by nature: of those it is asked that nobody else can read them.
    pub(super) fn check_files(&self, given: &[&str]) -> Vec<PathBuf> {
        let mut checked = Vec::new();
        for entry in fs::read_dir(self.home.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if is_planted(&path) || given.contains(&&*name) {
                continue;
            }
            if OWN.iter().any(|ending| name.ends_with(ending)) {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{name} may be read by others: {mode:o}");
            } else {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                self.needles.must_not_be_in(&name, &text);
            }
            checked.push(path);
        }
        checked
    }
}

fn is_planted(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["pem", "crt", "key", "token", "toml"].iter().any(|known| extension == *known))
}

fn configuration(gateway: SocketAddr) -> String {
    let limits = "rate = \"200/s\"\ncool_down = \"10ms\"\nhold = { first_probe = \"100ms\", max_probe = \"200ms\" }\n";
    let app = |name: &str, app_id: u32, path: &str, rest: &str| {
        format!(
            "[accounts.{name}]\ngateway = \"open_platform\"\nendpoint = \"http://{gateway}{path}\"\n\
             app_id = \"20160726000{app_id:05}\"\n{rest}{limits}\n"
        )
    };
    let shops = |name: &str, app_id: u32, rest: &str| {
        app(name, app_id, "/gateway.do", &format!("gateway_key_file = \"rsa.gateway.pem\"\n{rest}"))
    };
    let certified = "private_key_file = \"rsa.pem\"\napp_cert_file = \"app.crt\"\nroot_cert_file = \"root.crt\"\n\
                     gateway_cert_files = [\"gateway.crt\"]\n";
    let desk = |name: &str, rest: &str| {
        format!(
            "[accounts.{name}]\ngateway = \"mapi\"\nendpoint = \"http://{gateway}/gateway.do\"\n\
             partner = \"2088000000000001\"\n{rest}{limits}\n"
        )
    };
    [
        "[retry]\ndelays = [\"10ms\"]\nmax_attempts = 3\nmax_unknown_code_attempts = 2\nrungs = [\"200ms\", \"1s\"]\n".to_owned(),
        shops("shops", 1, "private_key_file = \"rsa.pem\"\nmerchants = { m1 = { file = \"m1.token\" } }\n"),
        shops("shops-aes", 2, "private_key_file = \"rsa.pem\"\ncontent_key_file = \"content.key\"\n"),
        shops("shops-env", 3, ""),
        app("shops-crt", 4, "/gateway.do", certified),
        app("shops-v3", 5, v3::PATH, &format!("protocol = \"v3\"\n{certified}")),
        desk("desk", &format!("sign_type = \"MD5\"\nsecret = \"{MD5_SECRET}\"\n")),
        desk(
            "desk-dsa",
            "sign_type = \"DSA\"\nmethod = \"POST\"\nprivate_key_file = \"dsa.pem\"\ngateway_key_file = \"dsa.gateway.pem\"\n",
        ),
    ]
    .concat()
}

/// Items of every account: each manner of the gateway is met by each.
pub(super) fn items() -> String {
    let mut lines = String::new();
    for number in 0..8 {
        let with_token = |shop: u32| {
            format!(
                r#""gateway":"open_platform","commodity_id":"{number}","shop_id":"{shop}","app_auth_token":"{INLINE_TOKEN}""#
            )
        };
        for (account, item) in [
            ("shops", format!(r#""gateway":"open_platform","commodity_id":"{number}","shop_id":"1","merchant":"m1""#)),
            ("shops-aes", with_token(2)),
            ("shops-env", with_token(3)),
            ("shops-crt", with_token(4)),
            ("shops-v3", with_token(5)),
            (
                "desk",
                format!(
                    r#""gateway":"mapi","sns_user_id":"admin","key":"{USER_KEY}","close_reason":"下架","goods_id":"{number}""#
                ),
            ),
            ("desk-dsa", format!(r#""gateway":"mapi","sns_user_id":"admin","key":"{USER_KEY}","goods_id":"{number}""#)),
        ] {
            lines.push_str(&format!(
                "{{\"version\":1,\"id\":\"{account}-{number}\",\"account\":\"{account}\",\"takedown\":{{{item}}}}}\n"
            ));
        }
    }
    lines
}
