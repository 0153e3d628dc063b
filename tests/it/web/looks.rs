//! How pages look, and whether everybody can read them: in both languages, light and dark, wide and narrow.

use super::browser::Browser;
use super::stage::{BATCH, Stage};
use crate::support::command::end;
use crate::support::queue::eventually;

/// Headings, labels, captions, contrast; see there.
const INSPECT: &str = include_str!("inspect.js");

async fn inspect(browser: &Browser, page: &str) {
    let wrong = browser.script(INSPECT).await;
    assert_eq!(wrong, serde_json::json!([]), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ and Chromium"]
async fn every_page_can_be_read_by_everybody_in_both_languages_and_schemes() {
    let stage = Stage::with_dead_letters(24).await;
    let paused = end(stage.command(&["pause", "shops", "--reason", "key rotation"]));
    assert_eq!(paused.code, Some(0), "{paused:?}");
    let desk = stage.desk(&[]);
    let browser = Browser::start().await;
    let page = &browser.client;
    let address = |path: &str| format!("http://{}{path}", desk.address);
    page.goto(&address("/login")).await.unwrap();
    inspect(&browser, "login").await;
    browser.picture("login").await;
    page.goto(&desk.link).await.unwrap();
    browser.wait_for("main", "24 items ended").await;
    browser.wait_for("main", "key rotation").await;

    let letter = {
        page.goto(&address("/letters?list=1")).await.unwrap();
        let link = browser
            .script("return document.querySelector('section[aria-labelledby=letters] tbody a').getAttribute('href')")
            .await;
        link.as_str().unwrap().to_owned()
    };
    browser.click("section[aria-labelledby=groups] tbody form button").await;
    browser.wait_for("h1", "Plan").await;
    let plan = page.current_url().await.unwrap().path().to_owned();
    let batch = format!("/batches/{BATCH}");
    let pages = [
        ("overview", "/"),
        ("letters", "/letters"),
        ("list", "/letters?account=desk"),
        ("letter", letter.as_str()),
        ("plan", plan.as_str()),
        ("batches", "/batches"),
        ("batch", batch.as_str()),
        ("missing", "/nowhere"),
        ("refused", "/letters?since=yesterday"),
    ];
    for (language, button) in [("en", "en"), ("zh-CN", "zh-CN")] {
        browser.click(&format!(".switch button[value='{button}']")).await;
        let spoken = "return document.documentElement.lang";
        eventually("the language", async || browser.script(spoken).await == language).await;
        for scheme in ["light", "dark"] {
            browser.scheme(scheme).await;
            for (name, path) in pages {
                for (width, height, size) in [(1280, 900, "wide"), (380, 800, "narrow")] {
                    browser.resize(width, height).await;
                    page.goto(&address(path)).await.unwrap();
                    assert_eq!(browser.script("return document.documentElement.lang").await, language);
                    let what = format!("{name}-{language}-{scheme}-{size}");
                    browser.picture(&what).await;
                    inspect(&browser, &what).await;
                }
            }
        }
    }
    // The switch wins over the system.
    browser.resize(1280, 900).await;
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let dark = browser.script(ground).await;
    browser.click(".switch button[value='light']").await;
    eventually("the light page", async || browser.script(ground).await != dark).await;
    browser.scheme("light").await;
    browser.click(".switch button[value='dark']").await;
    eventually("the dark page", async || browser.script(ground).await == dark).await;
    browser.end().await;
}
