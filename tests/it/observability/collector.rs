//! A collector of spans: OTLP over HTTP on loopback, decoded by the protocol's own messages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

const PATIENCE: Duration = Duration::from_secs(60);

/// How it treats those who call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// It takes everything.
    Obliging,
    /// It answers 500.
    Failing,
    /// It reads and never answers.
    Silent,
}

/// A listener on loopback; its threads end with the process.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    bodies: Mutex<Vec<Vec<u8>>>,
    heads: Mutex<Vec<String>>,
    grown: Condvar,
    calls: AtomicUsize,
}

impl Collector {
    pub(crate) fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Heard::default());
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&hearing);
                thread::spawn(move || serve(stream, manners, &heard));
            }
        });
        Self { address, heard }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.heard.calls.load(Ordering::SeqCst)
    }

    /// Waits until it was called so often.
    pub(crate) fn wait_for_calls(&self, calls: usize) {
        self.wait(&format!("{calls} calls"), |_| (self.calls() >= calls).then_some(()));
    }

    /// Every request as it came, for whoever looks for what should not be in it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let heads = self.heard.heads.lock().unwrap().concat();
        [heads.as_bytes(), &self.heard.bodies.lock().unwrap().concat()].concat()
    }

    /// The first line of every request.
    pub(crate) fn request_lines(&self) -> Vec<String> {
        self.heard.heads.lock().unwrap().iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// Every request, decoded.
    pub(crate) fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.heard.bodies.lock().unwrap();
        bodies.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap()).collect()
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Waits until the spans satisfy a test.
    pub(crate) fn wait<T>(&self, what: &str, find: impl Fn(&[Span]) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = find(&self.spans()) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what} among {:#?}", self.spans());
            let bodies = self.heard.bodies.lock().unwrap();
            drop(self.heard.grown.wait_timeout(bodies, left.min(Duration::from_millis(200))).unwrap());
        }
    }
}

fn serve(stream: TcpStream, manners: Manners, heard: &Heard) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        let mut body = vec![0; length.unwrap()];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        heard.calls.fetch_add(1, Ordering::SeqCst);
        heard.heads.lock().unwrap().push(head);
        heard.bodies.lock().unwrap().push(body);
        heard.grown.notify_all();
        let status = match manners {
            Manners::Obliging => "200 OK",
            Manners::Failing => "500 Internal Server Error",
            Manners::Silent => continue,
        };
        let kind = "application/x-protobuf";
        if write!(writer, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// Finds an attribute's text or number, as text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()? {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text),
        AnyValue { value: Some(Value::IntValue(number)) } => Some(number.to_string()),
        AnyValue { value: Some(Value::BoolValue(is)) } => Some(is.to_string()),
        AnyValue { .. } => None,
    }
}
