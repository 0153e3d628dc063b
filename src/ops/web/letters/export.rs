//! Letters as a file: JSON lines or CSV, secrets masked.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::clock;
use crate::domain::classify::Effect;
use crate::domain::takedown::rfc3339;
use crate::ops::mask;
use crate::ops::web::Shared;
use crate::ops::web::fields::Fields;
use crate::ops::web::letters::filter;
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::source::with_letters;
use crate::ops::web::visitor::Visitor;
use crate::queue::DeadLetter;

/// Largest export, in bytes; it is put together in memory. The command line's has no bound.
const LARGEST: usize = 64 * 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Csv,
}

/// `GET /letters/export`.
pub(super) async fn send(State(shared): State<Shared>, visitor: Visitor, request: Request) -> Response {
    let fields = Fields::read(request.uri().query().unwrap_or_default().as_bytes());
    let form = if fields.get("as") == Some("csv") { Form::Csv } else { Form::Lines };
    match write(&shared, &fields, form).await {
        Ok(bytes) => {
            let (kind, name) = match form {
                Form::Lines => ("application/jsonl; charset=utf-8", "attachment; filename=\"dead-letters.jsonl\""),
                Form::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"dead-letters.csv\""),
            };
            ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], bytes).into_response()
        }
        Err(problem) => problem.page(&visitor),
    }
}

async fn write(shared: &Shared, fields: &Fields, form: Form) -> Result<Vec<u8>, Problem> {
    let filter = filter::read(fields, clock::now())?;
    let mut bytes = match form {
        Form::Lines => Vec::new(),
        Form::Csv => csv_row(&HEAD.map(str::to_owned)),
    };
    let mut see = |letter: DeadLetter| {
        if bytes.len() <= LARGEST {
            bytes.extend(match form {
                Form::Lines => json_line(&letter),
                Form::Csv => csv_row(&cells(&letter)),
            });
        }
    };
    let letters = shared.desk.letters().await?;
    with_letters!(letters, desk => desk.export(&filter, &mut see).await)?;
    if bytes.len() > LARGEST {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Phrase::LargeExport, Phrase::LargeExportRemedy));
    }
    Ok(bytes)
}

fn json_line(letter: &DeadLetter) -> Vec<u8> {
    let outcome = &letter.outcome;
    let line = json!({
        "id": letter.id,
        "account": letter.account,
        "batch": outcome.batch,
        "reason": letter.reason.as_str(),
        "meaning": letter.reason.explain(),
        "gateway_code": outcome.gateway_code,
        "gateway_message": outcome.gateway_message,
        "attempts": outcome.attempts,
        "deferrals": outcome.deferrals,
        "replays": outcome.replays,
        "may_have_taken_effect": letter.envelope.effect == Effect::Possible,
        "first_seen": rfc3339(outcome.first_seen),
        "died_at": rfc3339(letter.died_at),
        "message": mask::body(&letter.body),
    });
    format!("{line}\n").into_bytes()
}

const HEAD: [&str; 12] = [
    "id",
    "account",
    "batch",
    "reason",
    "gateway_code",
    "gateway_message",
    "attempts",
    "deferrals",
    "replays",
    "first_seen",
    "died_at",
    "message",
];

fn cells(letter: &DeadLetter) -> [String; 12] {
    let outcome = &letter.outcome;
    let shown = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        letter.id.clone(),
        letter.account.clone(),
        shown(&outcome.batch),
        letter.reason.to_string(),
        shown(&outcome.gateway_code),
        shown(&outcome.gateway_message),
        outcome.attempts.to_string(),
        outcome.deferrals.to_string(),
        outcome.replays.to_string(),
        rfc3339(outcome.first_seen),
        rfc3339(letter.died_at),
        mask::body(&letter.body).to_string(),
    ]
}

/// Every cell in quotes (RFC 4180); what a spreadsheet would take for a formula is kept from being one.
fn csv_row(cells: &[String; 12]) -> Vec<u8> {
    let quoted = cells.iter().map(|cell| {
        let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    });
    format!("{}\r\n", quoted.collect::<Vec<_>>().join(",")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_neither_broken_out_of_nor_a_formula() {
        let mut row = HEAD.map(|_| String::new());
        row[0] = "=HYPERLINK(\"x\")".into();
        row[1] = "a,\"b\"\r\nc".into();
        let text = String::from_utf8(csv_row(&row)).unwrap();
        assert!(text.starts_with("\"'=HYPERLINK(\"\"x\"\")\",\"a,\"\"b\"\"\r\nc\",\"\""), "{text}");
    }
}
