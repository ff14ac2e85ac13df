//! The price book: how long it loads, what it weighs, and what pricing one usage takes, beside LiteLLM's
//! own `completion_cost` over the same usages.

use std::hint::black_box;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cost_tracker::{Billable, CallType, PriceBook, parse_billable};
use real_stack::Environments;
use serde_json::json;

use super::report::{Plan, Prices};
use super::system;
use crate::steps;

/// Every so many entries of the map one is priced: fewer models than LiteLLM's caches hold (64), as in a
/// gateway; with more of them it is several times slower.
const EVERY: usize = 64;
/// Books held at once to weigh them.
const WEIGHED: usize = 8;

/// Asks `completion_cost` for each line, `rounds` times, and prints microseconds a call.
const LITELLM: &str = r#"
import json, os, sys, time
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
rounds = int(sys.argv[1])
questions = [json.loads(line) for line in sys.stdin]
def ask():
    for question in questions:
        litellm.completion_cost(
            completion_response={"model": question["model"], "usage": question["usage"]},
            model=question["model"], custom_llm_provider=question["provider"], call_type="completion")
ask()
times = []
for _ in range(rounds):
    began = time.perf_counter()
    ask()
    times.append((time.perf_counter() - began) * 1e6 / len(questions))
print(sorted(times)[len(times) // 2])
"#;

/// Measures the book, and LiteLLM's calculator if its environment is at hand.
pub(super) fn measure(plan: &Plan, environments: Option<&Environments>) -> Result<Prices> {
    steps::step("the price book", || {
        let mut loads = Vec::new();
        for _ in 0..plan.price_rounds {
            let began = Instant::now();
            black_box(PriceBook::load());
            loads.push(began.elapsed());
        }
        let book = PriceBook::builtin();
        let questions = questions(&book);
        ensure!(!questions.is_empty(), "the price book is empty");
        let times: Vec<Duration> = (0..plan.price_rounds)
            .map(|_| {
                let began = Instant::now();
                for question in &questions {
                    let _ = black_box(question.price(&book));
                }
                began.elapsed()
            })
            .collect();
        let count = f64::from(u32::try_from(questions.len())?);
        Ok(Prices {
            entries: book.entries().count(),
            load_ms: median(loads).as_secs_f64() * 1e3,
            memory_kib: weight()?,
            models: questions.len(),
            price_ns: median(times).as_secs_f64() * 1e9 / count,
            litellm_completion_cost_us: environments
                .map(|environments| litellm(environments, &questions, plan.price_rounds))
                .transpose()?,
        })
    })
}

/// One usage of one model.
struct Question {
    model: String,
    provider: String,
    usage: serde_json::Value,
    call: Billable,
}

impl Question {
    fn price(&self, book: &PriceBook) -> bool {
        book.price_call(Some(&self.provider), &self.model, &self.call)
            .is_ok()
    }
}

/// A usage with the parts that most have, for models of all providers.
fn questions(book: &PriceBook) -> Vec<Question> {
    let usage = json!({
        "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 300},
    });
    let Ok(call) = parse_billable(&usage, CallType::AsTheModel) else {
        return Vec::new();
    };
    let mut keys: Vec<(&str, &str)> = book
        .entries()
        .filter(|found| found.mode() == "chat")
        .filter_map(|found| Some((found.key(), caller(found.provider()?))))
        .collect();
    keys.sort_unstable();
    keys.iter()
        .step_by(EVERY)
        .map(|(key, provider)| Question {
            model: (*key).to_owned(),
            provider: (*provider).to_owned(),
            usage: usage.clone(),
            call: call.clone(),
        })
        .filter(|question| question.price(book))
        .collect()
}

/// The name by which callers know the provider of an entry.
fn caller(entry_provider: &str) -> &str {
    match entry_provider {
        "bedrock_converse" => "bedrock",
        other if other.starts_with("vertex_ai") => "vertex_ai",
        other => other,
    }
}

/// What one book adds to this process.
fn weight() -> Result<u64> {
    let rss = || system::memory("", std::process::id()).map(|memory| memory.rss_kib);
    let before = rss()?;
    let books: Vec<PriceBook> = (0..WEIGHED).map(|_| PriceBook::load()).collect();
    let after = rss()?;
    ensure!(black_box(&books).len() == WEIGHED);
    Ok(after.saturating_sub(before) / WEIGHED as u64)
}

fn litellm(environments: &Environments, questions: &[Question], rounds: u32) -> Result<f64> {
    let mut child = Command::new(environments.litellm_python())
        .args(["-c", LITELLM, &rounds.min(20).to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start LiteLLM's interpreter")?;
    let mut stdin = child.stdin.take().context("no way to ask it")?;
    for question in questions {
        let line = json!({"model": question.model, "provider": question.provider, "usage": question.usage});
        writeln!(stdin, "{line}")?;
    }
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "completion_cost did not price what we asked"
    );
    let text = String::from_utf8(output.stdout)?;
    text.trim()
        .parse()
        .with_context(|| format!("completion_cost's time is `{}`", text.trim()))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
