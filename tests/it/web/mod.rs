//! The operator's pages in a real Chromium, before a real desk, broker, worker and sandbox.

mod browser;
mod looks;
mod relay;
mod stage;

use fantoccini::Locator;
use fantoccini::key::Key;

use self::browser::Browser;
use self::relay::Relay;
use self::stage::{Desk, Stage};
use crate::support::broker::shared_url;
use crate::support::command::{Running, end, http, takedown};
use crate::support::queue::eventually;

/// How many letters the page of a plan says are back at work; waits until it says so.
async fn replayed(browser: &Browser) -> u64 {
    browser.find("#progress").await;
    let script = r"const told = /(\d+) of 12/.exec(document.getElementById('progress')?.innerText ?? ''); return told ? Number(told[1]) : 0";
    browser.script(script).await.as_u64().unwrap()
}

/// The texts of a column of the first table below an element.
async fn column(browser: &Browser, selector: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for cell in browser.client.find_all(Locator::Css(selector)).await.unwrap() {
        texts.push(cell.text().await.unwrap());
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and Chromium"]
async fn letters_are_filtered_planned_replayed_and_the_replay_is_cancelled_and_resumed() {
    let stage = Stage::with_dead_letters(24).await;
    let desk = stage.desk(&[]);
    let browser = Browser::start().await;
    let page = &browser.client;

    page.goto(&desk.link).await.unwrap();
    assert_eq!(page.current_url().await.unwrap().path(), "/", "the token has left the address bar");
    assert_eq!(browser.text("h1").await, "Overview");
    browser.wait_for("main", "24 items ended").await;
    browser.click("nav a[href='/letters']").await;
    browser.wait_for("h1", "Dead letters").await;
    browser.wait_for(".head .aside", "24 in all").await;
    assert!(browser.text("#groups").await.contains("Groups"));

    // Filter.
    page.find(Locator::Id("f-account")).await.unwrap().select_by_value("desk").await.unwrap();
    browser.fill("#f-text", "no such text").await;
    browser.click("form[role=search] button").await;
    browser.wait_for("main", "No dead letter is meant by this filter").await;
    browser.fill("#f-text", "").await;
    browser.click("form[role=search] button").await;
    browser.wait_for("main", "12 shown of 12").await;
    assert!(
        column(&browser, "section[aria-labelledby=letters] tbody td:nth-child(2)").await.iter().all(|a| a == "desk")
    );

    // One whole.
    browser.click("section[aria-labelledby=letters] tbody tr:first-child a").await;
    browser.wait_for("main", "code that no table lists").await;
    let shown = browser.text("pre").await;
    assert!(shown.contains("\"key\": \"***\"") && shown.contains("goods_id"), "{shown}");
    browser.wait_for("section[aria-labelledby=history]", "unknown_code").await;
    page.back().await.unwrap();

    // Plan; only those of one account are meant.
    browser.click(".pages form button").await;
    browser.wait_for("h1", "Plan").await;
    assert_eq!(browser.text("#left").await, "12");
    stage.heal();
    browser.fill("#rate", "2").await;
    browser.click("section[aria-labelledby=replay] button").await;

    // Progress, without anybody loading the page anew; then a stop between two letters.
    let first = replayed(&browser).await;
    eventually("another letter put back to work", async || replayed(&browser).await > first).await;
    eventually("a word for who cannot see it", async || {
        browser.script("return document.getElementById('voice').textContent").await.as_str().unwrap().contains('%')
    })
    .await;
    browser.picture("replay-running").await;
    browser.click("#progress form button").await;
    browser.wait_for("#progress", "cancelled").await;
    browser.picture("replay-cancelled").await;
    browser.click("#progress a.button").await;
    let left: u64 = browser.text("#left").await.parse().unwrap();
    assert!((1..12).contains(&left), "{left} left of 12");

    // The rest, as fast as it goes.
    browser.click("section[aria-labelledby=replay] button").await;
    browser.wait_for("#progress", "finished").await;
    browser.click("#progress a.button").await;
    browser.wait_for("#left", "0").await;
    browser.click("nav a[href='/letters']").await;
    browser.wait_for(".head .aside", "12 in all").await;
    assert_eq!(column(&browser, "section[aria-labelledby=groups] tbody th").await, ["shops"]);
    browser.end().await;
    stage.expect_outcomes("desk", 12).await;
    desk.closes();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and Chromium"]
async fn a_letter_is_edited_exported_and_purged_by_its_number() {
    let stage = Stage::with_dead_letters(6).await;
    let desk = stage.desk(&[]);
    let browser = Browser::start().await;
    let page = &browser.client;
    page.goto(&desk.link).await.unwrap();
    page.goto(&format!("http://{}/letters?account=shops", desk.address)).await.unwrap();
    browser.click("section[aria-labelledby=letters] tbody tr:first-child a").await;
    browser.click("details summary").await;
    let edit = "const area = document.getElementById('body'); area.value = area.value.replace(/(\"shop_id\": \")[^\"]*/, '$1edited-77');";
    browser.script(edit).await;
    browser.click("details button").await;
    browser.wait_for(".note.good", "The message was changed").await;
    assert!(browser.text("pre").await.contains("edited-77"));
    browser.wait_for("section[aria-labelledby=history]", "takedown.shop_id").await;
    // What is no takedown is refused, and the letter stays as it is.
    browser.click("details summary").await;
    browser.script("document.getElementById('body').value = '{}';").await;
    browser.click("details button").await;
    browser.wait_for("details [role=alert]", "The edit makes no valid message").await;
    let typed = browser.script("return document.getElementById('body').value").await;
    assert_eq!(typed, "{}", "what was typed is still there");

    // A wrong number deletes nothing.
    page.goto(&format!("http://{}/letters?account=shops", desk.address)).await.unwrap();
    browser.click(".pages form button").await;
    browser.fill("#count", "2").await;
    browser.click("section[aria-labelledby=purge] button").await;
    browser.wait_for("h1", "There are not as many as planned").await;
    page.back().await.unwrap();
    browser.fill("#count", "3").await;
    browser.click("section[aria-labelledby=purge] button").await;
    browser.wait_for(".note.good", "Deleted for good: 3").await;
    browser.end().await;

    let session = desk.log_in();
    let exported = desk.get("/letters/export?as=csv", &session);
    assert_eq!(exported.lines().count(), 4, "{exported}");
    assert!(!exported.contains("edited-77") && exported.contains("\"\"key\"\":\"\"***\"\""), "{exported}");
    let lines = desk.get("/letters/export", &session);
    assert_eq!(lines.lines().filter(|line| line.contains("\"key\":\"***\"")).count(), 3, "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and Chromium"]
async fn a_batch_is_watched_and_cancelled() {
    let stage = Stage::new(40, &[]).await;
    let mut worker = stage.command(&["worker", "--log-format", "json"]);
    worker.env("TAKEDOWN_ACCOUNTS__DESK__RATE", "2/s").env("TAKEDOWN_ACCOUNTS__SHOPS__RATE", "2/s");
    let worker = Running::start(worker);
    worker.line("worker started");
    let desk = stage.desk(&[]);
    let browser = Browser::start().await;
    browser.client.goto(&desk.link).await.unwrap();
    browser.click("nav a[href='/batches']").await;
    browser.wait_for("tbody", "running").await;
    browser.click("tbody a").await;
    browser.wait_for("h1", stage::BATCH).await;
    let figures = "return [...document.querySelectorAll('.figures > div')].map((each) => each.innerText).join('|')";
    let figures = async || browser.script(figures).await.as_str().unwrap().to_owned();
    eventually("an item of the batch to end", async || {
        let told = figures().await;
        told.contains("/ 40") && !told.contains("\n0 / 40")
    })
    .await;
    browser.picture("batch-running").await;
    browser.fill("#reason", "wrong list").await;
    browser.click("section[aria-labelledby=cancel] button").await;
    browser.wait_for("main", "wrong list").await;
    browser.wait_for(".figures", "cancelled").await;
    eventually("the end of the batch", async || figures().await.contains("40 / 40")).await;
    browser.picture("batch-cancelled").await;
    browser.end().await;
    worker.signal("TERM");
    assert_eq!(worker.wait().0.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and Chromium"]
async fn a_keyboard_alone_logs_in_finds_a_group_and_plans_its_replay() {
    let stage = Stage::with_dead_letters(6).await;
    std::fs::write(stage.home().join("desk.token"), "0123456789abcdef\n").unwrap();
    let desk = stage.desk(&["--token-file", "desk.token"]);
    let browser = Browser::start().await;
    let page = &browser.client;
    page.goto(&format!("http://{}/letters", desk.address)).await.unwrap();
    browser.wait_for("h1", "Log in").await;
    // The field has the focus by itself.
    press(&browser, "wrong-token-wrong").await;
    press(&browser, Key::Enter).await;
    browser.wait_for("[role=alert]", "That is not the token").await;
    press(&browser, "0123456789abcdef").await;
    press(&browser, Key::Enter).await;
    browser.wait_for("h1", "Dead letters").await;

    // The first stop of the tab key leads past the bar.
    press(&browser, Key::Tab).await;
    assert_eq!(focused(&browser).await, "Skip to content");
    assert!(is_focus_seen(&browser).await, "the skip link shows no focus");
    press(&browser, Key::Enter).await;
    let mut met = Vec::new();
    while !focused(&browser).await.starts_with("Plan replay") {
        assert!(met.len() < 40, "no plan on the way: {met:?}");
        press(&browser, Key::Tab).await;
        assert!(is_focus_seen(&browser).await, "{} shows no focus", focused(&browser).await);
        met.push(focused(&browser).await);
    }
    press(&browser, Key::Enter).await;
    browser.wait_for("h1", "Plan").await;
    assert_eq!(browser.text("#left").await, "3", "{met:?}");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and Chromium"]
async fn without_scripts_everything_is_read_and_done() {
    let stage = Stage::with_dead_letters(6).await;
    let desk = stage.desk(&[]);
    let browser = Browser::start().await;
    browser.debug("Emulation.setScriptExecutionDisabled", serde_json::json!({ "value": true })).await;
    browser.client.goto(&desk.link).await.unwrap();
    browser.click("nav a[href='/letters']").await;
    browser.wait_for(".head .aside", "6 in all").await;
    stage.heal();
    browser.click(".pages form button").await;
    // All letters are meant: such a plan is replayed, and never purged.
    browser.click("section[aria-labelledby=replay] button").await;
    browser.wait_for("#progress", "finished").await;
    browser.end().await;
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_worker_serves_the_pages_and_without_a_token_nobody_acts() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = runtime.block_on(Stage::with_dead_letters(6));
    let address = stage.worker_address();
    let read = |path: &str| {
        let mut curl = std::process::Command::new("curl");
        curl.args(["-sS", "-H", "Accept: text/html", &format!("http://{address}{path}")]);
        end(curl).stdout
    };
    let page = read("/letters");
    assert!(
        page.contains("unknown_code") && page.contains("worker.token_file") && !page.contains("Plan replay"),
        "{page}"
    );
    let overview = read("/");
    assert!(overview.contains(">shops</th>") && overview.contains("items ended"), "{overview}");
    // The probes are what they were.
    assert_eq!(http(address, "GET", "/healthz", ""), (200, "alive\n".to_owned()));
    assert_eq!(http(address, "GET", "/readyz", ""), (200, "ready\n".to_owned()));
    assert!(http(address, "GET", "/metrics", "").1.contains("takedown_in_flight"));
    assert!(http(address, "GET", "/", "").1.starts_with("takedown worker"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_broker_that_went_away_is_told_at_once_on_every_page_and_found_again() {
    let stage = Stage::with_dead_letters(2).await;
    let broker = shared_url().parse().unwrap();
    let relay = Relay::to(&broker).await;
    let mut command = stage.command(&["desk", "--listen", "127.0.0.1:0"]);
    command.env("TAKEDOWN_AMQP__URL", relay.url(&broker));
    let desk = tokio::task::spawn_blocking(move || Desk::start(command)).await.unwrap();
    let cookie = desk.log_in();
    let (letters, overview) = (desk.get("/letters", &cookie), desk.get("/", &cookie));
    assert!(letters.contains("unknown_code") && overview.contains(">shops</th>"), "{letters}{overview}");

    relay.set_open(false);
    let missing = "The broker does not answer";
    eventually("a word of the broker", async || desk.get("/", &cookie).contains(missing)).await;
    let overview = desk.get("/", &cookie);
    assert!(!overview.contains("no worker"), "nobody knows that: {overview}");
    let began = std::time::Instant::now();
    let letters = desk.get("/letters", &cookie);
    assert!(letters.contains(missing) && began.elapsed().as_secs() < 11, "{letters}");

    relay.set_open(true);
    eventually("the letters again", async || desk.get("/letters", &cookie).contains("unknown_code")).await;
    eventually("the fleet again", async || desk.get("/", &cookie).contains(">shops</th>")).await;
    desk.closes();
}

#[test]
fn a_queue_file_has_a_desk_of_its_own() {
    let home = tempfile::TempDir::new().unwrap();
    let missing = end(takedown(home.path(), &["desk", "--queue", "no.queue", "--listen", "127.0.0.1:0"]));
    assert_eq!(missing.code, Some(7), "{missing:?}");
    let rehearsal = crate::cli::rehearsal::Rehearsal::start(6, &["--fault", "unlisted_code=1"]);
    let mut run = rehearsal.command(&["run", "items.csv"]);
    run.env("TAKEDOWN_RETRY__MAX_UNKNOWN_CODE_ATTEMPTS", "1");
    assert_eq!(end(run).code, Some(9));
    let desk =
        stage::Desk::start(rehearsal.command(&["desk", "--queue", "items.csv.queue", "--listen", "127.0.0.1:0"]));
    let page = desk.get("/letters", &desk.log_in());
    assert!(page.contains("6 in all") && page.contains("unknown_code"), "{page}");
    desk.closes();
}

async fn press(browser: &Browser, keys: impl Into<Keys>) {
    let Keys(keys) = keys.into();
    browser.client.active_element().await.unwrap().send_keys(&keys).await.unwrap();
}

/// What is typed.
struct Keys(String);

impl From<Key> for Keys {
    fn from(key: Key) -> Self {
        Self(char::from(key).to_string())
    }
}

impl From<&str> for Keys {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

async fn focused(browser: &Browser) -> String {
    let text =
        browser.script("return (document.activeElement.innerText || document.activeElement.name || '').trim()").await;
    text.as_str().unwrap().to_owned()
}

async fn is_focus_seen(browser: &Browser) -> bool {
    let script = "const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2";
    browser.script(script).await.as_bool().unwrap()
}
