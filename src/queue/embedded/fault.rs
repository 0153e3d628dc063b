//! What SQLite reports, as an error that names the file and what to do about it.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::queue::QueueError;

/// Names the file and, where it is known, the remedy; `action` is the participle of [`QueueError::Database`].
pub(super) fn named(path: &Path, action: &'static str, source: Error) -> QueueError {
    if is_damage(&source) {
        return refused(path, damaged(&source.to_string()));
    }
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => refused(
            path,
            "its disk is full; free some space, then run the same command again: all that was accepted is kept".into(),
        ),
        Some(ErrorCode::ReadOnly) => refused(path, "may not be written by this user; mend its permissions".to_owned()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            refused(path, "is locked by another program, such as a database browser; close it".to_owned())
        }
        _ => QueueError::Database { path: path.display().to_string(), action, source },
    }
}

/// Says whether file or disk are at fault, and not the one statement.
pub(super) fn is_of_the_file(error: &Error) -> bool {
    is_damage(error)
        || matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
            )
        )
}

/// Pages that make no sense, a value this program never wrote, or a schema its statements do not fit.
fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::InvalidColumnType(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
    ) || matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
    )
}

/// Words the damage and what is left to do.
pub(super) fn damaged(detail: &str) -> String {
    format!(
        "is damaged ({detail}) and stays as it is; put back a copy, or move it away and start again from the items: \
         repeating a takedown does no harm (`sqlite3 FILE .dump` shows what can still be read)"
    )
}

/// Builds the error for a file that is not worked on.
pub(super) fn refused(path: &Path, problem: String) -> QueueError {
    QueueError::File { path: path.display().to_string(), problem }
}
