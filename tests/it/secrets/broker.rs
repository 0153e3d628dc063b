//! The commands of RabbitMQ, at the finest log: a worker and its status page, a producer, an operator.

use std::net::SocketAddr;

use lapin::options::BasicGetOptions;
use serde_json::Value;
use takedown::queue::amqp::AmqpSettings;

use super::gateway::Gateway;
use super::look_for_requests;
use super::plant::{AMQP_PASSWORD, INLINE_TOKEN, Plant, USER_KEY, items};
use crate::support::broker::{Broker, publish, unique_prefix};
use crate::support::command::{Ended, Running, end, http};

/// Items of every account.
const ITEMS: usize = 56;

/// Messages no producer should send: cut off, misspelt, of nobody.
fn poison() -> [(&'static str, String); 4] {
    let item = format!(r#""gateway":"mapi","sns_user_id":"admin","key":"{USER_KEY}","#);
    [
        ("desk", format!(r#"{{"version":1,"id":"p-1","account":"desk","takedown":{{{item}"goods"#)),
        ("desk", format!(r#"{{"version":1,"id":"p-2","account":"desk","takedown":{{{item}"kee":"{USER_KEY}"}}}}"#)),
        ("desk", format!(r#"{{"version":1,"id":"p-3","account":"desk","deadline":"{INLINE_TOKEN}","takedown":{{}}}}"#)),
        ("shops", format!(r#"{{"version":1,"id":"p-4","account":"nobody","takedown":{{{item}"goods_id":"1"}}}}"#)),
    ]
}

/// A plant at a broker whose password is planted too.
struct Production {
    plant: Plant,
    settings: AmqpSettings,
    shown: Vec<(String, Ended)>,
}

impl Production {
    fn command(&self, arguments: &[&str], format: &str) -> std::process::Command {
        let mut command = self.plant.command(arguments);
        command.env("TAKEDOWN_AMQP__URL", &self.settings.urls[0]).env("TAKEDOWN_AMQP__PREFIX", &self.settings.prefix);
        command.env("TAKEDOWN_LOG", "trace").env("TAKEDOWN_LOG_FORMAT", format);
        command
    }

    /// Runs a command to its end; what it shows is searched in the end, when every signature is known.
    fn run(&mut self, arguments: &[&str], format: &str) -> Ended {
        let ended = end(self.command(arguments, format));
        let kept = Ended { code: ended.code, stdout: ended.stdout.clone(), stderr: ended.stderr.clone() };
        self.shown.push((arguments.join(" "), kept));
        ended
    }

    /// Works everything off, looks at the status page, drains.
    fn work(&mut self, ends: usize, format: &str) {
        let worker = Running::start(self.command(&["worker"], format));
        let mut log = worker.lines_to("status server listens");
        let address = log.last().and_then(|line| line.split("127.0.0.1:").nth(1)).unwrap();
        let port: String = address.chars().take_while(char::is_ascii_digit).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        for _ in 0..ends {
            log.extend(worker.lines_to("item is a dead letter"));
        }
        let pages = ["/metrics", "/healthz", "/readyz"].map(|path| http(address, "GET", path, "").1).concat();
        assert!(pages.contains("takedown_outcomes_total{"), "{pages}");
        worker.signal("TERM");
        let (status, rest) = worker.wait();
        log.extend(rest);
        assert_eq!(status.code(), Some(0), "{log:#?}");
        let ended = Ended { code: status.code(), stdout: pages, stderr: log.join("\n") };
        self.shown.push((format!("worker, {format}"), ended));
    }
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_worker_its_operator_and_its_producer_show_no_secret() {
    let user = format!("[{{rabbit,[{{default_user,<<\"desk\">>}},{{default_pass,<<\"{AMQP_PASSWORD}\">>}}]}}].");
    let broker = Broker::start_with(&user);
    let url = broker.url().replace("guest:guest", &format!("desk:{AMQP_PASSWORD}"));
    let settings = AmqpSettings { prefix: unique_prefix(), ..AmqpSettings::new(url) };
    let gateway = Gateway::start();
    let plant = Plant::new(gateway.address);
    plant.items("items.jsonl", &items());
    let mut production = Production { plant, settings, shown: Vec::new() };

    assert_eq!(production.run(&["topology", "apply"], "text").code, Some(0));
    assert_eq!(production.run(&["check"], "text").code, Some(0));
    let enqueued = production.run(&["enqueue", "items.jsonl"], "text");
    assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (account, body) in poison() {
        let properties = lapin::BasicProperties::default();
        let settings = &production.settings;
        runtime.block_on(publish(settings, &settings.prefix, account, body.as_bytes(), properties));
    }
    production.work(ITEMS + poison().len(), "text");
    for arguments in [&["dead-letters", "list"][..], &["dead-letters", "list", "--json"]] {
        let listed = production.run(arguments, "json");
        assert!(listed.stdout.contains("invalid_message") && listed.stdout.contains("desk-dsa-1"), "{listed:?}");
    }
    for id in ["desk-1", "shops-env-3"] {
        // Searched at once: canonical strings, which it shows by trade, are looked for later.
        let arguments = ["explain", "--dead-letter", id, "--hex"];
        let explained = production.plant.check("explain", end(production.command(&arguments, "text")));
        assert!(matches!(explained.code, Some(0 | 9)), "{explained:?}");
    }
    for id in ["desk-1", "desk-0", "desk-dsa-7", "shops-env-3"] {
        let shown = production.run(&["dead-letters", "show", id], "text");
        assert!(shown.stdout.contains("***"), "{shown:?}");
    }
    for format in ["jsonl", "csv"] {
        let exported = production.run(&["dead-letters", "export", "-", "--format", format], "text");
        assert!(exported.stdout.contains("***") && exported.stdout.contains("desk-dsa-1"), "{exported:?}");
    }
    let planned = production.run(&["dead-letters", "plan", "--account", "desk-dsa"], "text");
    let plan = planned.stdout.split(['\u{20}', ':']).nth(1).unwrap();
    let replayed = production.run(&["dead-letters", "replay", "--plan", plan], "text");
    assert!(replayed.stdout.starts_with("8 put back"), "{replayed:?}");
    production.work(8, "json");
    let groups = production.run(&["dead-letters", "groups", "--json"], "text");
    let groups: Value = serde_json::from_str(&groups.stdout).unwrap();
    let count: u64 = groups.as_array().unwrap().iter().map(|group| group["letters"].as_u64().unwrap()).sum();
    let purge = ["dead-letters", "purge", "--older-than", "0s", "--expect", &count.to_string()];
    assert_eq!(production.run(&purge, "text").code, Some(0));

    let right = production.settings.urls[0].clone();
    for wrong in [
        right.replace("desk:", "nobody:"),
        right.replace("amqp:", "amqps:"),
        right.replace("%2f", "elsewhere"),
        right.replace("127.0.0.1", "localhost.invalid"),
    ] {
        production.settings.urls[0] = wrong;
        for command in ["worker", "check"] {
            let refused = production.run(&[command], "text");
            assert!(matches!(refused.code, Some(4 | 9)), "{refused:?}");
        }
    }
    production.settings.urls[0] = right;

    let outcomes = runtime.block_on(outcomes(&production.settings));
    let Production { mut plant, shown, .. } = production;
    assert!(look_for_requests(&mut plant, &gateway) > ITEMS);
    assert!(outcomes.len() >= ITEMS + poison().len(), "{}", outcomes.len());
    plant.needles.must_not_be_in("an outcome", &outcomes.join("\n"));
    for (source, ended) in shown {
        plant.check(&source, ended);
    }
    plant.check_files(&["items.jsonl"]);
}

/// Every message of the result exchange: properties, headers and body.
async fn outcomes(settings: &AmqpSettings) -> Vec<String> {
    let connection =
        lapin::Connection::connect(&settings.urls[0], lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("{}.results.all", settings.prefix);
    let mut seen = Vec::new();
    while let Some(message) = channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await.unwrap()
    {
        let delivery = message.delivery;
        seen.push(format!("{:?} {}", delivery.properties, String::from_utf8_lossy(&delivery.data)));
    }
    connection.close(200, "seen".into()).await.unwrap();
    seen
}
