//! The real calculator, as a process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Map, Value};

use crate::questions::Question;

const PYTHON: &str = "OCTO_TEST_LITELLM_PYTHON";
const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/litellm_oracle/calculator.py"
);

/// What the calculator said.
pub(crate) struct Oracle {
    /// The package's price map, as it is.
    pub(crate) map: Map<String, Value>,
    pub(crate) map_text: String,
    pub(crate) version: String,
    /// One answer for each question.
    pub(crate) answers: Vec<Value>,
}

/// Starts the calculator, hands it what `questions` makes of its map, and collects its answers.
pub(crate) fn ask(
    questions: impl FnOnce(&Map<String, Value>) -> Vec<Question>,
) -> (Oracle, Vec<Question>) {
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
