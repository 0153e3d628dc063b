//! What goes wrong: by a script, by rates, or both, and how people write it down.
//!
//! On a command line a fault has a rate: `system_error=0.05`, `timeout:taken=0.01`, `latency:200ms=0.1`. In a file it is
//! a line of JSON: `{"item":"2011063000011840","fault":"reset:taken"}` is played once, for that item;
//! `{"fault":"garbage"}` once, for the next request; `{"fault":null}` lets one request pass; `{"fault":"gbk","rate":0.1}`
//! is a rate. Promise: what cannot be understood is refused with the list of what can, before anything starts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One thing that goes wrong with a request.
///
/// Faults meet authentic requests only: one that the gateway would refuse is refused whatever the faults say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `SYSTEM_ERROR`, and the call took effect or did not.
    SystemError(Effect),
    /// No answer within [`crate::sandbox::SILENCE`]; took effect or not.
    Timeout(Effect),
    /// The connection is reset after the request was read; took effect or not.
    Reset(Effect),
    /// An answer that is no document; the call was carried out.
    Garbage,
    /// A success without a signature, whatever the item's state; an item on sale is taken down.
    UnsignedSuccess,
    /// A success with a wrong signature, whatever the item's state; an item on sale is taken down.
    BadSignature,
    /// 40005 on the Open Platform, HTTP 429 on mapi and with protocol v3; no effect.
    Throttled,
    /// The answer is GBK, whatever was asked. Protocol v3 has UTF-8 only, so there nothing happens.
    Gbk,
    /// The answer takes this much longer.
    Latency(Duration),
    /// An unlisted code; no effect.
    UnlistedCode,
    /// `isv.invalid-signature` or `ILLEGAL_SIGN`, as if the key were wrong; no effect.
    IllegalSign,
    /// The answer names a certificate nobody has, as after the platform replaced its own; none to callers without one.
    UnknownCertificate,
}

/// Whether a faulty call takes the item off sale all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Taken,
    /// It does not.
    NotTaken,
    /// A coin decides, by the sandbox's seed.
    Either,
}

/// Faults to play.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Played first, one an incoming request that matches (`item` `None` matches any), each once, in order.
    pub script: Vec<Scripted>,
    /// Drawn per request afterwards: probability 0..1 of each; their sum is at most 1.
    pub rates: Vec<(Fault, f64)>,
}

/// One entry of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripted {
    /// The item it waits for (`goods_id`, or `commodity_id@shop_id`), or any.
    pub item: Option<String>,
    /// What happens then; `None` lets one request pass untouched.
    pub fault: Option<Fault>,
}

/// The words a fault may be written with.
pub const WORDS: &str = "system_error, timeout, reset (each also with :taken or :not_taken), garbage, unsigned_success, \
                         bad_signature, throttled, gbk, latency:DURATION (latency:200ms), unlisted_code, illegal_sign, \
                         unknown_certificate";

