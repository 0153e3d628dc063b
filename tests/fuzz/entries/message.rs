//! Messages: what decodes is encoded to the same value, and no secret shows in a value or in a fault.

use takedown::domain::secret::Secret;
use takedown::domain::takedown::{Item, MAX_MESSAGE_BYTES, MapiItem, OpenPlatformItem, Takedown};

/// Stands for a key in the corpus, where it is the value of `key`.
const PLANTED: &str = "pl4nted-s3cret";

/// Decodes the bytes.
pub fn run(body: &[u8]) {
    match Takedown::decode(body) {
        Ok(takedown) => hold(&takedown),
        Err(error) => {
            let told = error.to_string();
            assert!(told.chars().count() < 512, "a fault is cut to what a line can bear: {told}");
            assert!(!is_planted(body) || !told.contains(PLANTED), "no fault quotes a secret: {told}");
        }
    }
}

/// What holds of every takedown.
pub fn hold(takedown: &Takedown) {
    let encoded = takedown.encode();
    assert!(encoded.len() <= MAX_MESSAGE_BYTES, "what was small enough stays so");
    assert_eq!(Takedown::decode(&encoded).as_ref(), Ok(takedown), "what is encoded decodes to the same value");
    let other = Takedown { item: other_secrets(&takedown.item), ..takedown.clone() };
    assert_eq!(format!("{takedown:?}"), format!("{other:?}"), "secrets make no difference to what is shown");
}

fn other_secrets(item: &Item) -> Item {
    let other = Secret::new(PLANTED);
    match item {
        Item::Mapi(item) => Item::Mapi(MapiItem { key: other, ..item.clone() }),
        Item::OpenPlatform(item) => {
            let app_auth_token = item.app_auth_token.as_ref().map(|_| other);
            Item::OpenPlatform(OpenPlatformItem { app_auth_token, ..item.clone() })
        }
    }
}

/// Says whether the planted key stands in the body once, in its place.
fn is_planted(body: &[u8]) -> bool {
    let count = |text: &[u8]| body.windows(text.len()).filter(|window| *window == text).count();
    let (placed, all) = (format!("\"key\":\"{PLANTED}"), PLANTED);
    count(placed.as_bytes()) == 1 && count(all.as_bytes()) == 1
}
