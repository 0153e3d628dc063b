//! A report for people: what is wrong first, what it was found in behind it.

use std::fmt::Write as _;

use crate::domain::reply::{Claim, Reply};
use crate::gateway::GatewayAccount;
use crate::gateway::diagnosis::own::Own;
use crate::gateway::diagnosis::pasted::Pasted;
use crate::gateway::diagnosis::request::Difference;
use crate::gateway::diagnosis::{Cause, Diagnosis, Verdict, answer, request};
use crate::ops::cli::explain::veil::visible;
use crate::ops::cli::explain::{Report, advice, curl, meaning};
use crate::signing::charset::Charset;

/// Bytes of a text that are shown; what is longer is no takedown, and its end is told.
const SHOWN: usize = 8 * 1024;

/// Characters of a signature that are shown in a list of parameters.
const SIGN_SHOWN: usize = 24;

/// Bytes shown on either side of a difference.
const AROUND: usize = 24;

pub(super) fn write(report: &Report<'_>) -> String {
    let mut page = Page { report, text: String::new() };
    page.account();
    if let Some((pasted, judged)) = &report.request {
        page.request(pasted, judged);
    }
    if let Some(judged) = &report.answer {
        page.answer(judged);
    }
    match &report.own {
        // What was pasted is compared with it already.
        Some(Ok(_)) if report.request.is_some() || report.answer.is_some() => {}
        Some(Ok(own)) => page.own(own),
        Some(Err(reply)) => page.unbuildable(reply),
        None => {}
    }
    page.text
}

/// One line on the account, such as `shops: open_platform v1, RSA2, utf-8, https://…`.
pub(super) fn account_line(report: &Report<'_>) -> String {
    let account = report.account;
    let endpoint = account.endpoint().url();
    let charset = account.charset().as_str();
    format!("{}: {}, {}, {charset}, {endpoint}", report.id, protocol(account), account.sign_type())
}

/// Names gateway and protocol.
pub(super) fn protocol(account: &GatewayAccount) -> &'static str {
    match account {
        GatewayAccount::Mapi(_) => "mapi",
        GatewayAccount::OpenPlatform(account) => match account.protocol {
            crate::gateway::open_platform::Protocol::V1 => "open_platform 1.0",
            crate::gateway::open_platform::Protocol::V3 => "open_platform v3",
        },
    }
}

