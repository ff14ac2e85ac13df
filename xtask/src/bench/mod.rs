//! `cargo xtask bench`: what our layers cost, and what limits them, measured in one run.
//!
//! The load, the stand-in upstream, `octo` and the proxy are processes of their own on loopback, all
//! alive at once and measured in turns, so that a machine that gets slower slows all of them.

mod books;
mod build;
mod calls;
mod cast;
mod client_cost;
mod commits;
mod disk;
mod gateway_load;
mod load;
mod machine;
mod prices;
mod process;
mod proxy;
mod report;
mod run;
mod store;
mod streams;
mod system;
mod table;
mod upstream;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::ArgAction;

use crate::steps;
use report::Report;

/// Measures what our layers cost: the client, the gateway, and the LiteLLM Proxy beside them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the figures go as JSON. [default: bench.json in the target folder]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Measures one part alone.
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Part>,

    /// A run of seconds: shows that everything works, its figures are rough.
    #[arg(long)]
    quick: bool,

    /// Leaves the LiteLLM Proxy out; nothing is installed for it.
    #[arg(long)]
    without_proxy: bool,

    /// Measures unoptimised builds. For testing this command.
    #[arg(long, hide = true)]
    debug_build: bool,

    /// Is the stand-in upstream, until stdin closes.
    #[arg(long, hide = true, action = ArgAction::SetTrue, exclusive = true)]
    serve_upstream: bool,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The price book, beside LiteLLM's own calculator: seconds
    Prices,
    /// Calls that are not streamed: the client, the gateway, its commits
    Calls,
    /// Streamed calls: time to the first token and of each chunk, throughput, memory
    Streams,
    /// The event store: durable commits beside the raw database
    Store,
    /// The event store at 10 thousand, 1 and 10 million events: half an hour, 20 GB of disk; only if asked for
    Growth,
}

impl Args {
    fn measures(&self, part: Part) -> bool {
        // Growth takes too long to come along with the others, unless they are quick as well.
        let asked = self.only.is_none_or(|only| only == part);
        asked && (part != Part::Growth || self.only.is_some() || self.quick)
    }
}

/// Builds what is measured, measures, prints the table and writes the figures.
///
/// A failed call does not end the run; the report counts and marks it, and so does the exit code.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if args.serve_upstream {
        runtime.block_on(upstream::serve())?;
        return Ok(ExitCode::SUCCESS);
    }
    let built = steps::step("building what is measured", || {
        build::build(args.debug_build)
    })?;
    // The client under test runs in this very program: an unoptimised one would measure the wrong thing.
    if !args.debug_build && cfg!(debug_assertions) {
        return hand_over(&built);
    }
    let report = runtime.block_on(Box::pin(run::measure(args, &built)))?;
    let path = args
        .json
        .clone()
        .unwrap_or_else(|| built.target.join("bench.json"));
    write(&report, &path)?;
    std::io::stdout()
        .lock()
        .write_all(table::render(&report).as_bytes())?;
    steps::note(format!("figures: {}", path.display()));
    Ok(if report.clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs this command again as its optimised build.
fn hand_over(built: &build::Built) -> Result<ExitCode> {
    let status = Command::new(&built.xtask)
        .args(std::env::args_os().skip(1))
        .status()
        .with_context(|| format!("cannot start {}", built.xtask.display()))?;
    let Some(code) = status.code() else {
        bail!("the optimised build ended with {status}");
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn write(report: &Report, path: &std::path::Path) -> Result<()> {
    let json = serde_json::to_vec_pretty(report)?;
    std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
}
