//! Bytes as people and signatures write them: two lower-case hexadecimal digits each.

use std::fmt::Write as _;

/// Writes bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("invariant: writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(hex(&[0x00, 0x0A, 0xFF]), "000aff");
        assert_eq!(hex(&[]), "");
    }
}
