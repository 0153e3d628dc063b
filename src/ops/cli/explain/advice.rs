//! What to try where not all causes are known, in words for the command line.

use crate::domain::takedown::Gateway;
use crate::gateway::diagnosis::Next;
use crate::ops::cli::explain::Report;

/// Words the steps; asks for nothing that was given.
pub(super) fn steps(report: &Report<'_>, next: &[Next]) -> Vec<&'static str> {
    let is_open = |next: &&Next| match next {
        Next::GiveItem => report.item.is_none(),
        Next::GiveRefusal => report.answer.is_none() && report.account.gateway() == Gateway::OpenPlatform,
        Next::CompareDigest | Next::CompareBytes | Next::CheckKey | Next::SaveBytes => true,
    };
    next.iter().filter(is_open).map(word).collect()
}

fn word(next: &Next) -> &'static str {
    match next {
        Next::CompareDigest => {
            "hash the string your program signs (printf %s STRING | sha256sum, or sha1sum): if that is the digest above, the request was changed after signing"
        }
        Next::CompareBytes => {
            "print the bytes your program signs in hex, and compare them with what the signature has to cover (--hex shows it so)"
        }
        Next::GiveItem => "give the item (--item, or FILE --line N), so that values are compared too",
        Next::GiveRefusal => "give the refusal (--answer FILE): the Open Platform quotes the string it verified",
        Next::CheckKey => "check the key or secret first: it shows nothing of itself in such a signature",
        Next::SaveBytes => {
            "take the answer as bytes, before any program prints it (curl -sS -i -o FILE): terminals, editors and logs change charset, escapes and white space"
        }
    }
}
