//! Errors told whole: for a log line or a record, where the cause matters as much as the failure.

use std::error::Error;

/// Writes an error and its causes on one line, outermost first.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the outer one")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn causes_follow_in_their_order() {
        let text = chain(&Outer(std::fmt::Error));
        assert_eq!(text, format!("the outer one: {}", std::fmt::Error));
    }
}
