//! Judging a pasted request of the Open Platform's protocol v3: its `Authorization` header and the lines it covers.

use std::time::SystemTime;

use crate::domain::reply::Reply;
use crate::domain::takedown::Item;
use crate::gateway::GatewayAccount;
use crate::gateway::diagnosis::keyring::Keyring;
use crate::gateway::diagnosis::own;
use crate::gateway::diagnosis::pasted::{Field, Pasted, Place};
use crate::gateway::diagnosis::request::{Difference, Judged};
use crate::gateway::diagnosis::search::{Draft, Slip, search};
use crate::gateway::diagnosis::slips::content;
use crate::gateway::diagnosis::verdict::{Expected, Signer, diagnose, settled};
use crate::gateway::diagnosis::{Cause, Diagnosis, Verdict};
use crate::gateway::open_platform::v3::request::SCHEME;
use crate::signing::SignType;
use crate::signing::charset::Charset;

/// The lines as somebody may have joined them.
#[derive(Clone)]
struct Lines {
    lines: Vec<Vec<u8>>,
    /// Between two lines.
    between: &'static [u8],
    /// Behind the last line.
    last: &'static [u8],
}

impl Draft for Lines {
    fn bytes(&self) -> Vec<u8> {
        [self.lines.join(self.between).as_slice(), self.last].concat()
    }
}

const AUTH: usize = 0;
const METHOD: usize = 1;
const TARGET: usize = 2;
const BODY: usize = 3;
const TOKEN: usize = 4;

const REMEDY: &str =
    "sign auth string, method, path with query, body and (if its header is sent) token, a line feed behind each";

/// Judges a request of protocol v3.
///
/// # Errors
/// A [`Reply`] that says why takedown would send nothing for the item.
pub(super) fn judge(
    account: &GatewayAccount,
    keyring: &Keyring,
    pasted: &Pasted,
    item: Option<&Item>,
    now: SystemTime,
) -> Result<Judged, Reply> {
    let header = pasted.header("authorization").unwrap_or_default().trim();
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    let (auth, sign) = rest.trim().rsplit_once(",sign=").unwrap_or((rest.trim(), ""));
    let token = pasted.header("alipay-app-auth-token");
    let right = Lines {
        lines: [auth.as_bytes(), pasted.method.as_bytes(), &target(pasted), &pasted.body]
            .into_iter()
            .chain(token.map(str::as_bytes))
            .map(<[u8]>::to_vec)
            .collect(),
        between: b"\n",
        last: b"\n",
    };
    let canonical = right.bytes();
    let part = |name: &str| auth.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let differences = match item {
        Some(item) => Some(compare(pasted, &own::explain(account, item, now, part("nonce"))?, auth)),
        None => None,
    };
    let remarks = remarks(account, pasted, auth, scheme);
    let diagnosis = if sign.is_empty() {
        let what = "the request has no `Authorization` header with a `sign` at its end";
        let cause =
            Cause::new("unsigned", what, format!("send Authorization: {SCHEME} <auth string>,sign=<signature>"));
        Diagnosis { verdict: Verdict::Unsigned, ..settled(vec![cause]) }
    } else {
        let mut slips = changed(differences.as_deref().unwrap_or_default());
        slips.extend(self::slips(pasted, &right, auth));
        let expected = Expected { sign_type: SignType::Rsa2, signer: Signer::Account };
        diagnose(sign, keyring, expected, |proof, budget| search(&right, &slips, proof, budget))
    };
    let mut fields = pasted.fields();
    let in_header = |name: &str, value: &str| Field {
        name: name.as_bytes().to_vec(),
        value: value.as_bytes().to_vec(),
        raw: value.as_bytes().to_vec(),
        place: Place::Header,
    };
    fields.extend(auth.split(',').filter_map(|part| part.split_once('=')).map(|(name, value)| in_header(name, value)));
    fields.extend(token.map(|token| in_header("alipay-app-auth-token", token)));
    Ok(Judged { fields, charset: Charset::Utf8, canonical, diagnosis, remarks, differences })
}