/// Says what of a fault's text cannot be understood, and what can.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// No such fault.
    #[error("{word:?} is no fault; the faults are {WORDS}")]
    Unknown {
        /// What was written.
        word: String,
    },
    /// The part after the colon does not belong to this fault.
    #[error("{word:?}: {problem}")]
    Detail {
        /// What was written.
        word: String,
        /// What is wrong and what would do.
        problem: &'static str,
    },
    /// No rate, or one outside 0..1.
    #[error("{word:?} needs a rate from 0 to 1, such as system_error=0.05")]
    Rate {
        /// What was written.
        word: String,
    },
    /// More faults than requests.
    #[error("the rates add up to {sum}; they may add up to 1 at most")]
    Sum {
        /// What they add up to.
        sum: f64,
    },
    /// A line of a file is no entry.
    #[error("line {line}: {problem}; expected such as {{\"item\":\"2011063000011840\",\"fault\":\"reset:taken\"}}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What the parser met.
        problem: String,
    },
    /// A line of a file names a fault that is none.
    #[error("line {line}")]
    Entry {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: Box<FaultError>,
    },
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => ":taken",
            Self::NotTaken => ":not_taken",
            Self::Either => "",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemError(effect) => write!(f, "system_error{effect}"),
            Self::Timeout(effect) => write!(f, "timeout{effect}"),
            Self::Reset(effect) => write!(f, "reset{effect}"),
            Self::Garbage => f.write_str("garbage"),
            Self::UnsignedSuccess => f.write_str("unsigned_success"),
            Self::BadSignature => f.write_str("bad_signature"),
            Self::Throttled => f.write_str("throttled"),
            Self::Gbk => f.write_str("gbk"),
            Self::Latency(time) => write!(f, "latency:{}ms", time.as_millis()),
            Self::UnlistedCode => f.write_str("unlisted_code"),
            Self::IllegalSign => f.write_str("illegal_sign"),
            Self::UnknownCertificate => f.write_str("unknown_certificate"),
        }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(word: &str) -> Result<Self, FaultError> {
        let (name, detail) = word.split_once(':').map_or((word, None), |(name, detail)| (name, Some(detail)));
        let plain = |fault: Self| match detail {
            None => Ok(fault),
            Some(_) => {
                Err(FaultError::Detail { word: word.to_owned(), problem: "this fault has nothing after a colon" })
            }
        };
        match name {
            "system_error" => Ok(Self::SystemError(effect(word, detail)?)),
            "timeout" => Ok(Self::Timeout(effect(word, detail)?)),
            "reset" => Ok(Self::Reset(effect(word, detail)?)),
            "garbage" => plain(Self::Garbage),
            "unsigned_success" => plain(Self::UnsignedSuccess),
            "bad_signature" => plain(Self::BadSignature),
            "throttled" => plain(Self::Throttled),
            "gbk" => plain(Self::Gbk),
            "latency" => Ok(Self::Latency(latency(word, detail)?)),
            "unlisted_code" => plain(Self::UnlistedCode),
            "illegal_sign" => plain(Self::IllegalSign),
            "unknown_certificate" => plain(Self::UnknownCertificate),
            _ => Err(FaultError::Unknown { word: word.to_owned() }),
        }
    }
}

fn effect(word: &str, detail: Option<&str>) -> Result<Effect, FaultError> {
    match detail {
        None => Ok(Effect::Either),
        Some("taken") => Ok(Effect::Taken),
        Some("not_taken") => Ok(Effect::NotTaken),
        Some(_) => Err(FaultError::Detail { word: word.to_owned(), problem: "say :taken, :not_taken or neither" }),
    }
}

fn latency(word: &str, detail: Option<&str>) -> Result<Duration, FaultError> {
    let time = detail.and_then(|text| text.parse::<jiff::SignedDuration>().ok()).and_then(|time| time.try_into().ok());
    time.ok_or_else(|| FaultError::Detail { word: word.to_owned(), problem: "say how long, such as latency:200ms" })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    fault: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
}

impl Faults {
    /// Reads rates as a command line has them (`system_error=0.05`) and a file of JSON lines; either may be empty.
    ///
    /// # Errors
    /// [`FaultError`], naming the word or the line; a retry cannot help.
    pub fn parse<'a>(rates: impl IntoIterator<Item = &'a str>, file: &str) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        for word in rates {
            faults.rates.push(rate(word)?);
        }
        let file = file.trim_start_matches('\u{feff}');
        for (index, text) in file.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            faults.read_line(index + 1, text)?;
        }
        let sum: f64 = faults.rates.iter().map(|(_, rate)| rate).sum();
        // 0.1 ten times is a little more than 1 in binary.
        if sum > 1.0 + 1e-9 { Err(FaultError::Sum { sum }) } else { Ok(faults) }
    }

    fn read_line(&mut self, line: usize, text: &str) -> Result<(), FaultError> {
        let refused = |problem: String| FaultError::Line { line, problem };
        let entry: Line = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        let fault = entry.fault.map(|word| word.parse::<Fault>()).transpose();
        let fault = fault.map_err(|source| FaultError::Entry { line, source: Box::new(source) })?;
        match (entry.rate, entry.item, fault) {
            (None, item, fault) => self.script.push(Scripted { item, fault }),
            (Some(rate), None, Some(fault)) if (0.0..=1.0).contains(&rate) => self.rates.push((fault, rate)),
            (Some(_), None, Some(_)) => return Err(refused("`rate` must be from 0 to 1".into())),
            (Some(_), ..) => return Err(refused("`rate` goes with a `fault` and without an `item`".into())),
        }
        Ok(())
    }
}

