//! What a task says on stderr while it works: each step by name, and how long it took.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs one step, names it before and says afterwards how it went.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let step = Step::begin(name);
    let outcome = work();
    step.end(&outcome);
    outcome
}

/// A step under way, for work that does not fit into a closure.
pub(crate) struct Step<'a> {
    name: &'a str,
    begun: Instant,
}

impl<'a> Step<'a> {
    pub(crate) fn begin(name: &'a str) -> Self {
        announce(name);
        Self {
            name,
            begun: Instant::now(),
        }
    }

    pub(crate) fn end<T>(self, outcome: &Result<T>) {
        let sign = match outcome {
            Ok(_) => paint(Colour::Green, "✔"),
            Err(_) => paint(Colour::Red, "✘"),
        };
        say(&format!(
            "{sign} {} ({})",
            self.name,
            seconds(self.begun.elapsed())
        ));
    }
}

/// Names a step that shows by itself how it ends.
pub(crate) fn announce(name: &str) {
    say(&format!("{} {name}", paint(Colour::Cyan, "▶")));
}

/// A line inside a step.
pub(crate) fn note(line: impl Display) {
    say(&format!("  {line}"));
}

/// The whole chain of reasons why a task failed.
pub(crate) fn failed(error: &anyhow::Error) {
    say(&format!("{} {error:#}", paint(Colour::Red, "error:")));
}

#[derive(Clone, Copy)]
enum Colour {
    Red,
    Green,
    Cyan,
}

/// Colours are for people: none when stderr is a file or a pipe, or when `NO_COLOR` asks for none.
fn paint(colour: Colour, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !std::io::stderr().is_terminal() {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Cyan => 36,
    };
    format!("\x1b[1;{code}m{text}\x1b[0m")
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

fn say(line: &str) {
    // A closed stderr is no reason to stop the work.
    let _written = writeln!(std::io::stderr().lock(), "{line}");
}