/// Path and query as sent.
fn target(pasted: &Pasted) -> Vec<u8> {
    let path = pasted
        .path
        .split_once("://")
        .map_or(pasted.path.as_str(), |(_, rest)| &rest[rest.find('/').unwrap_or(rest.len())..]);
    let path = if path.is_empty() { "/" } else { path };
    if pasted.query.is_empty() { path.as_bytes().to_vec() } else { [path.as_bytes(), b"?", &pasted.query].concat() }
}

fn slips(pasted: &Pasted, right: &Lines, auth: &str) -> Vec<Slip<Lines>> {
    let cause = |name, what: &str| Cause::new(name, what, REMEDY);
    // One line that was another one when it was signed.
    let line = |at: usize, text: Vec<u8>| move |draft: &mut Lines| draft.lines[at].clone_from(&text);
    let target = &right.lines[TARGET];
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default().to_vec();
    let mut slips = vec![
        Slip::common(
            cause("last_line_feed_missing", "the line feed behind the last line was not signed"),
            |draft: &mut Lines| draft.last = b"",
        ),
        Slip::common(
            cause("token_line_missing", "`alipay-app-auth-token` was sent and its line was not signed"),
            |draft: &mut Lines| draft.lines.truncate(TOKEN),
        ),
        Slip::common(
            cause("query_not_signed", "the path was signed without the query that was sent"),
            line(TARGET, path),
        ),
        Slip::common(cause("body_not_signed", "the body's line was signed empty"), line(BODY, Vec::new())),
        Slip::rare(
            cause("path_decoded", "path and query were signed decoded, not as sent"),
            line(TARGET, super::pasted::decoded(target)),
        ),
        Slip::rare(cause("method_in_lower_case", "the method was signed in lower case"), |draft: &mut Lines| {
            draft.lines[METHOD].make_ascii_lowercase();
        }),
        Slip::rare(cause("line_ends_crlf", "the lines were signed with CR LF at their ends"), |draft: &mut Lines| {
            (draft.between, draft.last) = (b"\r\n", b"\r\n");
        }),
        Slip::rare(
            cause("scheme_signed", "the scheme was signed in front of the auth string"),
            line(AUTH, format!("{SCHEME} {auth}").into_bytes()),
        ),
    ];
    if let Some((_, rest)) = pasted.path.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let url = [&pasted.path.as_bytes()[..pasted.path.len() - rest.len() + host.len()], target].concat();
        slips.push(Slip::rare(
            cause("url_signed", "the whole address was signed instead of path and query"),
            line(TARGET, url),
        ));
    }
    let as_sent =
        |name, what: &str| Cause::new(name, what, "send the auth string that was signed, character for character");
    let unnumbered: Vec<&str> = auth.split(',').filter(|part| !part.starts_with("app_cert_sn=")).collect();
    slips.push(Slip::common(
        as_sent("certificate_numbers_left_out", "`app_cert_sn` was sent in the auth string and not signed"),
        line(AUTH, unnumbered.join(",").into_bytes()),
    ));
    slips.extend(orders(auth).into_iter().map(|parts| {
        let what = "the auth string was signed in another order than it was sent in";
        Slip::common(as_sent("auth_reordered", what), line(AUTH, parts.join(",").into_bytes()))
    }));
    slips.extend(bodies(&pasted.body).into_iter().map(|(what, body)| {
        let what = format!("the body was signed {what} and sent otherwise");
        let cause = Cause::new("body_rewritten", what, "write the JSON once; sign and send that very text");
        Slip::rare(cause, line(BODY, body))
    }));
    slips
}

/// The signature may belong to the lines takedown would send: then what differs was changed after signing.
fn changed(differences: &[Difference]) -> Vec<Slip<Lines>> {
    let line = |difference: &Difference| {
        let at =
            ["auth", "method", "path", "body", "app_auth_token"].iter().position(|name| *name == difference.name)?;
        let (name, ours) = (&difference.name, difference.ours.clone()?);
        let what = format!("the {name} was signed as takedown would send it, and changed afterwards");
        let cause = Cause::new("value_changed_after_signing", what, "do not touch a request once it is signed");
        Some(Slip::common(cause, move |draft: &mut Lines| match draft.lines.get_mut(at) {
            Some(line) => line.clone_from(&ours),
            None => draft.lines.push(ours.clone()),
        }))
    };
    // The auth string of another moment is no candidate.
    differences.iter().filter(|difference| difference.name != "auth").filter_map(line).collect()
}

