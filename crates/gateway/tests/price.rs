//! `octo price`, as a program: its lines, its exit codes, and what it leaves alone.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
