//! Answers that repeat what they were asked: a secret of the call must not come back as a code or as wording, which go
//! into outcomes, logs and message headers.
//!
//! A whole request or signed text is cut off by [`Claim::failure`] whatever it holds; here single secrets are masked.
//! A code of the table is public, and decides: it stays, or a producer could change an answer's meaning by its key.

use url::form_urlencoded;

use crate::domain::codes;
use crate::domain::reply::Claim;
use crate::domain::secret::Secret;
use crate::domain::takedown::Gateway;

/// Shortest secret looked for, in bytes: a shorter one would be found inside words that mean something, such as a code.
/// The gateways' keys and tokens have 40 characters.
const SHORTEST_SECRET: usize = 8;

/// Shortest beginning of a secret that is masked at the end of a text that was cut.
const SHORTEST: usize = 4;

/// Masks these secrets in what an answer says, plain and percent-encoded.
pub(super) fn mask(gateway: Gateway, claim: Claim, secrets: &[&Secret]) -> Claim {
    let mask = |text: String| mask_text(text, secrets);
    let mask_code = |text: String| if codes::find(gateway, Some(&text), None).is_some() { text } else { mask(text) };
    match claim {
        Claim::Failure { code, sub_code, message } => {
            Claim::Failure { code: code.map(mask_code), sub_code: sub_code.map(mask_code), message: message.map(mask) }
        }
        // Words of ours, names of the table, and a goods id under the gateway's signature.
        Claim::Success { .. } | Claim::Unreadable { .. } => claim,
    }
}

/// Masks these secrets in one text of whoever answered.
pub(super) fn mask_text(text: String, secrets: &[&Secret]) -> String {
    secrets.iter().fold(text, |text, secret| masked(text, secret))
}

fn masked(text: String, secret: &Secret) -> String {
    let plain = secret.expose();
    if plain.len() < SHORTEST_SECRET {
        return text;
    }
    let encoded: String = form_urlencoded::byte_serialize(plain.as_bytes()).collect();
    let text = text.replace(plain, "***").replace(&encoded, "***");
    // Wording is cut to a length, and the cut may go through a secret.
    let beginnings = plain.char_indices().map(|(end, _)| &plain[..end]).rev().take_while(|part| part.len() >= SHORTEST);
    match beginnings.into_iter().find_map(|part| text.strip_suffix(part)) {
        Some(rest) => format!("{rest}***"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(message: &str) -> String {
        let secrets = [Secret::new("2011k3y+x"), Secret::new("t0ken-of-m1")];
        let claim = Claim::failure(Some("CODE_t0ken-of-m1"), None, Some(message));
        match mask(Gateway::Mapi, claim, &secrets.each_ref()) {
            Claim::Failure { code, sub_code: None, message: Some(message) } => {
                assert_eq!(code.as_deref(), Some("CODE_***"));
                message
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_secret_is_masked_plain_encoded_and_cut() {
        assert_eq!(wording("no right for 2011k3y+x or t0ken-of-m1"), "no right for *** or ***");
        assert_eq!(wording("key 2011k3y%2Bx, please"), "key ***, please");
        assert_eq!(wording("key 2011k3"), "key ***");
        assert_eq!(wording("in 201"), "in 201");
    }

    #[test]
    fn a_short_secret_is_not_looked_for() {
        let claim = Claim::failure(Some("NO_SUCH_CODE"), None, Some("no such code"));
        assert_eq!(mask(Gateway::Mapi, claim.clone(), &[&Secret::new("code"), &Secret::new("")]), claim);
    }
}
