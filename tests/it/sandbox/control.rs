//! What people and scripts ask of the sandbox itself, and how it starts.

use takedown::sandbox::mix::Mix;
use takedown::sandbox::setup::Setup;
use takedown::sandbox::{ItemState, Sandbox, SandboxError, SandboxSettings, Seen};
use takedown::signing::SignType;

use super::{Caller, GOODS, PLUG_IN, mapi_fields, open_platform_fields, settings};

impl Caller {
    async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn put(&self, path: &str, body: &str) -> (u16, String) {
        let response = self.http.put(self.url(path)).body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.sandbox.address())
    }
}

#[tokio::test]
async fn items_are_set_and_read_over_http_by_percent_encoded_names() {
    let caller = Caller::start(settings("")).await;
    let path = "/sandbox/items/20160010200000000033400%402015052000077000000000182140";
    assert_eq!(caller.get(path).await, (200, "\"on_sale\"\n".into()));
    assert_eq!(caller.put(path, "missing\n").await.0, 204);
    assert_eq!(caller.sandbox.item(PLUG_IN), ItemState::Missing);
    assert_eq!(caller.put("/sandbox/items/a%2Fb%20%E5%81%87", "\"off_sale\"").await.0, 204);
    assert_eq!(caller.sandbox.item("a/b 假"), ItemState::OffSale);
    let listed = format!("{{\"{PLUG_IN}\":\"missing\",\"a/b 假\":\"off_sale\"}}\n");
    assert_eq!(caller.get("/sandbox/items").await, (200, listed));
    let (status, text) = caller.put(path, "gone").await;
    assert!(status == 400 && text.contains("forbidden"), "{text}");
    assert_eq!(caller.put("/sandbox/items/%FF", "missing").await.0, 400);
}

#[tokio::test]
async fn requests_seen_are_told_as_json_lines_in_order() {
    let caller = Caller::start(settings("{\"fault\":\"unlisted_code\"}")).await;
    caller.mapi(mapi_fields()).await;
    caller.open_platform(open_platform_fields()).await;
    let (status, text) = caller.get("/sandbox/seen").await;
    let seen: Vec<Seen> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((status, &seen), (200, &caller.sandbox.seen()));
    let told: Vec<_> = seen.iter().map(|s| (s.item.as_str(), s.answered.as_str(), s.took_effect)).collect();
    assert_eq!(told, [(GOODS, "SANDBOX_UNLISTED", false), (PLUG_IN, "10000", true)]);
    assert!(seen[0].at_ms > 1_700_000_000_000 && seen[1].at_ms >= seen[0].at_ms);
}

#[tokio::test]
async fn faults_are_put_over_http_and_nonsense_is_refused_by_line() {
    let caller = Caller::start(settings("")).await;
    assert_eq!(caller.put("/sandbox/faults", "{\"fault\":\"throttled\",\"rate\":1}").await.0, 204);
    assert_eq!(caller.mapi(mapi_fields()).await.status, 429);
    let (status, text) = caller.put("/sandbox/faults", "{\"fault\":\"gbk\"}\n{\"fault\":\"thunder\"}").await;
    assert!(status == 400 && text.contains("line 2") && text.contains("system_error"), "{text}");
    assert_eq!(caller.mapi(mapi_fields()).await.status, 429, "a refused list changes nothing");
    assert_eq!(caller.put("/sandbox/faults", "").await.0, 204);
    assert_eq!(caller.mapi(mapi_fields()).await.mapi_code(), "T");
}

#[tokio::test]
async fn it_says_that_it_is_well_and_names_its_paths_to_the_lost() {
    let caller = Caller::start(settings("")).await;
    assert_eq!(caller.get("/healthz").await, (200, "ok\n".into()));
    let (status, text) = caller.get("/gatway.do").await;
    assert!(status == 404 && text.contains("/cooperate/gateway.do"), "{text}");
    assert_eq!(caller.put("/healthz", "").await.0, 405);
    assert_eq!(caller.put("/gateway.do", "").await.0, 405);
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_says_when_a_port_is_taken() {
    let public = SandboxSettings { listen: "0.0.0.0:0".parse().unwrap(), ..SandboxSettings::default() };
    assert!(matches!(Sandbox::start(public).await, Err(SandboxError::NotLoopback(_))));
    let first = Sandbox::start(SandboxSettings::default()).await.unwrap();
    let second = SandboxSettings { listen: first.address(), ..SandboxSettings::default() };
    assert!(matches!(Sandbox::start(second).await, Err(SandboxError::Listen { .. })));
}

#[tokio::test]
async fn a_setup_read_again_starts_the_same_sandbox_and_a_mix_prepares_it() {
    let setup = Setup::generate(SignType::Md5).unwrap();
    let again = Setup::from_text(setup.to_text().expose()).unwrap();
    let sandbox = Sandbox::start(again.settings().unwrap()).await.unwrap();
    let mix = Mix::new(200, 3, &setup);
    mix.prepare(&sandbox);
    assert!(mix.states.len() > 5);
    assert_eq!(sandbox.items(), mix.states);
}
