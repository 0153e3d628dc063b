//! A certificate's number: the MD5 of its issuer's name, as RFC 2253 writes it, and its decimal serial number.
//!
//! The vendor's Java SDK (`AntCertificationUtil`) takes the name from `X500Principal.getName()`, and so does, it is
//! taken, the platform: the last attribute comes first, those joined in one place by `+`; nine types have a short name,
//! any other is its dotted number with the value as `#` and hex DER; `,=+<>#;"\` are escaped by a backslash, and so are
//! spaces at either end. The other SDKs escape nothing and have more short names, which is the same for every
//! authority the platform is known to use.

use md5::{Digest, Md5};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::name::Name;

use crate::domain::hex::hex;

/// RFC 2253 section 2.3.
const SHORT_NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// Computes the number.
///
/// # Errors
/// What of the name cannot be written with certainty.
pub(super) fn of(issuer: &Name, serial: &[u8]) -> Result<String, String> {
    Ok(hex(&Md5::digest(format!("{}{}", name(issuer)?, decimal(serial)))))
}

fn name(name: &Name) -> Result<String, String> {
    let mut places = Vec::new();
    for place in name.iter_rdn() {
        places.push(place.iter().map(attribute).collect::<Result<Vec<_>, _>>()?.join("+"));
    }
    places.reverse();
    Ok(places.join(","))
}

fn attribute(attribute: &AttributeTypeAndValue) -> Result<String, String> {
    let oid = attribute.oid.to_string();
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, short)| *short);
    let value = match (short, attribute.value.tag()) {
        (Some(_), Tag::PrintableString | Tag::Utf8String | Tag::Ia5String | Tag::TeletexString) => {
            // Java reads them all as UTF-8.
            let text = std::str::from_utf8(attribute.value.value());
            escaped(text.map_err(|_| "text that is not UTF-8".to_owned())?)
        }
        (Some(_), tag @ (Tag::BmpString | Tag::GeneralString | Tag::VideotexString)) => return Err(format!("a {tag}")),
        (Some(_) | None, _) => {
            let der = attribute.value.to_der().map_err(|_| "an attribute that is no DER".to_owned())?;
            format!("#{}", hex(&der))
        }
    };
    Ok(format!("{}={value}", short.unwrap_or(&oid)))
}

fn escaped(text: &str) -> String {
    let inner = text.trim_matches(' ');
    let spaces = |count| "\\ ".repeat(count);
    let before = text.len() - text.trim_start_matches(' ').len();
    let behind = text.len() - before - inner.len();
    let mut written = spaces(before);
    for character in inner.chars() {
        match character {
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => written.extend(['\\', character]),
            '\0' => written.push_str("\\00"),
            plain => written.push(plain),
        }
    }
    written + &spaces(behind)
}

/// Writes a big-endian two's complement number, as DER has it.
fn decimal(bytes: &[u8]) -> String {
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if is_negative {
        magnitude.iter_mut().for_each(|byte| *byte = !*byte);
        for byte in magnitude.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u16;
        for byte in &mut magnitude {
            let value = rest << 8 | u16::from(*byte);
            *byte = u8::try_from(value / 10).expect("invariant: rest is below 10, so a tenth fits a byte");
            rest = value % 10;
        }
        digits.push(char::from(b'0' + u8::try_from(rest).expect("invariant: a rest of 10 is one digit")));
    }
    if digits.is_empty() {
        return "0".to_owned();
    }
    let sign = if is_negative { "-" } else { "" };
    sign.chars().chain(digits.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    /// Certificates made with openssl; the names and numbers are those a JDK 17 writes for them
    /// (`getIssuerX500Principal().getName() + getSerialNumber()`, MD5).
    #[test]
    fn numbers_are_those_of_the_vendors_java() {
        for (issuer, serial, number) in [
            (
                r"CN=\ space\ ,OU=\#lead,O=Comma\, Plus,C=CN",
                [58, 20, 244, 70, 151, 70, 90, 106, 4, 194, 105, 154, 162, 153, 193, 114, 1, 49, 170, 143].as_slice(),
                "006676eb3323b14e992f5a3ea091b8bb",
            ),
            (
                r"CN=x,UID=u1,DC=example,2.5.4.5=#13023737,1.2.840.113549.1.9.1=#16056140622e63,O=蚂蚁,STREET=Road 1,L=Hangzhou,ST=Zhejiang,C=CN",
                [85, 128, 179, 126, 205, 173, 62, 191, 50, 237, 46, 76, 72, 63, 228, 17, 117, 220, 202, 15].as_slice(),
                "d957fc3c174a65d01174d7b03a23fe1b",
            ),
            (
                r"O=z,CN=b+OU=a,C=CN",
                [8, 227, 136, 51, 203, 52, 247, 177, 145, 95, 212, 235, 72, 56, 61, 0, 123, 78, 93, 164].as_slice(),
                "1b8387182c1bc3acf450fb0d05cb5072",
            ),
            (r"O=bmp,C=CN", [251].as_slice(), "50832d831ab6148a78b2a611d6f2eb19"),
        ] {
            let parsed = Name::from_str(issuer).unwrap();
            assert_eq!(name(&parsed), Ok(issuer.to_owned()));
            assert_eq!(of(&parsed, serial), Ok(number.to_owned()), "{issuer}");
        }
    }

    #[test]
    fn text_that_sdks_read_differently_has_no_number() {
        let bmp = Name::from_str("CN=#1e0400620062").map(|bmp| name(&bmp)).unwrap();
        assert_eq!(bmp, Err("a BMPString".to_owned()));
        let latin = Name::from_str("CN=#1402e9e9").map(|latin| name(&latin)).unwrap();
        assert_eq!(latin, Err("text that is not UTF-8".to_owned()));
    }

    #[test]
    fn serial_numbers_are_decimal_whatever_their_length_and_sign() {
        for (bytes, text) in [
            (&[][..], "0"),
            (&[0], "0"),
            (&[0x7F], "127"),
            (&[0, 0x80], "128"),
            (&[0xFB], "-5"),
            (&[0x80, 0], "-32768"),
            (&[0xFF, 0], "-256"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616"),
        ] {
            assert_eq!(decimal(bytes), text);
        }
    }
}
