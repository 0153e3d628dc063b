//! The canonical string: parameters sorted by name in byte order, empties and `sign` dropped, joined `name=value` by
//! `&`, values unencoded, then turned into the charset's bytes (protocol notes 1.2 and 2.2).

use crate::signing::charset::{Charset, NotEncodable};

/// Request parameters, in any order.
pub type Params = Vec<(String, String)>;

/// Whether `sign_type` is part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignTypeField {
    /// mapi leaves it out.
    Excluded,
    /// The Open Platform signs it.
    Included,
}

/// Returns the bytes to sign.
///
/// # Errors
/// [`NotEncodable`] naming the parameter and the first character the charset cannot hold.
pub fn canonical(
    params: &[(String, String)],
    sign_type: SignTypeField,
    charset: Charset,
) -> Result<Vec<u8>, NotEncodable> {
    todo!("{params:?} {sign_type:?} {charset:?}")
}
