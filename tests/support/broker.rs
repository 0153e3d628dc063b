//! A private RabbitMQ node for tests: own ports, own directory, own epmd; gone when the test process is gone.
//!
//! A small shell script supervises the node and reads its orders from a pipe. When the test process ends, however it
//! ends, the pipe closes and the script kills its whole process group and removes the directory; statics, which are
//! never dropped, are safe with that.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use takedown::queue::amqp::AmqpSettings;

/// What Debian's wrapper in `/usr/sbin` calls after changing users; this one runs as anybody.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// What asks a running node; the same wrapper stands before it.
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// Starting takes some 5 s of two idle cores; a busy machine needs patience.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// Orders: `start`, answered by the process id; `kill`, without warning; `stop`, in order. The end of input ends all.
///
/// `detached` makes the server's script become the node instead of its parent.
const SUPERVISOR: &str = r#"
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 </dev/null >/dev/null 2>&1 &
broker=
end() { if [ -n "$broker" ]; then kill "-$1" "$broker"; wait "$broker"; broker=; fi; } 2>/dev/null
while read -r order; do
    case $order in
        start) detached=1 "$SERVER" </dev/null >>"$HOME/output" 2>&1 & broker=$!; echo "$broker" ;;
        kill) end KILL; echo killed ;;
        stop) end TERM; echo stopped ;;
    esac
done
end KILL
rm -rf "$HOME"
kill -KILL 0
"#;

/// Where a node is set up: its name, the ports of port mapper, distribution and AMQP, and a cluster's cookie.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) ports: [u16; 3],
    pub(super) cookie: Option<String>,
}

/// A running node.
pub(crate) struct Broker {
    port: u16,
    epmd_port: u16,
    home: std::path::PathBuf,
    supervisor: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Broker {
    /// Starts a node and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::start_with("[].")
    }

    /// Starts a node with settings in the Erlang terms of `advanced.config`.
    pub(crate) fn start_with(advanced: &str) -> Self {
        // A port that was free a moment ago may be taken by now; another three will not all be.
        let mut last = String::new();
        for _ in 0..3 {
            match Self::try_start(advanced) {
                Ok(broker) => return broker,
                Err(problem) => last = problem,
            }
        }
        panic!("no RabbitMQ node could be started: {last}\n(tests/setup installs what it needs)");
    }

    fn try_start(advanced: &str) -> Result<Self, String> {
        let place = Place { name: unique_name(), ports: free_ports(), cookie: None };
        let mut broker = Self::set_up(place, CONFIGURATION, advanced)?;
        broker.launch()?;
        Ok(broker)
    }

    /// Sets a node up that does not run yet.
    pub(super) fn set_up(place: Place, configuration: &str, advanced: &str) -> Result<Self, String> {
        let Place { name, ports: [epmd_port, distribution_port, port], cookie } = place;
        let home = env::temp_dir().join(&name);
        fs::create_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        fs::write(home.join("rabbitmq.conf"), configuration).unwrap();
        fs::write(home.join("advanced.config"), advanced).unwrap();
        fs::write(home.join("enabled_plugins"), "[].\n").unwrap();
        if let Some(cookie) = cookie {
            // Erlang refuses one that others may read.
            let file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(home.join(".erlang.cookie"));
            file.and_then(|mut file| file.write_all(cookie.as_bytes())).unwrap();
        }

        let mut command = Command::new("sh");
        for (key, _) in env::vars().filter(|(key, _)| key.starts_with("RABBITMQ_") || key.starts_with("ERL_")) {
            command.env_remove(key);
        }
        let mut supervisor = command
            .args(["-c", SUPERVISOR])
            .current_dir(&home)
            .env("SERVER", SERVER)
            .env("HOME", &home)
            .env("ERL_EPMD_PORT", epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_MAX_PORTS", "4096")
            .env("RABBITMQ_NODENAME", format!("{name}@localhost"))
            .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", home.join("none"))
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", home.join("advanced.config"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", home.join("generated"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", home.join("data"))
            .env("RABBITMQ_LOG_BASE", home.join("log"))
            // Two cores are all a test machine may have; the defaults make room for a million processes.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 2:2 +SDcpu 1 +SDio 4 +A 4 -kernel inet_dist_use_interface {127,0,0,1}",
            )
            .env("RABBITMQ_MAX_NUMBER_OF_PROCESSES", "65536")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("sh: {e}"))?;
        let orders = supervisor.stdin.take();
        let answers = BufReader::new(supervisor.stdout.take().unwrap());
        Ok(Self { port, epmd_port, home, supervisor, orders, answers })
    }

    /// Returns the node's address, with the default user and virtual host.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Returns the node's name among Erlang's.
    pub(crate) fn name(&self) -> String {
        format!("{}@localhost", self.home.file_name().unwrap().to_str().unwrap())
    }

