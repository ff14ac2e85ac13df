//! The price book beside LiteLLM's own calculator, over every entry of the map that it prices.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helper functions of a test"
)]

mod usages;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use cost_tracker::{Dimension, PriceBook, Priced, Unpriced, generate, parse_usage};
use serde_json::{Map, Value, json};
use usages::{Random, around, bounds, chat_usages, embedding_usages};

const PYTHON: &str = "OCTO_TEST_LITELLM_PYTHON";
const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/litellm_oracle/calculator.py"
);
const BUNDLED: &str = include_str!("../../data/prices.json");

/// Entries on which we knowingly do not say what LiteLLM says. Each has its reason; the test fails if
/// one of them agrees after all.
const REVIEWED: [(&str, &str); 6] = [
    (
        "perplexity/perplexity/sonar",
        "LiteLLM strips the doubled name and takes the price of `perplexity/sonar`, another entry; ours is \
         the price that the map states under this key",
    ),
    ("together-ai-4.1b-8b", SIZE_CLASS),
    ("together-ai-8.1b-21b", SIZE_CLASS),
    ("together-ai-21.1b-41b", SIZE_CLASS),
    ("together-ai-41.1b-80b", SIZE_CLASS),
    ("together-ai-81.1b-110b", SIZE_CLASS),
];
const SIZE_CLASS: &str = "a price class by model size and no model: LiteLLM guesses a class from the numbers in a \
     name, also in the names of the classes; we never guess";

struct Question {
    model: String,
    provider: String,
    call_type: &'static str,
    usage: Value,
}

impl Question {
    fn line(&self) -> String {
        json!({"model": self.model, "provider": self.provider, "call_type": self.call_type,
               "usage": self.usage})
        .to_string()
    }

    fn ours(&self, book: &PriceBook) -> Result<Priced, Unpriced> {
        let usage = parse_usage(&self.usage).expect("the test's usages are good");
        book.price(Some(&self.provider), &self.model, &usage)
    }
}

struct Oracle {
    map: Map<String, Value>,
    map_text: String,
    version: String,
    answers: Vec<Value>,
}

/// Starts the calculator, hands it what `questions` makes of its map, and collects its answers.
fn ask(questions: impl FnOnce(&Map<String, Value>) -> Vec<Question>) -> (Oracle, Vec<Question>) {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| {
        panic!(
            "{PYTHON} must name a Python with the pinned litellm: `cargo xtask test` sets it up, or \
             `python3 -m venv DIR && DIR/bin/pip install litellm==1.102.4`, then {PYTHON}=DIR/bin/python"
        )
    });
    let mut child = Command::new(python)
        .arg(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the interpreter starts");
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        move || -> Option<Value> { Some(serde_json::from_str(&lines.next()?.unwrap()).unwrap()) };

    let hello = next().expect("litellm can be imported");
    let map_text = std::fs::read_to_string(hello["map"].as_str().unwrap()).unwrap();
    let map: Map<String, Value> = serde_json::from_str(&map_text).unwrap();
    let questions = questions(&map);
    let text: String = questions
        .iter()
        .map(|question| question.line() + "\n")
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    let answers: Vec<Value> = std::iter::from_fn(&mut next).collect();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(answers.len(), questions.len());
    let version = hello["version"].as_str().unwrap().to_owned();
    (
        Oracle {
            map,
            map_text,
            version,
            answers,
        },
        questions,
    )
}

/// The name by which callers know the provider of an entry.
fn caller_provider(entry_provider: &str) -> &str {
    match entry_provider {
        "bedrock_converse" => "bedrock",
        other if other.starts_with("vertex_ai") => "vertex_ai",
        other if other.starts_with("fireworks_ai") => "fireworks_ai",
        other => other,
    }
}

fn call_type(mode: &str) -> Option<&'static str> {
    match mode {
        "chat" => Some("completion"),
        "completion" => Some("text_completion"),
        "responses" => Some("responses"),
        "embedding" => Some("embedding"),
        _ => None,
    }
}

fn all_questions(map: &Map<String, Value>) -> Vec<Question> {
    let mut random = Random(0x5eed);
    let mut questions = Vec::new();
    for (model, entry) in map {
        let Some(call_type) = entry["mode"].as_str().and_then(call_type) else {
            continue;
        };
        let provider = caller_provider(entry["litellm_provider"].as_str().unwrap());
        let mut usages = if call_type == "embedding" {
            embedding_usages()
        } else {
            chat_usages()
        };
        if call_type != "embedding" {
            usages.extend(bounds(entry).into_iter().flat_map(around));
            usages.extend((0..3).map(|_| random.usage()));
        }
        questions.extend(usages.into_iter().map(|usage| Question {
            model: model.clone(),
            provider: provider.to_owned(),
            call_type,
            usage,
        }));
    }
    questions
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Agree,
    /// Neither of the two has a price.
    NeitherPrices,
    /// LiteLLM counts text at 0 for which the map states no price; we say that there is none.
    SilentZero,
    /// The same where every token of the call was cached and only the cache price is missing.
    AllCached,
    /// LiteLLM leaves out what is charged per request or by media; we say that it is not the whole.
    BesideTokens,
    Differ(String),
}