/// The members of the auth string in every other order.
fn orders(auth: &str) -> Vec<Vec<&str>> {
    let parts: Vec<&str> = auth.split(',').map(str::trim).collect();
    if !(2..=5).contains(&parts.len()) {
        return Vec::new();
    }
    let mut orders: Vec<Vec<&str>> = vec![Vec::new()];
    for part in &parts {
        let longer = |order: &Vec<_>| {
            (0..=order.len())
                .map(|at| {
                    let mut order = order.clone();
                    order.insert(at, *part);
                    order
                })
                .collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders.retain(|order| *order != parts);
    orders
}

fn bodies(sent: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut bodies = vec![
        ("with a line feed behind it".to_owned(), [sent, b"\n"].concat()),
        ("without the white space around it".to_owned(), sent.trim_ascii().to_vec()),
    ];
    let text = String::from_utf8_lossy(sent);
    bodies.extend(content::rewritings(&text).into_iter().map(|other| (other.what, other.text.into_bytes())));
    bodies
}

/// Compares what is signed; nonce and timestamp are taken for the request's own.
fn compare(pasted: &Pasted, ours: &own::Own, auth: &str) -> Vec<Difference> {
    let value = |name: &str| ours.signed.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_bytes().to_vec());
    let ours_auth = value("auth").unwrap_or_default();
    let stable = |auth: &str| {
        let mut parts: Vec<&str> =
            auth.split(',').filter(|part| !part.starts_with("timestamp=") && !part.starts_with("nonce=")).collect();
        parts.sort_unstable();
        parts.join(",").into_bytes()
    };
    let pairs = [
        ("auth", Some(stable(auth)), Some(stable(&String::from_utf8_lossy(&ours_auth)))),
        ("method", Some(pasted.method.clone().into_bytes()), value("method")),
        ("path", Some(target(pasted)), value("path")),
        ("body", Some(pasted.body.clone()), value("body")),
        (
            "app_auth_token",
            pasted.header("alipay-app-auth-token").map(|token| token.as_bytes().to_vec()),
            value("app_auth_token"),
        ),
    ];
    let differing = pairs.into_iter().filter(|(_, pasted, ours)| pasted != ours);
    differing.map(|(name, pasted, ours)| Difference { name: name.to_owned(), pasted, ours }).collect()
}

fn remarks(account: &GatewayAccount, pasted: &Pasted, auth: &str, scheme: &str) -> Vec<Cause> {
    let mut remarks = Vec::new();
    if !scheme.is_empty() && scheme != SCHEME {
        let what = format!("the scheme of `Authorization` is {scheme:?}");
        remarks.push(Cause::new("other_scheme", what, format!("write {SCHEME}")));
    }
    let (identity, own) = account.identity();
    let named = auth.split(',').find_map(|part| part.trim().strip_prefix("app_id="));
    match named {
        Some(other) if other != own => {
            let what = format!("`{identity}` is {other:?}, this account's is {own:?}");
            remarks.push(Cause::new("other_caller", what, "name the account the request belongs to with --account"));
        }
        Some(_) => {}
        None => {
            remarks.push(Cause::new("parameter_missing", "the auth string names no `app_id`", "begin it with app_id=…"))
        }
    }
    for name in ["nonce", "timestamp"] {
        if !auth.split(',').any(|part| part.trim().starts_with(&format!("{name}="))) {
            let what = format!("the auth string has no `{name}`");
            remarks.push(Cause::new("parameter_missing", what, format!("add {name}=… and sign it")));
        }
    }
    if auth.split(',').find_map(|part| part.trim().strip_prefix("timestamp=")).is_some_and(|t| t.len() != 13) {
        let what = "`timestamp` does not have the 13 digits of milliseconds since 1970";
        remarks.push(Cause::new("timestamp_unit", what, "write milliseconds, not seconds and no date"));
    }
    if pasted.header("content-type").is_some_and(|kind| kind.contains("form")) {
        let what = "the body is declared a form, v3 takes JSON";
        remarks.push(Cause::new("other_content_type", what, "send Content-Type: application/json"));
    }
    remarks
}