struct Page<'a> {
    report: &'a Report<'a>,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        self.line(heading);
    }

    fn account(&mut self) {
        self.line(&format!("account  {}", account_line(self.report)));
        if let Some(item) = self.report.item {
            let label = visible(&item.label());
            self.line(&format!("item     {}", if label.is_empty() { "(no goods_id)" } else { &label }));
        }
    }

    fn own(&mut self, own: &Own) {
        let veil = &self.report.veil;
        let charset = self.report.account.charset();
        let rows =
            own.signed.iter().map(|(name, value)| (name.clone(), veil.value(name, value.as_bytes(), Charset::Utf8)));
        let rows: Vec<_> = rows.collect();
        self.heading("Signed, in this order");
        self.rows(&rows);
        if !own.left_out.is_empty() {
            self.heading("Left out");
            let rows: Vec<_> = own.left_out.iter().map(|(name, why)| ((*name).to_owned(), why.clone())).collect();
            self.rows(&rows);
        }
        self.bytes("Canonical string", &own.canonical, charset);
        self.heading(&format!("Signature ({})", self.report.account.sign_type()));
        self.line(&format!("  {}", own.sign));
        let command = curl::command(&own.request);
        let lines: Vec<String> = command.lines().map(|line| veil.text(line.as_bytes())).collect();
        let is_masked = lines.iter().any(|line| line.contains("***"));
        self.heading(if is_masked {
            "Request for curl (keys and tokens are masked, --reveal shows them; it acts: it takes the item off sale)"
        } else {
            "Request for curl (it acts: it takes the item off sale)"
        });
        lines.iter().for_each(|line| self.line(&format!("  {line}")));
    }

    fn unbuildable(&mut self, reply: &Reply) {
        let why = reply.message().or_else(|| reply.code().map(str::to_owned)).unwrap_or_default();
        self.heading("Nothing would be sent for this item");
        self.line(&format!("  {}", visible(&why)));
    }

    fn rows(&mut self, rows: &[(String, String)]) {
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().min(24);
        for (name, value) in rows {
            self.line(&format!("  {:width$}  {value}", self.report.veil.text(name.as_bytes())));
        }
    }

    /// Shows bytes that are or have to be signed.
    fn bytes(&mut self, title: &str, bytes: &[u8], charset: Charset) {
        let veil = &self.report.veil;
        let shown = bytes.len().min(SHOWN);
        // A little more is looked at, so that a secret the cut goes through is still covered.
        let looked_at = &bytes[..bytes.len().min(SHOWN + 1024)];
        let lines = veil.lines(looked_at, shown, charset);
        let hex = self.report.has_hex.then(|| dump(&veil.hex(looked_at, 0, shown), looked_at));
        self.heading(&format!("{title} ({} bytes, {})", bytes.len(), charset.as_str()));
        lines.iter().for_each(|line| self.line(&format!("  {line}")));
        if bytes.len() > shown {
            self.line(&format!("  … and {} bytes more", bytes.len() - shown));
        }
        if let Some(hex) = hex {
            self.heading(&format!("{title} in hex"));
            hex.iter().for_each(|line| self.line(&format!("  {line}")));
        }
    }

    fn request(&mut self, pasted: &Pasted, judged: &request::Judged) {
        self.verdict("The request's signature", &judged.diagnosis);
        if let Some(signed) = judged.diagnosis.signed.as_ref().filter(|signed| **signed != judged.canonical) {
            self.signed(signed, &judged.canonical, judged.charset);
        }
        if !judged.remarks.is_empty() {
            self.heading("Besides");
            self.causes(&judged.remarks);
        }
        if let Some(differences) = &judged.differences {
            self.differences(differences, judged.charset);
        }
        self.bytes("What its signature has to cover", &judged.canonical, judged.charset);
        match judged.diagnosis.verdict {
            // What was found out says enough, and should not be pushed off the screen.
            Verdict::Right | Verdict::Wrong => {}
            Verdict::Unexplained | Verdict::Unsigned => self.parameters(pasted, judged),
        }
    }

    /// Lists a request as it was read, in the order of the wire.
    fn parameters(&mut self, pasted: &Pasted, judged: &request::Judged) {
        let veil = &self.report.veil;
        let place = if pasted.path.is_empty() { String::new() } else { format!(": {} {}", pasted.method, pasted.path) };
        let rows: Vec<_> = judged
            .fields
            .iter()
            .map(|field| {
                let name = String::from_utf8_lossy(&field.name).into_owned();
                let value = veil.value(&name, &field.value[..field.value.len().min(SHOWN)], judged.charset);
                let length = value.chars().count();
                let value = if name == "sign" && length > 2 * SIGN_SHOWN {
                    let begin: String = value.chars().take(SIGN_SHOWN).collect();
                    format!("{begin}… ({length} characters)")
                } else {
                    value
                };
                (name, format!("{:6} {value}", field.place.as_str()))
            })
            .collect();
        let title = format!("The request, read as {}{}", pasted.read_as, veil.text(place.as_bytes()));
        self.heading(&title);
        self.rows(&rows);
    }

    fn differences(&mut self, differences: &[Difference], charset: Charset) {
        self.heading("Compared with what takedown would send for the item");
        if differences.is_empty() {
            self.line("  the same parameters with the same values");
        }
        for difference in differences {
            let name = self.report.veil.text(difference.name.as_bytes());
            let value = |value: &[u8]| self.report.veil.value(&difference.name, value, charset);
            match (&difference.pasted, &difference.ours) {
                (None, Some(ours)) => {
                    let line = format!("  {name} is missing; takedown sends {}", value(ours));
                    self.line(&line);
                }
                (Some(pasted), None) => {
                    let line = format!("  {name} is extra: {}", value(pasted));
                    self.line(&line);
                }
                (Some(pasted), Some(ours)) => {
                    let at = difference.at();
                    self.line(&format!("  {name} differs from byte {} on", at + 1));
                    if self.report.veil.is_covered(&difference.name, pasted, at)
                        || self.report.veil.is_covered(&difference.name, ours, at)
                    {
                        self.line("    pasted  *** (--reveal shows it)");
                        self.line("    ours    ***");
                    } else {
                        self.around("pasted", pasted, at, charset);
                        self.around("ours", ours, at, charset);
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// Shows a text around a position, as text and in hex from there on.
    fn around(&mut self, whose: &str, bytes: &[u8], at: usize, charset: Charset) {
        let veil = &self.report.veil;
        // What is beyond is not shown, and need not be looked through for secrets.
        let bytes = &bytes[..bytes.len().min(at + SHOWN)];
        // Not through the middle of a character, wherever that can be helped.
        let at = (at.saturating_sub(3)..=at).rev().find(|at| charset.decode(&bytes[..*at]).is_some()).unwrap_or(at);
        let from = at.saturating_sub(AROUND);
        let from = (from.saturating_sub(3)..=from).rev().find(|from| charset.decode(&bytes[*from..at]).is_some());
        let from = from.unwrap_or(at.saturating_sub(AROUND));
        let to = (at + AROUND).min(bytes.len());
        let to = (to..=(to + 3).min(bytes.len())).find(|to| charset.decode(&bytes[at..*to]).is_some()).unwrap_or(to);
        let dots = |is_cut: bool| if is_cut { "…" } else { "" };
        let line = format!(
            "    {whose:6}  {}{}▸{}{}",
            dots(from > 0),
            veil.window(bytes, from, at, charset),
            veil.window(bytes, at, to, charset),
            dots(to < bytes.len())
        );
        let hex = veil.hex(bytes, at, bytes.len().min(at + 16)).join(" ");
        let hex = if hex.is_empty() { "(it ends here)".to_owned() } else { hex };
        self.line(&line);
        self.line(&format!("            {hex}"));
    }

    /// Shows what was really signed where it first differs from what has to be.
    fn signed(&mut self, signed: &[u8], canonical: &[u8], charset: Charset) {
        let at = request::first_difference(signed, canonical);
        self.heading(&format!("What was signed instead: {} bytes, different from byte {} on", signed.len(), at + 1));
        let veil = &self.report.veil;
        if veil.is_covered("", signed, at) || veil.is_covered("", canonical, at) {
            self.line("    *** (the difference lies in a secret; --reveal shows it)");
            return;
        }
        self.around("signed", signed, at, charset);
        self.around("right", canonical, at, charset);
        if self.report.has_hex {
            self.bytes("What was signed instead", signed, charset);
        }
    }

    /// Compares what the gateway says it verified with what was signed.
    fn quoted(&mut self, quoted: &[u8]) {
        let charset = self.report.account.charset();
        self.bytes("The gateway quotes the string it verified", quoted, charset);
        let Some((whose, ours)) = counterpart(self.report, quoted) else {
            self.line("  give the request or the item too, and the two are compared");
            return;
        };
        if ours == quoted {
            self.line(&format!("  it is the very string that {whose}: look at key and algorithm, not at the string"));
            return;
        }
        let at = request::first_difference(quoted, &ours);
        self.line(&format!("  it differs from the string that {whose}, from byte {} on", at + 1));
        self.around("quoted", quoted, at, charset);
        self.around("signed", &ours, at, charset);
    }

    fn verdict(&mut self, whose: &str, diagnosis: &Diagnosis) {
        let word = match diagnosis.verdict {
            Verdict::Right if diagnosis.causes.is_empty() => "RIGHT: it verifies",
            Verdict::Right | Verdict::Wrong => "WRONG",
            Verdict::Unexplained => "WRONG, and not all of why could be found out",
            Verdict::Unsigned => "NONE",
        };
        self.heading(&format!("{whose}: {word}"));
        self.causes(&diagnosis.causes);
        for certain in &diagnosis.certain {
            self.line(&format!("  certain: {}", visible(certain)));
        }
        for step in advice::steps(self.report, &diagnosis.next) {
            self.line(&format!("  to do: {step}"));
        }
    }

    fn causes(&mut self, causes: &[Cause]) {
        for (number, cause) in causes.iter().enumerate() {
            let what = self.report.veil.text(cause.what.as_bytes());
            self.line(&format!("  {}. {what} [{}]", number + 1, cause.name));
            self.line(&format!("     what to do: {}", self.report.veil.text(cause.remedy.as_bytes())));
        }
    }

    fn answer(&mut self, judged: &answer::Judged) {
        let gateway = self.report.account.gateway();
        let veil = &self.report.veil;
        let claim = veil.text(meaning::claim(&judged.answer).as_bytes());
        self.verdict("The answer's signature", &judged.diagnosis);
        if let (Some(signed), Some(covered)) = (&judged.diagnosis.signed, &judged.covered)
            && signed != covered
        {
            self.signed(signed, covered, self.report.account.charset());
        }
        self.heading(&format!("The answer (HTTP {})", judged.answer.http_status));
        self.line(&format!("  says    {claim}"));
        match meaning::row(gateway, &judged.answer) {
            Some(row) => {
                let sub_code = row.sub_code.map(|sub_code| format!(" {sub_code}")).unwrap_or_default();
                let mut lines = String::new();
                write!(
                    lines,
                    "  code    {}{sub_code}: {}\n  class   {}\n  source  {}",
                    row.code,
                    row.meaning,
                    meaning::class(row.class),
                    row.source
                )
                .expect("invariant: a String takes all");
                self.line(&lines);
            }
            None if matches!(judged.answer.claim, Claim::Success { .. }) => {}
            None => self.line("  code    none that a table lists"),
        }
        self.line(&format!("  worker  {}", meaning::next(gateway, &judged.answer, self.report.retry)));
        if let Some(quoted) = &judged.quoted {
            self.quoted(quoted);
        }
        if let Some(covered) = &judged.covered {
            let title = format!("What its signature has to cover: {}", judged.covers);
            self.bytes(&title, covered, self.report.account.charset());
        }
    }
}

/// Returns the string to compare a quoted one with: the pasted request's, else ours at the quoted moment.
pub(super) fn counterpart(report: &Report<'_>, quoted: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    if let Some((_, judged)) = &report.request {
        let signed = judged.diagnosis.signed.as_ref().unwrap_or(&judged.canonical);
        return Some(("the request's signature covers", signed.clone()));
    }
    let own = report.own.as_ref()?.as_ref().ok()?;
    let moment = |bytes: &[u8]| {
        let at = bytes.windows(10).position(|window| window == b"timestamp=")? + 10;
        Some(at..bytes.iter().skip(at).position(|byte| *byte == b'&').map_or(bytes.len(), |end| at + end))
    };
    let mut ours = own.canonical.clone();
    if let (Some(mine), Some(theirs)) = (moment(&ours), moment(quoted)) {
        ours.splice(mine, quoted[theirs].iter().copied());
    }
    Some(("takedown would sign at that moment", ours))
}

/// Lays hex out in lines of sixteen bytes, their position before and their text behind them.
fn dump(hex: &[String], bytes: &[u8]) -> Vec<String> {
    let glyph = |(hex, byte): (&String, &u8)| match byte {
        _ if hex == "**" => '*',
        byte if byte.is_ascii_graphic() || *byte == b' ' => char::from(*byte),
        _ => '.',
    };
    let line = |(number, (hex, bytes)): (usize, (&[String], &[u8]))| {
        let text: String = hex.iter().zip(bytes).map(glyph).collect();
        format!("{:06x}  {:47}  {text}", number * 16, hex.join(" "))
    };
    hex.chunks(16).zip(bytes.chunks(16)).enumerate().map(line).collect()
}
