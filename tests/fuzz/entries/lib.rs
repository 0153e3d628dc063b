//! What each fuzz target does with its bytes, and what must hold whatever they are.
//!
//! Used twice: by the targets under `tests/fuzz/targets`, and by `tests/it/corpus.rs`, which replays the committed corpus
//! in the ordinary tests. A broken promise is a panic; it names the promise.

pub mod certificate;
pub mod fixture;
pub mod items;
pub mod mapi_answer;
pub mod message;
pub mod notification;
pub mod open_platform_answer;
pub mod pasted;
pub mod v3_answer;

/// What one target does with its bytes.
pub type Run = fn(&[u8]);

/// Every target by its name, which is also its folder under `tests/fixtures/corpus`.
pub const TARGETS: &[(&str, Run)] = &[
    ("certificate", certificate::run),
    ("csv", items::csv),
    ("jsonl", items::jsonl),
    ("mapi_answer", mapi_answer::run),
    ("message", message::run),
    ("notification", notification::run),
    ("open_platform_answer", open_platform_answer::run),
    ("pasted", pasted::run),
    ("v3_answer", v3_answer::run),
];
