//! In what order parameters were signed.

use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::draft::{FormDraft, Order};
use crate::gateway::diagnosis::search::Slip;

const REMEDY: &str = "sort by parameter name in byte order (A < Z < _ < a), a name before every longer one it begins";

/// Returns the slips; `documented` is the order of the interface document.
pub(in crate::gateway::diagnosis) fn slips(documented: &[String]) -> Vec<Slip<FormDraft>> {
    let orders = [
        (Order::AsSent, "not_sorted", "the parameters were signed in the order they were sent, not sorted"),
        (Order::ByPair, "sorted_by_pair", "whole `name=value` texts were sorted instead of names"),
        (Order::BodyFirst, "not_sorted", "the parameters were signed in the order body, then URL, not sorted"),
        (Order::IgnoringCase, "sorted_ignoring_case", "the names were sorted with letter case ignored"),
        (Order::Dictionary, "sorted_as_in_a_dictionary", "the names were sorted as in a dictionary, `_` ignored"),
    ];
    let mut slips: Vec<_> = orders
        .into_iter()
        .map(|(order, name, what)| {
            let cause = Cause::new(name, what, REMEDY);
            let change = move |draft: &mut FormDraft| draft.order = order;
            if name == "not_sorted" { Slip::common(cause, change) } else { Slip::rare(cause, change) }
        })
        .collect();
    let documented: Vec<Vec<u8>> = documented.iter().map(|name| name.as_bytes().to_vec()).collect();
    let what = "the parameters were signed in the order of the interface document, not sorted";
    slips.push(Slip::rare(Cause::new("not_sorted", what, REMEDY), move |draft: &mut FormDraft| {
        let rank = |name: &[u8]| documented.iter().position(|known| known == name).unwrap_or(documented.len());
        draft.fields.sort_by_key(|field| rank(&field.name));
        draft.order = Order::AsSent;
    }));
    slips
}
