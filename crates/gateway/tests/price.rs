//! `octo price` and `octo costs reprice`, as programs: their lines, exit codes, and what they leave alone.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use event_payloads::{
    Actor, Cost, ModelCallCompleted, ModelCallStarted, Payload, TaskCreated, TokenUsage,
};
use event_store::{Commit, EventStore as _, NewEvent, Parent, SqliteOptions, SqliteStore};
use serde_json::Value;

fn octo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_octo"));
    command
        .arg("price")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = octo(folder, arguments).spawn().unwrap();
    // A program that reads nothing may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

const QUESTION: &str =
    r#"{"model": "gpt-4o-mini", "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}"#;

#[test]
fn lines_are_answered_without_a_store_a_proxy_or_settings() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &[], &format!("{QUESTION}\n{QUESTION}"));
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1]["cost_usd"], "0.00027");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_answer_comes_before_the_next_question() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = octo(folder.path(), &[]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        writeln!(stdin, "{QUESTION}").unwrap();
        let answer = answers.next().unwrap().unwrap();
        assert!(answer.contains(r#""cost_usd":"0.00027""#), "{answer}");
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn exit_codes_tell_a_bad_line_an_unknown_price_and_wrong_usage_apart() {
    let folder = tempfile::tempdir().unwrap();
    let code = |arguments: &[&str], input: &str| run(folder.path(), arguments, input).status.code();
    assert_eq!(code(&[], ""), Some(0));
    assert_eq!(code(&[], "{}\n"), Some(1));
    let unknown = r#"{"model": "no-such", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}"#;
    assert_eq!(code(&[], unknown), Some(0), "an answer, if not a price");
    let tokens = ["--input", "1000", "--output", "200"];
    let ask = |model| [&["--model", model], &tokens[..]].concat();
    assert_eq!(code(&ask("gpt-4o-mini"), ""), Some(0));
    assert_eq!(code(&ask("no-such"), ""), Some(1));
    let tier = [&ask("gpt-4o-mini")[..], &["--service-tier", "gold"]].concat();
    assert_eq!(code(&tier, ""), Some(2));
    assert_eq!(
        code(&["--input", "5"], ""),
        Some(2),
        "--input without --model"
    );
}

#[test]
fn a_users_own_prices_count_and_a_mistake_in_them_is_shown_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let file = folder.path().join("config/prices.toml");
    std::fs::write(
        &file,
        "[models.\"gpt-4o-mini\"]\ninput_per_million = 5\noutput_per_million = 5",
    )
    .unwrap();
    let ask = [
        "--model",
        "gpt-4o-mini",
        "--input",
        "1000",
        "--output",
        "0",
        "--explain",
    ];
    let output = run(folder.path(), &ask, "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("0.005 USD"), "{text}");
    assert!(text.contains("your own prices"), "{text}");

    std::fs::write(&file, "[models.\"gpt-4o-mini\"]\ninput_per_million = -5").unwrap();
    let output = run(folder.path(), &ask, "");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("line 2 of the prices"), "{text}");
}

#[tokio::test]
async fn past_costs_are_computed_anew_and_shown_beside_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let database = data.join("sqlite/octoagent.db");
    let options = SqliteOptions::new(&database, data.join("artifacts"));
    let store = SqliteStore::open(options).await.unwrap();
    record_a_call_without_a_cost(&store).await;
    store.close().await.unwrap();
    drop(store);

    let costs = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_octo"));
        command
            .arg("costs")
            .args(arguments)
            .current_dir(folder.path())
            .env_clear();
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = costs(&["reprice", "--dry-run"]);
    assert!(
        text.starts_with("1 calls would be corrected, from 0 to 0.00027 USD"),
        "{text}"
    );
    let done: Value = serde_json::from_str(&costs(&["reprice", "--json"])).unwrap();
    assert_eq!(done["corrections"][0]["after_usd"].to_string(), "0.00027");
    let text = costs(&[]);
    assert!(text.contains("0.00027"), "{text}");
    assert!(
        text.contains("1 calls were corrected since: 0 USD as recorded first"),
        "{text}"
    );
    let again: Value = serde_json::from_str(&costs(&["reprice", "--json"])).unwrap();
    assert_eq!(again["unchanged"], 1);
}

async fn record_a_call_without_a_cost(store: &SqliteStore) {
    let created = Payload::TaskCreated(TaskCreated {
        title: "Hello".into(),
        thread_id: "default".into(),
        scope_id: "chat:web:default".into(),
        channel: "web".into(),
        sender_id: "owner".into(),
        risk_level: "low".into(),
    });
    let started = Payload::ModelCallStarted(ModelCallStarted::default());
    let completed = ModelCallCompleted {
        model_name: "gpt-4o-mini".into(),
        provider: "openai".into(),
        token_usage: Some(TokenUsage::new(1000, 200)),
        ..ModelCallCompleted::default()
    }
    .with_cost(&Cost::Unavailable("no price is known".into()));
    let completed = Payload::ModelCallCompleted(Box::new(completed));
    let event = |payload| NewEvent::new(Actor::System, payload);
    let commit = Commit::new("task-1".parse().unwrap())
        .event(event(created))
        .event(event(started))
        .event(event(completed).parent(Parent::InCommit(1)));
    store.append(commit).await.unwrap();
}
