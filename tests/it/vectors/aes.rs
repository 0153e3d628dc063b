//! Content encryption, exact in both directions.

use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;

use super::{cases, hex, key, tell, text};

#[test]
fn every_text_encrypts_to_its_cipher_and_comes_back() {
    let content_key = ContentKey::load(&key("openapi_aes_key", "base64")).unwrap();
    let mut ran = 0;
    for case in cases("aes.json") {
        let (plain, cipher) = (hex(text(&case["plain_hex"])), text(&case["cipher_base64"]));
        let charset = Charset::from_label(text(&case["charset"])).unwrap();
        assert_eq!(charset.encode(text(&case["plain_text"])).unwrap(), plain);
        assert_eq!(content_key.encrypt(&plain).as_deref(), Some(cipher));
        assert_eq!(content_key.decrypt(cipher), Some(plain));
        ran += 1;
    }
    tell("aes.json", ran, 5);
}
