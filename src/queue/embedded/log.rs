//! The write-ahead log, looked through before SQLite reads it.
//!
//! SQLite takes a log up to its first bad frame and says nothing of the rest (sqlite.org/walformat.html): right after a
//! power cut, which tears the last commit at most, since each is synced before the next begins. A bad frame before
//! another commit is damage, and would undo what was accepted.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// First four bytes; the last bit says that sums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// What the log is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// All of it, but for a commit that was being written.
    Whole,
    /// Commits follow on a frame that is not what was written.
    Damaged,
}

/// Looks through a log.
pub(super) fn examine(path: &Path) -> io::Result<Worth> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut header = [0; HEADER];
    // The header is synced before the first frame is written.
    if length <= HEADER as u64 {
        return Ok(Worth::Whole);
    }
    file.read_exact(&mut header)?;
    let mut sum = Sum { is_big_endian: word(&header, 0) & 1 == 1, ..Sum::default() };
    sum.add(&header[..24]);
    let page = word(&header, 8) as usize;
    if word(&header, 0) & !1 != MAGIC || !sum.is(&header[24..]) || !(512..=65536).contains(&page) {
        return Ok(Worth::Damaged);
    }
    let salts = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER + page];
    let mut progress = Progress::Sound;
    for _ in 0..(length - HEADER as u64) / frame.len() as u64 {
        file.read_exact(&mut frame)?;
        // Frames with other salts are left from before the log began anew.
        let is_of_this_log = &frame[8..16] == salts;
        sum.add(&frame[..8]);
        sum.add(&frame[FRAME_HEADER..]);
        let is_sound = is_of_this_log && sum.is(&frame[16..24]);
        let is_commit = word(&frame, 4) != 0;
        progress = match progress {
            Progress::Sound if is_sound => Progress::Sound,
            Progress::Sound | Progress::Bad if is_of_this_log && is_commit => Progress::Committed,
            Progress::Sound | Progress::Bad => Progress::Bad,
            Progress::Committed if is_of_this_log => return Ok(Worth::Damaged),
            Progress::Committed => Progress::Committed,
        };
    }
    Ok(Worth::Whole)
}

/// How far the looking has come.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// Every frame so far is what was written.
    Sound,
    /// One was not; no commit since.
    Bad,
    /// One was not, and its transaction, or a later one, was ended: another frame would be of the next.
    Committed,
}

/// The running sum of a log (sqlite.org/fileformat.html, section 4.2).
#[derive(Debug, Default)]
struct Sum {
    is_big_endian: bool,
    words: [u32; 2],
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let [mut first, mut second] = self.words;
        for pair in bytes.chunks_exact(8) {
            first = first.wrapping_add(self.read(pair, 0)).wrapping_add(second);
            second = second.wrapping_add(self.read(pair, 4)).wrapping_add(first);
        }
        self.words = [first, second];
    }

    fn read(&self, bytes: &[u8], at: usize) -> u32 {
        let word = word(bytes, at);
        if self.is_big_endian { word } else { word.swap_bytes() }
    }

    fn is(&self, stored: &[u8]) -> bool {
        [word(stored, 0), word(stored, 4)] == self.words
    }
}

/// Reads a big-endian word, as every number of the log is stored.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
