//! A real Chromium without a screen, steered through chromedriver.
//!
//! Both are tied to this process and killed when dropped; the browser's own children leave with it. Promise: nothing of it
//! is left behind, in processes or in the home directory, also when a test fails.

use std::path::Path;
use std::process::{Command, Stdio};

use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::command::{Running, tie};
use crate::support::queue::eventually;

/// Besides having no screen: nothing that calls home, writes outside its directory, or asks for a sandbox root has not.
const OPTIONS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--window-size=1280,900",
];

/// One browser with one page.
pub(crate) struct Browser {
    pub(crate) client: Client,
    chromium: Option<Running>,
    driver: Option<Running>,
    home: TempDir,
}

/// A command of the browser's debugging protocol.
#[derive(Debug)]
struct Debug(Value);

impl WebDriverCompatibleCommand for Debug {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(self.0.to_string()))
    }
}

impl Browser {
    /// Starts one, reading English.
    pub(crate) async fn start() -> Self {
        let home = TempDir::new().unwrap();
        let profile = home.path().join("profile");
        let mut chromium = command("chromium", home.path());
        chromium
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("--lang=en-GB")
            .arg("about:blank");
        let chromium = Running::start(chromium);
        let line = chromium.line("DevTools listening on ");
        let debugger = line.split("ws://").nth(1).unwrap().split('/').next().unwrap().to_owned();

        let mut driver = command("chromedriver", home.path());
        driver.args(["--port=0"]);
        let driver = Running::start(driver);
        let line = driver.line("started successfully on port ");
        let port: u16 = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();

        let capabilities: Capabilities =
            serde_json::from_value(json!({ "goog:chromeOptions": { "debuggerAddress": debugger } })).unwrap();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Self { client, chromium: Some(chromium), driver: Some(driver), home }
    }

    /// Sends a command of the debugging protocol.
    pub(crate) async fn debug(&self, command: &str, parameters: Value) {
        self.client.issue_cmd(Debug(json!({ "cmd": command, "params": parameters }))).await.unwrap();
    }

    /// Shows pages as a screen of this size, in pixels.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.debug("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Has the system ask for `light` or `dark`.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.debug("Emulation.setEmulatedMedia", features).await;
    }

    /// Runs a script in the page.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits for the first element a selector finds.
    pub(crate) async fn find(&self, selector: &str) -> Element {
        self.client.wait().for_element(Locator::Css(selector)).await.unwrap()
    }

    /// Returns the text of the first element a selector finds; waits for it to be there.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.unwrap()
    }

    /// Waits until the text of an element holds something.
    pub(crate) async fn wait_for(&self, selector: &str, holds: &str) {
        eventually(&format!("{holds:?} in {selector}"), async || {
            let Ok(element) = self.client.find(Locator::Css(selector)).await else { return false };
            element.text().await.is_ok_and(|text| text.contains(holds))
        })
        .await;
    }

    /// Clicks what a selector finds.
    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Types into what a selector finds.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        element.clear().await.unwrap();
        element.send_keys(text).await.unwrap();
    }

    /// Takes a picture of the whole page, where a directory for pictures is named (`TAKEDOWN_TEST_PICTURES`).
    pub(crate) async fn picture(&self, name: &str) {
        let picture = self.client.screenshot().await.unwrap();
        assert!(picture.starts_with(b"\x89PNG"), "no picture");
        if let Some(directory) = std::env::var_os("TAKEDOWN_TEST_PICTURES") {
            std::fs::write(Path::new(&directory).join(format!("desk-{name}.png")), picture).unwrap();
        }
    }

    /// Ends both, and looks whether anything is left.
    pub(crate) async fn end(mut self) {
        drop(self.driver.take());
        drop(self.chromium.take());
        let home = self.home.path().to_str().unwrap().to_owned();
        eventually("the end of every process of the browser", async || processes_naming(&home) == 0).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The directory goes last, when nobody writes to it any more.
        drop(self.driver.take());
        drop(self.chromium.take());
    }
}

fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("HOME", home).env("XDG_CONFIG_HOME", home).env("XDG_CACHE_HOME", home).env("TMPDIR", home);
    command.env_remove("DBUS_SESSION_BUS_ADDRESS").current_dir(home).stdin(Stdio::null());
    tie(&mut command);
    command
}

/// The browser's children name its directory in their command lines, or have it in their environment.
fn processes_naming(text: &str) -> usize {
    let names = |file: std::path::PathBuf| {
        std::fs::read(file).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    };
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes.filter(|process| ["cmdline", "environ"].iter().any(|file| names(process.path().join(file)))).count()
}
