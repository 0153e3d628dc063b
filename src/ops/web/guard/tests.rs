//! The door, asked as browsers, programs and attackers ask.

use std::net::SocketAddr;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::ops::status::StatusServer;
use crate::ops::web::{Site as Pages, Source};
use crate::queue::embedded::EmbeddedQueue;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Pages on loopback, and a browser without scruples.
struct Site {
    address: SocketAddr,
    _pages: Pages,
    _directory: tempfile::TempDir,
    _stop: tokio_util::sync::DropGuard,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    fn cookie(&self) -> String {
        self.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }

    fn csrf(&self) -> String {
        let rest = self.body.split(r#"name="csrf" value=""#).nth(1).unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Site {
    async fn open(token: Option<&str>) -> Self {
        let server = StatusServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, stop) = (server.address().unwrap(), CancellationToken::new());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("queue");
        drop(EmbeddedQueue::open(&file).unwrap());
        let pages = Pages::new(token.map(Secret::new), address, Source::file(&file).unwrap());
        tokio::spawn(server.serve_pages(pages.router(), stop.clone()));
        Self { address, _pages: pages, _directory: directory, _stop: stop.drop_guard() }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, &[&[("Accept", "text/html")], headers].concat(), "").await
    }

    async fn send(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        let own = [("Origin", origin.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let kept = own.into_iter().filter(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        let headers: Vec<_> = kept.chain(headers.iter().copied()).collect();
        self.ask("POST", path, &headers, body).await
    }

    async fn log_in(&self) -> String {
        self.send("/login", &[], &format!("token={TOKEN}")).await.cookie()
    }
}

#[tokio::test]
async fn a_stranger_is_led_to_the_login_and_a_program_is_asked_for_the_token() {
    let site = Site::open(Some(TOKEN)).await;
    let led = site.get("/letters?page=2", &[]).await;
    assert_eq!((led.status, led.header("location")), (303, Some("/login?next=%2Fletters%3Fpage%3D2")));
    let asked = site.ask("GET", "/", &[], "").await;
    assert_eq!((asked.status, asked.header("www-authenticate")), (401, Some("Bearer realm=\"takedown\"")));
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(site.ask("GET", "/", &[("Authorization", &bearer)], "").await.status, 200);
    assert_eq!(site.ask("GET", "/", &[("Authorization", "Bearer no")], "").await.status, 401);
    let login = site.get("/login", &[]).await;
    assert!(login.status == 200 && login.body.contains("type=\"password\"") && !login.body.contains(TOKEN));
}

#[tokio::test]
async fn the_token_begins_a_session_that_ends_with_the_logout() {
    let site = Site::open(Some(TOKEN)).await;
    let wrong = site.send("/login", &[], "token=0123456789abcdef0123456789abcdeF").await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    let entered = site.send("/login", &[], &format!("token={TOKEN}&next=%2Fletters%3Fpage%3D2")).await;
    assert_eq!((entered.status, entered.header("location")), (303, Some("/letters?page=2")));
    let line = entered.header("set-cookie").unwrap();
    let name = format!("takedown_desk_{}=", site.address.port());
    assert!(line.starts_with(&name) && line.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{line}");
    let cookie = entered.cookie();
    let page = site.get("/nowhere", &[("Cookie", &cookie)]).await;
    assert_eq!(page.status, 404);
    let left = site.send("/logout", &[("Cookie", &cookie)], &format!("csrf={}", page.csrf())).await;
    assert_eq!((left.status, left.header("location")), (303, Some("/login")));
    assert_eq!(site.get("/nowhere", &[("Cookie", &cookie)]).await.status, 303, "the cookie is worth nothing now");
}

#[tokio::test]
async fn the_printed_link_leads_in_and_away_from_the_token() {
    let site = Site::open(Some(TOKEN)).await;
    let entered = site.get(&format!("/enter?token={TOKEN}"), &[]).await;
    assert_eq!((entered.status, entered.header("location")), (303, Some("/")));
    assert_eq!(site.get("/nowhere", &[("Cookie", &entered.cookie())]).await.status, 404);
    let wrong = site.get("/enter?token=mistyped", &[]).await;
    assert!(wrong.status == 401 && !wrong.body.contains("mistyped"), "{}", wrong.body);
}

#[tokio::test]
async fn what_a_form_began_is_carried_through_when_the_browser_goes() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (done, mut is_done) = tokio::sync::watch::channel(false);
    let (tell, wait) = (begun.clone(), go_on.clone());
    let slow = move || async move {
        tell.notify_one();
        wait.notified().await;
        done.send_replace(true);
    };
    let server = StatusServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.address().unwrap();
    let guard = Arc::new(Guard::new(Some(Secret::new(TOKEN)), address));
    let router = Router::new().route("/preferences", post(slow)).layer(from_fn_with_state(guard.clone(), admit));
    let stop = CancellationToken::new();
    tokio::spawn(server.serve_pages(router, stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0";
    let request =
        format!("POST /preferences HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n{form}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    begun.notified().await;
    drop(stream);
    stop.cancel();
    go_on.notify_one();
    guard.close().await;
    assert!(*is_done.borrow_and_update());
}

#[tokio::test]
async fn no_form_acts_without_session_csrf_token_and_own_origin() {
    let site = Site::open(Some(TOKEN)).await;
    let (cookie, other) = (site.log_in().await, site.log_in().await);
    let csrf = |answer: Answer| format!("csrf={}", answer.csrf());
    let own = csrf(site.get("/nowhere", &[("Cookie", &cookie)]).await);
    let others = csrf(site.get("/nowhere", &[("Cookie", &other)]).await);
    assert_ne!(own, others);
    let cookie = ("Cookie", cookie.as_str());
    for (headers, body, status) in [
        (vec![], own.as_str(), 401),
        (vec![("Authorization", concat!("Bearer ", "0123456789abcdef0123456789abcdef"))], &own, 403),
        (vec![cookie], "", 403),
        (vec![cookie], "csrf=", 403),
        (vec![cookie], &others, 403),
        (vec![cookie, ("Origin", "http://evil.example")], &own, 403),
        (vec![cookie, ("Origin", "null")], &own, 403),
        (vec![cookie, ("Origin", "http://127.0.0.1")], &own, 403),
        (vec![cookie, ("Content-Type", "text/plain")], &own, 415),
    ] {
        let answer = site.send("/logout", &headers, body).await;
        assert_eq!(answer.status, status, "{headers:?} {body}: {}", answer.body);
    }
    let origin =
        site.ask("POST", "/logout", &[cookie, ("Content-Type", "application/x-www-form-urlencoded")], &own).await;
    assert_eq!(origin.status, 403, "a form without an origin");
    assert_eq!(site.ask("DELETE", "/", &[cookie], "").await.status, 405);
    assert_eq!(site.send("/logout", &[cookie], &own).await.status, 303, "nothing above ended the session");
}

#[tokio::test]
async fn a_login_form_of_another_site_is_refused() {
    let site = Site::open(Some(TOKEN)).await;
    let answer = site.send("/login", &[("Origin", "http://evil.example")], &format!("token={TOKEN}")).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (403, None));
}

#[tokio::test]
async fn a_foreign_name_of_this_host_is_refused_on_loopback() {
    let site = Site::open(None).await;
    for (host, status) in [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("localhost:9200", 200),
        ("LOCALHOST", 200),
        ("[::1]:9200", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:9200", 421),
        ("localhost.evil.example", 421),
        ("10.0.0.1:9200", 421),
        ("", 421),
    ] {
        assert_eq!(site.ask("GET", "/", &[("Host", host)], "").await.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_proxy_on_this_machine_may_have_any_name_where_a_token_is_kept() {
    let site = Site::open(Some(TOKEN)).await;
    let proxied = [("Host", "desk.example"), ("Origin", "https://desk.example")];
    let entered = site.send("/login", &proxied, &format!("token={TOKEN}")).await;
    assert_eq!((entered.status, entered.header("location")), (303, Some("/")));
    let renamed = [("Host", "127.0.0.1:9200"), ("Origin", "https://desk.example")];
    let refused = site.send("/login", &renamed, &format!("token={TOKEN}")).await;
    assert!(refused.status == 403 && refused.body.contains("proxy_set_header Host"), "{}", refused.body);
}

#[tokio::test]
async fn a_form_of_a_session_that_ended_leads_back_to_its_page() {
    let site = Site::open(Some(TOKEN)).await;
    let own = format!("http://{}/letters/plans/abc?x=1", site.address);
    for (referer, next) in [
        (own.as_str(), "/login?next=%2Fletters%2Fplans%2Fabc%3Fx%3D1"),
        ("http://evil.example/letters", "/login"),
        (&format!("http://{}//evil.example", site.address), "/login"),
        ("", "/login"),
    ] {
        let headers = [("Accept", "text/html"), ("Referer", referer)];
        let led = site.send("/letters/plans/abc/replay", &headers, "csrf=x").await;
        assert_eq!((led.status, led.header("location")), (303, Some(next)), "{referer}");
    }
    let cookie = site.log_in().await;
    let page = site.get("/letters/plans/abc/replay", &[("Cookie", &cookie)]).await;
    assert!(page.status == 405 && page.body.contains("Use the forms of the pages"), "{}", page.body);
}

#[tokio::test]
async fn without_a_token_pages_are_read_and_nothing_acts() {
    let site = Site::open(None).await;
    let page = site.get("/nowhere", &[]).await;
    assert!(page.status == 404 && !page.body.contains("name=\"csrf\""));
    let refused = site.send("/logout", &[], "csrf=").await;
    assert!(refused.status == 403 && refused.body.contains("worker.token_file"), "{}", refused.body);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let site = Site::open(Some(TOKEN)).await;
    for _ in 0..10 {
        assert_eq!(site.send("/login", &[], "token=guess").await.status, 401);
    }
    assert_eq!(site.send("/login", &[], &format!("token={TOKEN}")).await.status, 429);
}

#[tokio::test]
async fn a_form_too_large_is_not_read() {
    let site = Site::open(Some(TOKEN)).await;
    let cookie = site.log_in().await;
    let body = format!("csrf=x&body={}", "x".repeat(300 * 1024));
    assert_eq!(site.send("/logout", &[("Cookie", &cookie)], &body).await.status, 413);
}

#[tokio::test]
async fn every_answer_keeps_the_page_to_itself() {
    let site = Site::open(Some(TOKEN)).await;
    for path in ["/login", "/", "/enter?token=wrong"] {
        let page = site.get(path, &[]).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert!(!page.body.contains("style=") && !page.body.contains("<script>"), "{}", page.body);
    }
}

#[tokio::test]
async fn a_choice_is_kept_and_leads_back_to_this_site_only() {
    let site = Site::open(Some(TOKEN)).await;
    let chosen = site.send("/preferences", &[], "language=zh-CN&back=%2Flogin").await;
    assert_eq!((chosen.status, chosen.header("location")), (303, Some("/login")));
    let page = site.get("/login", &[("Cookie", &chosen.cookie())]).await;
    assert!(page.body.contains("lang=\"zh-CN\"") && page.body.contains("登录"), "{}", page.body);
    for (body, back) in
        [("theme=dark&back=%2F%2Fevil.example", "/"), ("theme=x%0d%0aSet-Cookie:&back=/login", "/login")]
    {
        assert_eq!(site.send("/preferences", &[], body).await.header("location"), Some(back));
    }
}
