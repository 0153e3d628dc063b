//! The run's directory, gone with the run however that ends: a shell that reads a pipe from here removes it.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

/// After a word at once; without one the driver was ended, and its processes are just being killed.
const SWEEPER: &str = r#"read -r word || sleep 1; rm -rf "$0""#;

/// A directory for files.
pub(crate) struct Ground {
    path: PathBuf,
    sweeper: Child,
}

impl Ground {
    pub(crate) fn new() -> Result<Self> {
        let path = tempfile::Builder::new().prefix("takedown-bench-").tempdir()?.keep();
        let sweeper = Command::new("sh")
            .args(["-c", SWEEPER])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { path, sweeper })
    }

    /// Returns a new, empty directory.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = self.path.join(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Removes all directories but one.
    pub(crate) fn clear_but(&self, kept: &Path) -> Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path != kept {
                fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let told = self.sweeper.stdin.take().map_or(Ok(()), |mut pipe| writeln!(pipe, "done"));
        if let Err(error) = told.and_then(|()| self.sweeper.wait().map(drop)) {
            eprintln!("{} may be left: {error}", self.path.display());
        }
    }
}
