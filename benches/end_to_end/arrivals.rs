//! When calls came to the gateway, and by which span: noted in its process, read in the driver.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use hyper::header::HeaderValue;

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// When its head was read, since 1970.
    pub(crate) at: Duration,
    /// The span that made it, as hexadecimal digits; empty without one.
    pub(crate) span: String,
}

/// The calls of one gateway.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Mutex<Vec<Arrival>>);

impl Arrivals {
    /// Notes one that came now. A `traceparent` is `version-trace-span-flags` (W3C Trace Context, section 3.2).
    pub(crate) fn note(&self, traceparent: Option<&HeaderValue>) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let span = traceparent.and_then(|text| text.to_str().ok()?.split('-').nth(2)).unwrap_or_default().to_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { at, span });
    }

    /// Writes all of them down.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        for Arrival { at, span } in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            writeln!(text, "{},{span}", at.as_nanos())?;
        }
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}

impl Arrival {
    /// Reads what was written down, in the order of coming.
    pub(crate) fn read(path: &Path) -> Result<Vec<Self>> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut arrivals = text.lines().map(Self::parse).collect::<Result<Vec<_>>>()?;
        arrivals.sort_by_key(|arrival| arrival.at);
        Ok(arrivals)
    }

    fn parse(line: &str) -> Result<Self> {
        let (at, span) = line.split_once(',').context(line.to_owned())?;
        Ok(Self { at: Duration::from_nanos(at.parse()?), span: span.to_owned() })
    }
}