fn judge(ours: &Result<Priced, Unpriced>, theirs: &Value, map: &Map<String, Value>) -> Verdict {
    let Some(theirs_usd) = theirs["cost"].as_f64() else {
        return match ours {
            Err(_) => Verdict::NeitherPrices,
            Ok(priced) => Verdict::Differ(format!("{} here, {theirs} there", priced.total)),
        };
    };
    match ours {
        Ok(priced) => {
            let ours_usd: f64 = priced.total.to_string().parse().unwrap();
            let close =
                (ours_usd - theirs_usd).abs() <= 1e-9 * ours_usd.abs().max(theirs_usd.abs());
            if close {
                Verdict::Agree
            } else {
                Verdict::Differ(format!("{ours_usd} here, {theirs_usd} there"))
            }
        }
        Err(Unpriced::NoPriceForTokens { key, dimension }) => {
            // Read from the package's own map, not through our reader.
            let entry = &map[key];
            match dimension {
                Dimension::Input if entry["input_cost_per_token"].is_null() => Verdict::SilentZero,
                Dimension::Output if entry["output_cost_per_token"].is_null() => {
                    Verdict::SilentZero
                }
                Dimension::CachedInput if entry["cache_read_input_token_cost"].is_null() => {
                    assert!(theirs_usd == 0.0, "{key}: {theirs_usd}");
                    Verdict::AllCached
                }
                other => Verdict::Differ(format!("no price for {other} here, {theirs_usd} there")),
            }
        }
        Err(Unpriced::ChargedBesideTokens { key }) => {
            let entry = &map[key];
            let per_request = entry["input_cost_per_request"].as_f64() > Some(0.0);
            let per_image =
                theirs_usd == 0.0 && entry["output_cost_per_image"].as_f64() > Some(0.0);
            assert!(per_request || per_image, "{key}: {entry}");
            Verdict::BesideTokens
        }
        Err(reason) => Verdict::Differ(format!("`{reason}` here, {theirs_usd} there")),
    }
}

#[test]
fn every_entry_costs_what_litellm_says() {
    let (oracle, questions) = ask(all_questions);
    let book = PriceBook::builtin();
    assert_eq!(book.source().package, format!("litellm {}", oracle.version));

    let (mut agreeing, mut neither, mut all_cached, mut beside) =
        (0_usize, 0_usize, 0_usize, 0_usize);
    let mut silent_zeros: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (question, theirs) in questions.iter().zip(&oracle.answers) {
        match judge(&question.ours(&book), theirs, &oracle.map) {
            Verdict::Agree => agreeing += 1,
            Verdict::NeitherPrices => neither += 1,
            Verdict::AllCached => all_cached += 1,
            Verdict::BesideTokens => beside += 1,
            Verdict::SilentZero => *silent_zeros.entry(&question.model).or_default() += 1,
            Verdict::Differ(how) => differing
                .entry(&question.model)
                .or_default()
                .push(format!("{how} for {}", question.usage)),
        }
    }
    println!(
        "{} questions: {agreeing} agree, {neither} have no price on either side, {} are silent zeros of {} \
         models, {all_cached} are all cached without a cache price, {beside} are charged beside tokens, {} of {} models differ",
        questions.len(),
        silent_zeros.values().sum::<usize>(),
        silent_zeros.len(),
        differing.values().map(Vec::len).sum::<usize>(),
        differing.len(),
    );
    for (model, reason) in REVIEWED {
        assert!(
            differing.remove(model).is_some(),
            "`{model}` agrees now, but is listed: {reason}"
        );
    }
    for (model, how) in &differing {
        println!("{model} ({}): {}", how.len(), how[0]);
    }
    assert!(
        differing.is_empty(),
        "{} models differ from LiteLLM without a reviewed reason",
        differing.len()
    );
    assert!(
        agreeing > 50_000,
        "only {agreeing} questions were comparable"
    );
    assert_eq!(neither, 0, "LiteLLM refuses what it lists");
    // Known and counted: a jump means that our reader has lost prices.
    assert!(
        silent_zeros.len() < 200,
        "{} models are silent zeros",
        silent_zeros.len()
    );
}

#[test]
fn the_bundled_map_is_what_the_pinned_package_gives() {
    let (oracle, _) = ask(|_| Vec::new());
    let anew = generate(&oracle.map_text, PriceBook::builtin().source()).unwrap();
    assert!(
        anew == BUNDLED,
        "data/prices.json is out of date: run `cargo xtask prices update`"
    );
}
