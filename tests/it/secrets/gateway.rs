//! A gateway with a loose tongue: it answers every call by some page or document that repeats the request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode_str;

/// What it does in turn.
const MANNERS: usize = 7;

/// The gateway; its threads end with the test's process.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || answer(stream.unwrap(), number, &seen));
            }
        });
        Self { address, requests }
    }

    /// Every request so far, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, number: usize, seen: &Mutex<Vec<String>>) {
    let Some(request) = read(&stream) else { return };
    let decoded = percent_decode_str(&request.replace('+', " ")).decode_utf8_lossy().into_owned();
    let line = request.lines().next().unwrap_or_default().to_owned();
    let value = |name: &str| {
        let value = decoded.split(name).nth(1).and_then(|rest| rest.split(['&', ' ', '\r']).next());
        value.unwrap_or("none").to_owned()
    };
    let is_mapi = decoded.contains("sns_user_id=");
    let is_v3 = line.contains(" /v3/");
    let secret = match () {
        () if is_mapi => value("&key="),
        () if is_v3 => value("alipay-app-auth-token: "),
        () => value("app_auth_token="),
    };
    let quoted = serde_json::to_string(&decoded).unwrap();
    seen.lock().unwrap().push(request.clone());
    let node = "alipay_open_servicemarket_commodity_shop_offline_response";
    // It calls its certificate by the secret, too.
    let json = |sub_code: &str, wording: &str| {
        if is_v3 {
            return format!(r#"{{"code":"{sub_code}","message":{wording},"links":"{secret}"}}"#);
        }
        format!(
            r#"{{"{node}":{{"code":"40004","msg":"Business Failed","sub_code":"{sub_code}","sub_msg":{wording}}},"alipay_cert_sn":"{secret}","sign":"AAAA"}}"#
        )
    };
    let refusal = |code: &str| format!("<alipay><is_success>F</is_success><error>{code}</error></alipay>");
    let (status, body) = match number % MANNERS {
        0 => (200, format!("<html><body>bad request: {line}<pre>{decoded}</pre></body></html>")),
        1 => (500, format!("oops: {request}")),
        2 if is_mapi => (200, refusal(&secret)),
        2 => (200, json(&secret, &format!("\"token {secret}\""))),
        3 if is_mapi => {
            (200, refusal(&decoded.replace('&', "&amp;").replace(['<', '>'], "").chars().take(400).collect::<String>()))
        }
        3 => (200, json("isv.odd-signature", &quoted)),
        4 if is_mapi => (200, format!("<alipay>{}", refusal(&line.replace('&', "&amp;")))),
        4 => (200, json("odd", &serde_json::to_string(&line).unwrap())),
        5 => (200, line),
        _ => (502, refusal(&format!("ODD_{secret}"))),
    };
    let written = write!(
        stream,
        "HTTP/1.1 {status} {secret}\r\nX-Echo: {secret}\r\nRetry-After: {secret}\r\nConnection: close\r\n\
         {}Content-Length: {}\r\n\r\n{body}",
        ["sn", "signature", "timestamp", "nonce", "trace-id"]
            .map(|name| format!("alipay-{name}: {secret}\r\n"))
            .concat(),
        body.len()
    );
    // A worker that was told to stop may be gone.
    drop(written);
}

fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}
