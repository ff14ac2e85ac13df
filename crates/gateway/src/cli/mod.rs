//! The command line.

mod ask;
mod costs;
mod doctor;
mod events;
mod gateway_client;
mod output;
mod price;
mod serve;
mod store;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, Environment, Overrides};

/// One exit for an agent's model calls: aliases in, exact costs and durable events out.
///
/// Settings come from config/octo.toml, .env, the environment and flags, the later winning.
#[derive(Parser)]
#[command(name = "octo", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  octo serve                                    the gateway, on http://127.0.0.1:8000
  octo ask \"What is 2 + 2?\" --alias planner     one call from the terminal
  octo costs --group-by day,model               what was spent
  octo events --follow --after latest           what happens, as it happens
  octo price --model gpt-4o-mini --input 1000 --output 200 --explain    what that costs, and why
  octo store verify                             are the books as they should be
  octo doctor                                   what is wrong, and what to do

Exit codes: 0 good, 1 failed, 2 wrong usage or settings, 3 (ask) only the fallback answered, 4 (store) the books are \
not as they should be.";

#[derive(Args)]
struct Common {
    /// The settings file [default: config/octo.toml, if there is one].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C.
    Serve {
        /// Where to listen; port 0 picks a free one [default: 127.0.0.1:8000].
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<String>,
    },
    /// Make one call: the answer, its model, tokens and cost.
    Ask {
        /// What to ask.
        prompt: String,
        /// Who is to answer: an alias or a model group.
        #[arg(long, default_value = "main")]
        alias: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// What was spent. Works beside a running gateway.
    Costs(costs::CostsArgs),
    /// What happened: the log of all tasks, in the order of its commits. Works beside a running gateway.
    Events(events::EventsArgs),
    /// What a usage costs by the price book: one call, or JSON lines from stdin.
    Price(price::PriceArgs),
    /// Check, mend, thin out, save and move the books.
    Store(store::StoreArgs),
    /// Check settings, store, proxy, key, aliases and prices; say what to do about each finding.
    Doctor {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Good
            };
            print(&error);
            return code.into();
        }
    };
    let listen = match &cli.command {
        Command::Serve { listen } => listen.clone(),
        _ => None,
    };
    let overrides = Overrides {
        config: cli.common.config,
        listen,
    };
    let config = load(&overrides);
    if let Command::Doctor { json } = cli.command {
        return run(doctor::doctor(config, json)).into();
    }
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            output::error(&error);
            return Exit::Usage.into();
        }
    };
    match cli.command {
        Command::Serve { .. } => run(serve::serve(config)),
        Command::Ask {
            prompt,
            alias,
            json,
        } => run(ask::ask(
            config,
            ask::Question {
                prompt,
                alias,
                json,
            },
        )),
        Command::Costs(args) => run(costs::costs(config, args)),
        Command::Events(args) => run(events::events(config, args)),
        Command::Store(args) => run(store::store(config, args)),
        Command::Price(args) => price::price(&config, &args),
        Command::Doctor { .. } => Exit::Good,
    }
    .into()
}

/// Prints help, or what is wrong with the command line: without the password of a URL in it.
fn print(error: &clap::Error) {
    let urls: Vec<String> = std::env::args_os()
        .filter_map(|argument| argument.into_string().ok())
        .filter(|argument| argument.contains("://"))
        .collect();
    if urls.is_empty() {
        // Help that can not be printed has no reader.
        let _ = error.print();
        return;
    }
    let mut text = error.to_string();
    for argument in urls {
        let flag_and_url = argument
            .split_once('=')
            .filter(|_| argument.starts_with("--"));
        let url = flag_and_url.map_or(argument.as_str(), |(_, url)| url);
        text = text.replace(url, &store::without_secrets(url));
    }
    output::note(text);
}

fn load(overrides: &Overrides) -> Result<Config, ConfigError> {
    Config::load(&Environment::of_process(Path::new(".env"))?, overrides)
}

fn run(command: impl Future<Output = Exit>) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            output::error(&error);
            Exit::Failed
        }
    }
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Good,
    Failed,
    Usage,
    OnlyFallback,
    BadBooks,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Good => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::OnlyFallback => 3,
            Exit::BadBooks => 4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
