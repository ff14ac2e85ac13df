//! `cargo xtask kills`: every part of the chain, killed at moments that nobody chose, as often as one likes.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::ValueEnum;

use crate::commands;
use crate::parts::{self, Needs};

/// Kill the parts of the chain in the middle of their work, many times
///
/// Every run of the tests does it a few times; this is the long version.
///
/// Without `--store` it is about streams: the real model and the real proxy are killed in the middle of answers
/// (100 times take about 40 minutes: a start of the proxy takes 13 s), with clients that vanish and an octo
/// that is killed, each 100 times, beside them.
///
/// With `--store` it is about the books: clients send messages (again and again with the same keys), make calls,
/// cancel and follow, until octo gets SIGKILL, also in the middle of its start and several times in a row. Then
/// everything that a client was told has to be in the store, to the letter, and the store has to hold together.
/// The first rule that is broken ends the run; its data folder is kept and named. The last line counts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Kill octo, with its books in this store
    #[arg(long, value_enum, value_name = "STORE")]
    store: Option<Store>,

    /// Kill the database server under an octo that goes on, instead of octo
    #[arg(long, requires = "store")]
    server: bool,

    /// How often each part is killed
    #[arg(long, default_value_t = 100)]
    times: u32,

    /// Make the choices of another run again; it said its seed. When a kill falls is up to the machine all the same
    #[arg(long, requires = "store")]
    seed: Option<u64>,

    /// Build with optimisation: more work between two kills
    #[arg(long)]
    release: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask kills                                            streams: the model, the proxy, the clients, octo
  cargo xtask kills --store sqlite --times 1000 --release      octo on SQLite: about 15 minutes
  cargo xtask kills --store postgres --times 300               octo on Postgres: about 10 minutes
  cargo xtask kills --store postgres --server --times 300      Postgres under octo: about 30 minutes";

/// Where octo keeps its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// A file in the data folder
    Sqlite,
    /// A database of a Postgres server that is started for the run
    Postgres,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let command = args.command()?;
    match args.store {
        None => parts::run_beside(command, Needs::Chain),
        // A server that is killed, or that nobody else works with, is the test's own.
        Some(_) => parts::run_alone(command),
    }
}

impl Args {
    fn command(&self) -> Result<Command> {
        let mut arguments = vec!["test", "--locked", "--no-fail-fast", "-p", "gateway"];
        if self.release {
            arguments.push("--release");
        }
        match self.store {
            None => arguments.extend(["--test", "stream_kills", "--test", "real_kills", "--"]),
            Some(store) => {
                let test = test_of(store, self.server)?;
                arguments.extend(["--test", "store_kills", "--", "--exact", test]);
            }
        }
        arguments.push("--nocapture");
        let mut command = commands::cargo(&arguments);
        command.env("OCTO_TEST_KILLS", self.times.to_string());
        if let Some(seed) = self.seed {
            command.env("OCTO_TEST_KILLS_SEED", seed.to_string());
        }
        Ok(command)
    }
}

/// The test that does it.
fn test_of(store: Store, server: bool) -> Result<&'static str> {
    match (store, server) {
        (Store::Sqlite, false) => Ok("octo_killed_at_any_moment_keeps_its_books_in_sqlite"),
        (Store::Postgres, false) => Ok("octo_killed_at_any_moment_keeps_its_books_in_postgres"),
        (Store::Postgres, true) => Ok("octo_keeps_its_books_in_a_postgres_that_is_killed"),
        (Store::Sqlite, true) => anyhow::bail!(
            "SQLite has no server to kill: leave `--server` out, or take `--store postgres`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn line(words: &[&str]) -> String {
        let words = ["kills"].iter().chain(words);
        let args = Cli::try_parse_from(words).unwrap().args;
        match args.command() {
            Ok(command) => commands::line(&command),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn without_a_store_it_is_about_streams() {
        let line = line(&["--times", "3"]);
        assert!(
            line.contains("--test stream_kills --test real_kills"),
            "{line}"
        );
    }

    #[test]
    fn each_store_and_the_server_have_a_test_that_is_there() {
        let source = "crates/gateway/tests/store_kills/main.rs";
        let source = std::fs::read_to_string(real_stack::workspace_root().join(source)).unwrap();
        for words in [
            ["--store", "sqlite"].as_slice(),
            &["--store", "postgres"],
            &["--store", "postgres", "--server"],
        ] {
            let line = line(words);
            let test = line.split("--exact ").nth(1).unwrap();
            let test = test.split(' ').next().unwrap();
            assert!(source.contains(&format!("async fn {test}()")), "{line}");
        }
    }

    #[test]
    fn a_server_of_sqlite_is_refused_with_the_way_out() {
        let refused = line(&["--store", "sqlite", "--server"]);
        assert!(refused.contains("--store postgres"), "{refused}");
    }
}
