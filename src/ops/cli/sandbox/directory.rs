//! The directory of a rehearsal: the set-up, the caller's keys, a configuration and items; written once, used again.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::domain::takedown::{Item, Takedown};
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::cli::rehearsal::{self, Pace, unwritable, write_secret};
use crate::sandbox::Sandbox;
use crate::sandbox::mix::Mix;
use crate::sandbox::setup::{FILE_NAME, Setup};
use crate::signing::SignType;

/// A directory kept by the person, or one that goes with the process.
#[derive(Debug)]
pub(super) enum Directory {
    Kept(PathBuf),
    Passing(TempDir),
}

impl Directory {
    /// Opens or creates it.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            Some(path) => {
                fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
                Ok(Self::Kept(path.to_owned()))
            }
            None => TempDir::with_prefix("takedown-sandbox-")
                .map(Self::Passing)
                .map_err(|error| unwritable(&std::env::temp_dir(), &error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(directory) => directory.path(),
        }
    }

    /// Reads the set-up kept here, or makes and keeps a new one.
    pub(super) fn setup(&self) -> Result<Setup, Failure> {
        let unusable = |error: crate::sandbox::setup::SetupError| {
            Failure::new(Exit::Configuration, format!("{}: {}", self.path().display(), chain(&error)))
        };
        let file = self.path().join(FILE_NAME);
        if file.is_file() {
            let text = fs::read_to_string(&file).map_err(|error| {
                Failure::new(Exit::Configuration, format!("{} cannot be read: {error}", file.display()))
            })?;
            return Setup::from_text(&text).map_err(unusable);
        }
        let setup = Setup::generate(SignType::Rsa).map_err(unusable)?;
        write_secret(&file, setup.to_text().expose())?;
        Ok(setup)
    }

    /// Writes what is not there yet; returns a line on each thing a person should know.
    pub(super) fn write_callers_side(
        &self,
        setup: &Setup,
        sandbox: &Sandbox,
        mix: &Mix,
    ) -> Result<Vec<String>, Failure> {
        let path = self.path();
        rehearsal::write_keys(path, setup)?;
        let mut notes = Vec::new();
        let config = path.join("takedown.toml");
        match fs::read_to_string(&config) {
            Ok(text) if text.contains(&sandbox.mapi_url()) => {}
            Ok(_) => notes.push(format!(
                "{} names other addresses; mend its endpoints, or remove it to have it written anew",
                config.display()
            )),
            Err(_) => {
                let text =
                    rehearsal::configuration(setup, sandbox, &pace()) + &rehearsal::v3_account(setup, sandbox, &pace());
                fs::write(&config, text).map_err(|error| unwritable(&config, &error))?;
            }
        }
        let items = path.join("items.csv");
        if !items.is_file() {
            // Binding keys are in it.
            write_secret(&items, &csv_of(&mix.takedowns)?)?;
        }
        notes.push(format!("files          {}: keys, takedown.toml, items.csv", path.display()));
        Ok(notes)
    }
}

/// A rehearsal's waits are short, so that one sees something happen.
fn pace() -> Pace {
    Pace {
        rate: "50/s".to_owned(),
        delays: &["1s", "2s", "5s"],
        rungs: &["1s", "2s", "5s", "30s", "2m"],
        max_attempts: 6,
        total_timeout: "3s",
        cool_down: "1s",
        first_probe: "2s",
    }
}

/// Writes takedowns as the table `enqueue` and `run` read; without their batch, so that each `enqueue` makes one.
fn csv_of(takedowns: &[Takedown]) -> Result<String, Failure> {
    let header = [
        "id",
        "account",
        "gateway",
        "sns_user_id",
        "key",
        "close_reason",
        "goods_id",
        "commodity_id",
        "shop_id",
        "merchant",
    ];
    let unwritten = |error: &dyn std::error::Error| Failure::new(Exit::Unexpected, chain(error));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(|error| unwritten(&error))?;
    for takedown in takedowns {
        let first = [takedown.id.as_str(), takedown.account.as_str(), takedown.item.gateway().as_str()];
        let rest = match &takedown.item {
            Item::Mapi(item) => [
                item.sns_user_id.as_str(),
                item.key.expose(),
                item.close_reason.as_deref().unwrap_or_default(),
                item.goods_id.as_deref().unwrap_or_default(),
                "",
                "",
                "",
            ],
            Item::OpenPlatform(item) => {
                let merchant = item.merchant.as_ref().map_or("", |merchant| merchant.as_str());
                ["", "", "", "", item.commodity_id.as_str(), item.shop_id.as_str(), merchant]
            }
        };
        writer.write_record(first.iter().chain(&rest)).map_err(|error| unwritten(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| unwritten(&error))?;
    String::from_utf8(bytes).map_err(|error| unwritten(&error))
}
