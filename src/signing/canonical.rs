//! The canonical string: parameters sorted by name in byte order, empties and `sign` dropped, joined `name=value` by
//! `&`, values unencoded, then turned into the charset's bytes (protocol page: Canonical string).

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::signing::charset::{Charset, NotEncodable};

/// Parameters, in any order.
pub type Params = Vec<(String, String)>;

/// Parameters of a request, in any order; what the account or the item holds is not copied.
pub type Fields<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// Whether `sign_type` is part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignTypeField {
    /// mapi leaves it out.
    Excluded,
    /// The Open Platform signs it.
    Included,
}

/// Returns the parameters that are signed, and so the ones to send, in the order of the canonical string.
#[must_use]
pub fn signed<N: AsRef<str>, V: AsRef<str>>(params: &[(N, V)], sign_type: SignTypeField) -> Vec<(&str, &str)> {
    let mut signed = Vec::with_capacity(params.len());
    signed.extend(params.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).filter(|(name, value)| {
        let is_left_out = *name == "sign" || (*name == "sign_type" && sign_type == SignTypeField::Excluded);
        !is_left_out && !value.is_empty()
    }));
    // By name, not by `name=value`: the two differ where one name begins another (`a=`, `a!=`).
    signed.sort_by_key(|(name, _)| *name);
    signed
}

/// Returns the bytes to sign.
///
/// # Errors
/// [`NotEncodable`] naming the parameter and the first character the charset cannot hold.
pub fn canonical<N: AsRef<str>, V: AsRef<str>>(
    params: &[(N, V)],
    sign_type: SignTypeField,
    charset: Charset,
) -> Result<Vec<u8>, NotEncodable> {
    joined(&signed(params, sign_type), charset)
}

/// Returns the bytes to sign of parameters that [`signed`] returned.
///
/// # Errors
/// As [`canonical`].
pub fn joined(signed: &[(&str, &str)], charset: Charset) -> Result<Vec<u8>, NotEncodable> {
    // The user key and tokens stand in here; bytes that grow would leave copies of them behind. No charset needs more
    // room for a text than UTF-8.
    let room = signed.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    for (name, value) in signed {
        let refuse = |character| NotEncodable { field: (*name).to_owned(), character, charset };
        if !bytes.is_empty() {
            bytes.push(b'&');
        }
        charset.encode_to(name, &mut bytes).map_err(refuse)?;
        bytes.push(b'=');
        charset.encode_to(value, &mut bytes).map_err(refuse)?;
    }
    Ok(std::mem::take(&mut bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn text(params: &[(String, String)], sign_type: SignTypeField) -> String {
        String::from_utf8(canonical(params, sign_type, Charset::Utf8).unwrap()).unwrap()
    }

    #[test]
    fn sign_type_is_signed_only_where_the_gateway_signs_it() {
        let params = [pair("b", "2"), pair("sign", "x"), pair("sign_type", "RSA2"), pair("a", "1")];
        assert_eq!(text(&params, SignTypeField::Excluded), "a=1&b=2");
        assert_eq!(text(&params, SignTypeField::Included), "a=1&b=2&sign_type=RSA2");
    }

    #[test]
    fn names_are_sorted_not_whole_pairs() {
        let params = [pair("a!", "1"), pair("a", "2"), pair("_x", "3"), pair("Z", "4")];
        assert_eq!(text(&params, SignTypeField::Excluded), "Z=4&_x=3&a=2&a!=1");
    }

    #[test]
    fn what_cannot_be_encoded_is_named() {
        let error = canonical(&[pair("reason", "买€")], SignTypeField::Excluded, Charset::Gbk).unwrap_err();
        assert_eq!(error.to_string(), "`reason` holds '€', which gbk has no bytes for");
    }

    proptest! {
        #[test]
        fn order_and_empty_values_do_not_matter(
            params in proptest::collection::btree_map("[a-c_A!]{1,3}", "[a-z&= 假]{0,4}", 0..8)
                .prop_map(|map| map.into_iter().collect::<Vec<_>>())
                .prop_flat_map(|params| (Just(params.clone()), Just(params).prop_shuffle())),
        ) {
            let (sorted, shuffled) = params;
            let expected: Vec<_> =
                sorted.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| format!("{n}={v}")).collect();
            prop_assert_eq!(text(&shuffled, SignTypeField::Excluded), expected.join("&"));
        }
    }
}
