//! The project's own tasks: `cargo xtask --help` lists them. One file a task; this one only dispatches.

mod bench;
mod ci;
mod commands;
mod coverage;
mod fuzz;
mod integration;
mod kills;
mod oracle;
mod parts;
mod prices;
mod record;
mod schema;
mod steps;
mod test;
mod tools;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// That of `octo`: the event store is measured in this process.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The project's own tasks.
///
/// New here? `cargo xtask up` starts everything and shows a real answer; `cargo xtask test` runs every test.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Up(up::Args),
    Test(test::Args),
    Integration(integration::Args),
    Kills(kills::Args),
    Schema(schema::Args),
    /// Record the answers of the real proxy that the tests of `provider-litellm` replay
    Record,
    Coverage(coverage::Args),
    Bench(bench::Args),
    Ci(ci::Args),
    Fuzz(fuzz::Args),
    Prices(prices::Args),
    Oracle(oracle::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Up(args) => up::run(args).map(done),
        Task::Test(args) => test::run(&args),
        Task::Integration(args) => integration::run(&args),
        Task::Kills(args) => kills::run(&args),
        Task::Schema(args) => schema::run(&args).map(done),
        Task::Record => record::run().map(done),
        Task::Coverage(coverage::Args {}) => coverage::run().map(done),
        Task::Bench(args) => bench::run(&args),
        Task::Ci(args) => ci::run(&args),
        Task::Fuzz(args) => fuzz::run(&args).map(done),
        Task::Prices(args) => prices::run(&args).map(done),
        Task::Oracle(args) => oracle::run(&args).map(done),
    };
    outcome.unwrap_or_else(|error| {
        steps::failed(&error);
        ExitCode::FAILURE
    })
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}