    /// Waits until the node's first stream would survive [`Broker::kill9`]: that there are streams is written to the disk
    /// up to half a second after the first was declared, and a node that does not know it never brings one up again.
    pub(crate) fn wait_until_streams_last(&self) {
        let until = Instant::now() + START_DEADLINE;
        while !self.knows_streams() {
            assert!(Instant::now() < until, "the node wrote nothing of its streams");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn knows_streams(&self) -> bool {
        let below = |directory: &std::path::Path| fs::read_dir(directory).into_iter().flatten().flatten();
        below(&self.home.join("data"))
            .flat_map(|node| below(&node.path().join("coordination")).collect::<Vec<_>>())
            .filter_map(|system| fs::read(system.path().join("names.dets")).ok())
            .any(|names| names.windows(25).any(|name| name == b"rabbit_stream_coordinator"))
    }

    /// Kills the node as a power cut would.
    pub(crate) fn kill9(&mut self) {
        self.order("kill");
    }

    /// Stops the node in order.
    pub(crate) fn stop(&mut self) {
        self.order("stop");
    }

    /// Stops the node in order and starts it with other settings, on the same ports and data.
    pub(crate) fn restart_with(&mut self, advanced: &str) {
        fs::write(self.home.join("advanced.config"), advanced).unwrap();
        self.stop();
        self.restart();
    }

    /// Starts the node again on the same ports and data, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        self.launch().unwrap();
    }

    /// Asks the node as an operator would; returns what `rabbitmqctl` prints. It takes a second or two.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let output = Command::new(CONTROL)
            .args(["-q", "-n", &self.name()])
            .args(arguments)
            .env("HOME", &self.home)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", self.home.join("none"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {told}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        told
    }

    fn order(&mut self, order: &str) -> String {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{order}").and_then(|()| orders.flush()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "the supervising script ended");
        answer.trim().to_owned()
    }

    /// The node opens its listener in the last step of its start.
    pub(super) fn launch(&mut self) -> Result<(), String> {
        let status = format!("/proc/{}/stat", self.order("start"));
        let until = Instant::now() + START_DEADLINE;
        while Instant::now() < until && fs::read_to_string(&status).is_ok_and(|text| !text.contains(") Z ")) {
            if is_amqp(self.port) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let output = fs::read_to_string(self.home.join("output")).unwrap_or_default();
        Err(format!("it ended, or gave no answer within {} s; its output:\n{output}", START_DEADLINE.as_secs()))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.orders.take());
        self.supervisor.wait().expect("the supervising script can be waited for");
    }
}

/// Returns a name for a node and its directory that no other test and no other run uses.
pub(super) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("takedown-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns ports that nobody listens on now.
pub(super) fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

pub(super) const CONFIGURATION: &str = "\
log.file.level = warning
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.absolute = 1GB
";

/// Offers the AMQP 0-9-1 header; a broker that is ready answers with a method frame (type 1).
fn is_amqp(port: u16) -> bool {
    let mut first = [0];
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"AMQP\x00\x00\x09\x01")?;
            stream.read_exact(&mut first)
        })
        .is_ok_and(|()| first == [1])
}

/// Returns the address of the broker all tests share, started with the first of them; `TAKEDOWN_TEST_AMQP_URL` names
/// one that runs already. A prefix of its own keeps each test apart.
pub(crate) fn shared_url() -> String {
    static SHARED: OnceLock<Result<Broker, String>> = OnceLock::new();
    if let Ok(url) = env::var("TAKEDOWN_TEST_AMQP_URL") {
        return url;
    }
    match SHARED.get_or_init(|| std::panic::catch_unwind(Broker::start).map_err(|_| "see above".to_owned())) {
        Ok(broker) => broker.url(),
        Err(problem) => panic!("the shared RabbitMQ node did not start: {problem}"),
    }
}

/// Returns a prefix no other test and no other run uses.
pub(crate) fn unique_prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("td-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns settings for a broker under a prefix of their own, with rungs short enough to wait for.
pub(crate) fn settings(url: String) -> AmqpSettings {
    AmqpSettings {
        prefix: unique_prefix(),
        rungs: vec![Duration::from_millis(200), Duration::from_secs(1)],
        connection_name: "test".into(),
        confirm_timeout: Duration::from_secs(20),
        ..AmqpSettings::new(url)
    }
}

/// Publishes as a producer that is not ours, and waits until the message is in a queue.
pub(crate) async fn publish(
    settings: &AmqpSettings,
    exchange: &str,
    routing_key: &str,
    body: &[u8],
    properties: lapin::BasicProperties,
) {
    let connection =
        lapin::Connection::connect(&settings.urls[0], lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await.unwrap();
    let options = lapin::options::BasicPublishOptions { mandatory: true, immediate: false };
    let confirm = channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties).await.unwrap();
    assert_eq!(confirm.await.unwrap(), lapin::Confirmation::Ack(None));
    connection.close(200, "done".into()).await.unwrap();
}
