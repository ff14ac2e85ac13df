//! `octo price`: what a usage costs, for people and for programs. No store, no gateway, no proxy.

mod answer;
mod lines;
mod question;
mod shown;

use std::io;

use clap::Args;
use cost_tracker::PriceBook;

use self::answer::{Answer, answer};
use self::question::Question;
use super::{Exit, output};
use crate::app::price_book;
use crate::config::Config;

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct PriceArgs {
    /// The model, as the proxy names it; without it, JSON lines are read from stdin.
    #[arg(long)]
    model: Option<String>,
    /// LiteLLM's name of the provider: openai, anthropic, bedrock, …
    #[arg(long, requires = "model")]
    provider: Option<String>,
    /// Input tokens, cached ones included.
    #[arg(long, value_name = "N", requires = "model")]
    input: Option<u64>,
    /// Output tokens, reasoning included.
    #[arg(long, value_name = "N", requires = "model")]
    output: Option<u64>,
    /// How many of the input tokens were read from a cache.
    #[arg(long, value_name = "N", requires = "model")]
    cached: Option<u64>,
    /// How many of the input tokens were written to a cache of 5 minutes.
    #[arg(long, value_name = "N", requires = "model")]
    cache_write: Option<u64>,
    /// How many of the output tokens were reasoning.
    #[arg(long, value_name = "N", requires = "model")]
    reasoning: Option<u64>,
    /// The class of service: flex, priority, batch, …
    #[arg(long, value_name = "TIER", requires = "model")]
    service_tier: Option<String>,
    /// The kind of call: completion, responses, embedding, rerank, …
    #[arg(long, value_name = "TYPE", requires = "model")]
    call_type: Option<String>,
    /// Say which entry of the price book counts and why, and where its prices are from.
    #[arg(long, requires = "model")]
    explain: bool,
    /// Print one JSON object.
    #[arg(long, requires = "model")]
    json: bool,
}

const AFTER_HELP: &str = "\
Without --model each line of stdin is one question, and each line of stdout its answer, in order:
  {\"model\": …, \"provider\"?, \"usage\": {as in an answer}, \"service_tier\"?, \"call_type\"?, \"base_model\"?,
   \"data_residency\"? (eu, us), \"vertex_location\"?, \"id\"?}
  {\"cost_usd\": \"0.000123\", \"cost_unavailable\": false, \"matched\", \"matched_by\", \"source\", \"breakdown\": […]}
A cost that is not known has \"cost_unavailable\": true and a \"reason\". A line that is no question is
answered with an \"error\", and the rest goes on.

Exit codes: 0 every question was answered, 1 a line was no question or (--model) there is no price,
2 wrong usage or settings.";

/// Runs the command.
pub(super) fn price(config: &Config, args: &PriceArgs) -> Exit {
    let book = match price_book(&config.cost) {
        Ok(book) => book,
        Err(error) => {
            output::error(&error);
            return Exit::Usage;
        }
    };
    match args.question() {
        Some(question) => one(&book, &question, args),
        None => from_stdin(&book),
    }
}

fn from_stdin(book: &PriceBook) -> Exit {
    let (input, output) = (io::stdin().lock(), io::stdout().lock());
    match lines::answer_all(book, input, output) {
        Ok(0) => Exit::Good,
        Ok(_) => Exit::Failed,
        // A reader that has gone (`octo price | head`) has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good,
        Err(error) => {
            output::error(&error);
            Exit::Failed
        }
    }
}

fn one(book: &PriceBook, question: &Question, args: &PriceArgs) -> Exit {
    let answer = answer(book, question);
    if let Answer::Bad { error } = &answer {
        output::note(format!("error: {error}"));
        return Exit::Usage;
    }
    if args.json {
        output::json(&answer.to_json());
    } else {
        output::line(shown::answer(&answer, book, args.explain));
    }
    match answer {
        Answer::Priced { .. } => Exit::Good,
        _ => Exit::Failed,
    }
}

impl PriceArgs {
    fn question(&self) -> Option<Question> {
        let model = self.model.clone()?;
        let (input, output) = (
            self.input.unwrap_or_default(),
            self.output.unwrap_or_default(),
        );
        let usage = serde_json::json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input.saturating_add(output),
            "prompt_tokens_details": {"cached_tokens": self.cached, "cache_creation_tokens": self.cache_write},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        });
        Some(Question {
            model,
            provider: self.provider.clone(),
            usage,
            service_tier: self.service_tier.clone(),
            call_type: self.call_type.clone(),
            ..Question::default()
        })
    }
}
