//! What stdout and stderr can show: how wide they are, which letters they have, whether colours are wanted.
//!
//! Decided once, when the program starts: `--color` first, then `NO_COLOR`, `CLICOLOR_FORCE` and `CLICOLOR`, then whether
//! it is a terminal that is not `dumb`. Promise: a pipe or a file gets neither a colour nor a cut line nobody asked for.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use terminal_size::{Height, Width, terminal_size_of};

use crate::ops::chart::text::{Canvas, Glyphs, Paint};

/// Width of what is no terminal, for charts; tables are as wide as their contents there.
const WIDTH: usize = 80;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set or the terminal is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

static CHOSEN: OnceLock<Color> = OnceLock::new();

/// Keeps what was asked for; before any output.
pub(super) fn choose(color: Color) {
    let choice = match color {
        // Where `CI` is set, a dumb terminal would be taken for one with colours.
        Color::Auto if !can_redraw() && !is_forced() => ColorChoice::Never,
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    choice.write_global();
    CHOSEN.get_or_init(|| color);
}

/// Returns what stdout can show.
pub(super) fn stdout() -> Canvas {
    let stream = io::stdout();
    let (width, _) = terminal_size_of(&stream).unwrap_or((Width(0), Height(0)));
    let paint = paint(AutoStream::choice(&stream));
    canvas(stream.is_terminal(), width.0, paint)
}

/// Returns what stderr can show.
pub(super) fn stderr() -> Canvas {
    let stream = io::stderr();
    let (width, _) = terminal_size_of(&stream).unwrap_or((Width(0), Height(0)));
    let paint = paint(AutoStream::choice(&stream));
    canvas(stream.is_terminal(), width.0, paint)
}

/// Returns columns and rows of stdout, if it is a terminal.
pub(super) fn size() -> Option<(usize, usize)> {
    let stdout = io::stdout();
    let (Width(columns), Height(rows)) = terminal_size_of(&stdout)?;
    // A terminal that does not know its size says 0.
    let or = |number: u16, otherwise: usize| if number == 0 { otherwise } else { usize::from(number) };
    stdout.is_terminal().then(|| (or(columns, WIDTH), or(rows, 24)))
}

/// Says whether stdout can be drawn over: a terminal that knows how to move its cursor.
pub(super) fn can_redraw() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term != "dumb" && !term.is_empty())
}

fn is_forced() -> bool {
    std::env::var_os("CLICOLOR_FORCE").is_some_and(|forced| forced != "0")
}

fn paint(choice: ColorChoice) -> Paint {
    match choice {
        ColorChoice::Never => Paint::Plain,
        ColorChoice::Always | ColorChoice::AlwaysAnsi | ColorChoice::Auto => Paint::Coloured,
    }
}

fn canvas(is_terminal: bool, width: u16, paint: Paint) -> Canvas {
    let glyphs = if is_terminal && has_blocks(|name| std::env::var_os(name)) { Glyphs::Unicode } else { Glyphs::Ascii };
    Canvas { width: if is_terminal && width > 0 { usize::from(width) } else { WIDTH }, glyphs, paint }
}

/// Says whether the locale is UTF-8 and the terminal more than a typewriter (POSIX, "Environment Variables": the first
/// of the three that is set and not empty counts).
fn has_blocks(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let text = |name| variable(name).map(|value| value.to_string_lossy().to_ascii_lowercase());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(text).find(|value| !value.is_empty());
    let is_utf8 = locale.is_some_and(|locale| locale.contains("utf-8") || locale.contains("utf8"));
    is_utf8 && text("TERM").is_some_and(|term| term != "dumb" && term != "linux")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_for_terminals_of_a_utf8_locale() {
        let has = |set: &[(&str, &str)]| {
            has_blocks(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)))
        };
        assert!(has(&[("LANG", "zh_CN.UTF-8"), ("TERM", "xterm")]));
        assert!(has(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C"), ("TERM", "screen")]));
        assert!(!has(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8"), ("TERM", "xterm")]));
        assert!(!has(&[("LANG", "en_US.UTF-8"), ("TERM", "dumb")]));
        assert!(!has(&[("TERM", "xterm")]));
    }
}