impl fmt::Display for Faults {
    /// Writes the file that [`Faults::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let played = self.script.iter().map(|entry| Line {
            item: entry.item.clone(),
            fault: entry.fault.as_ref().map(Fault::to_string),
            rate: None,
        });
        let drawn = self.rates.iter().map(|(fault, rate)| Line {
            item: None,
            fault: Some(fault.to_string()),
            rate: Some(*rate),
        });
        for line in played.chain(drawn) {
            let text = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
            writeln!(f, "{text}")?;
        }
        Ok(())
    }
}

fn rate(word: &str) -> Result<(Fault, f64), FaultError> {
    let refused = || FaultError::Rate { word: word.to_owned() };
    let Some((name, number)) = word.split_once('=') else {
        // A misspelt fault is the more helpful thing to hear about.
        return Err(word.parse::<Fault>().err().unwrap_or_else(refused));
    };
    let fault = name.trim().parse()?;
    let rate: f64 = number.trim().parse().map_err(|_| refused())?;
    if (0.0..=1.0).contains(&rate) { Ok((fault, rate)) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_the_command_line_writes_them() {
        let words = ["system_error=0.05", "timeout:taken=0.01", "latency:200ms=0.1", "gbk=1e-3"];
        let faults = Faults::parse(words, "").unwrap();
        let expected = vec![
            (Fault::SystemError(Effect::Either), 0.05),
            (Fault::Timeout(Effect::Taken), 0.01),
            (Fault::Latency(Duration::from_millis(200)), 0.1),
            (Fault::Gbk, 0.001),
        ];
        assert_eq!(faults.rates, expected);
    }

    #[test]
    fn a_file_mixes_script_and_rates_and_survives_being_written() {
        let file = "\u{feff}{\"item\":\"c@s\",\"fault\":\"reset:not_taken\"}\n\n{\"fault\":null}\r\n{\"fault\":\"garbage\",\"rate\":0.25}\n";
        let faults = Faults::parse([], file).unwrap();
        assert_eq!(faults.script.len(), 2);
        assert_eq!(faults.script[0].fault, Some(Fault::Reset(Effect::NotTaken)));
        assert_eq!(faults.rates, vec![(Fault::Garbage, 0.25)]);
        assert_eq!(Faults::parse([], &faults.to_string()).unwrap(), faults);
    }

    #[test]
    fn a_misspelt_fault_is_answered_with_the_list() {
        for word in ["sytem_error=0.1", "sytem_error"] {
            let text = Faults::parse([word], "").unwrap_err().to_string();
            assert!(text.contains("sytem_error") && text.contains("unsigned_success"), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for word in ["garbage", "garbage=", "garbage=2", "garbage=-0.1", "garbage=NaN", "garbage=x"] {
            assert_eq!(Faults::parse([word], "").unwrap_err(), FaultError::Rate { word: word.into() });
        }
        for word in ["garbage:taken=0.1", "reset:maybe=0.1", "latency=0.1", "latency:-1s=0.1", "latency:9=0.1"] {
            assert!(matches!(Faults::parse([word], ""), Err(FaultError::Detail { .. })), "{word}");
        }
    }

    #[test]
    fn rates_beyond_one_together_are_refused() {
        assert_eq!(Faults::parse(["garbage=0.6", "gbk=0.6"], ""), Err(FaultError::Sum { sum: 1.2 }));
        assert!(Faults::parse(["garbage=0.1"; 10], "").is_ok());
    }

    #[test]
    fn a_bad_line_is_named() {
        for (file, line) in [("{}\nx", 2), ("{\"item\":3}", 1), ("{\"fault\":\"gbk\",\"rate\":7}", 1)] {
            let error = Faults::parse([], file).unwrap_err();
            assert!(error.to_string().starts_with(&format!("line {line}")), "{error}");
        }
    }
}
