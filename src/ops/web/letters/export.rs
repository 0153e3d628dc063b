//! Letters as a file: JSON lines or CSV, secrets masked.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::clock;
use crate::ops::letters;
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
        Form::Csv => csv_row(&letters::COLUMNS.map(str::to_owned)),
    };
    let mut see = |letter: DeadLetter| {
        if bytes.len() <= LARGEST {
            bytes.extend(match form {
                Form::Lines => format!("{}\n", letters::json_of(&letter)).into_bytes(),
                Form::Csv => csv_row(&letters::cells(&letter)),
            });
        }
    };
    let opened = shared.desk.letters().await?;
    shared.desk.judge(with_letters!(opened, desk => desk.export(&filter, &mut see).await)).await?;
    if bytes.len() > LARGEST {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Phrase::LargeExport, Phrase::LargeExportRemedy));
    }
    Ok(bytes)
}

/// Every cell in quotes (RFC 4180).
fn csv_row(cells: &[String]) -> Vec<u8> {
    let quoted = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
    format!("{}\r\n", quoted.collect::<Vec<_>>().join(",")).into_bytes()
}
