//! The one place that writes to the terminal.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Prints a line. A reader that has gone (`octo costs | head`) is no error.
pub(super) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a line; false if its reader has gone.
pub(super) fn is_read(text: impl std::fmt::Display) -> bool {
    writeln!(io::stdout().lock(), "{text}").is_ok()
}

/// Prints a piece of a text that somebody else wrote, at once. A terminal gets no control characters of it
/// but line ends and tabs: they could move its cursor or change its title.
pub(super) fn piece(text: &str) {
    let mut stdout = io::stdout().lock();
    let written = if stdout.is_terminal() {
        let shown = text.replace(|c: char| c.is_control() && !"\n\t".contains(c), "");
        stdout.write_all(shown.as_bytes())
    } else {
        stdout.write_all(text.as_bytes())
    };
    let _ = written.and_then(|()| stdout.flush());
}

/// Prints a value as indented JSON.
pub(super) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(failure) => error(&failure),
    }
}

/// Prints an error with its causes on stderr.
pub(super) fn error(error: &(dyn std::error::Error + 'static)) {
    note(format!(
        "{} {}",
        paint_err("error:", "31;1"),
        with_causes(error)
    ));
}

/// An error with what is underneath it, a line each.
pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let next = source.to_string();
        // Many messages hold their cause's already.
        if !shown.contains(&next) {
            text.push_str(&format!("\n  because {next}"));
            shown = next;
        }
        cause = source.source();
    }
    text
}

/// Prints a line on stderr.
pub(super) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// True if somebody watches stderr.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Shows where long work stands, in place of what was shown before; an empty text takes it away.
pub(super) fn status(text: &str) {
    let _ = write!(io::stderr().lock(), "\r\u{1b}[K{text}");
}

/// Asks on the terminal; `None` if there is none to answer from.
pub(super) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    // An end of the input is no yes.
    let _ = io::stdin().read_line(&mut answer);
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A text in a colour, if stdout is a terminal that wants colours.
pub(super) fn paint(text: &str, code: &str) -> String {
    painted(text, code, io::stdout().is_terminal())
}

fn paint_err(text: &str, code: &str) -> String {
    painted(text, code, io::stderr().is_terminal())
}

fn painted(text: &str, code: &str, terminal: bool) -> String {
    if terminal && std::env::var_os("NO_COLOR").is_none() {
        return format!("\u{1b}[{code}m{text}\u{1b}[0m");
    }
    text.to_owned()
}
