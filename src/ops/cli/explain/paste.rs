//! Pasted texts: from a file or stdin, bounded, and read for what they are.

use std::io::Read;
use std::path::Path;

use crate::gateway::diagnosis::answer;
use crate::gateway::diagnosis::pasted::{self, PasteError, Pasted};
use crate::gateway::http::HttpAnswer;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;

/// Stdin, which can be read for one thing only.
pub(super) struct Stdin(());

pub(super) fn request(file: &Path, stdin: &Stdin) -> Result<Pasted, Failure> {
    let text = stdin.read(file, "--request", pasted::MAX_BYTES)?;
    Pasted::read(&text).map_err(|error| refused("request", &error))
}

pub(super) fn answer(file: &Path, stdin: &Stdin) -> Result<HttpAnswer, Failure> {
    let text = stdin.read(file, "--answer", answer::MAX_BYTES)?;
    answer::read(&text).map_err(|error| refused("answer", &error))
}

fn refused(what: &str, error: &PasteError) -> Failure {
    Failure::new(Exit::Usage, format!("the pasted {what} cannot be used: {error}"))
}

impl Stdin {
    /// Takes stdin for at most one of several options.
    pub(super) fn for_one_of(options: [Option<&Path>; 3]) -> Result<Self, Failure> {
        if options.into_iter().flatten().filter(|file| file.as_os_str() == "-").count() > 1 {
            let problem = "stdin can be read for one of --request, --answer and --item";
            return Err(Failure::new(Exit::Usage, problem).remedy("put one of the two into a file"));
        }
        Ok(Self(()))
    }

    /// Reads a file, or stdin for `-`; one byte beyond the limit is enough to be told too large.
    pub(super) fn read(&self, file: &Path, option: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        let limit = limit as u64 + 1;
        let read = if file.as_os_str() == "-" {
            std::io::stdin().lock().take(limit).read_to_end(&mut text)
        } else {
            std::fs::File::open(file).and_then(|open| open.take(limit).read_to_end(&mut text))
        };
        match read {
            Ok(_) => Ok(text),
            Err(error) => {
                Err(Failure::new(Exit::Usage, format!("{option} {} cannot be read: {error}", file.display()))
                    .remedy("name a file that holds the text, or - to paste it and end with Ctrl-D"))
            }
        }
    }
}
