//! Running a client program, and reading what it saw.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::shared;
use crate::stack::Target;

/// No program takes longer, on a busy machine neither.
const LIMIT: Duration = Duration::from_secs(300);

/// What a program saw: its cases by name, as one object, and how many requests it sent to each path.
pub(crate) struct Seen {
    pub(crate) cases: Value,
    pub(crate) sent: BTreeMap<String, u64>,
}

#[derive(Clone, Copy)]
pub(crate) enum Program {
    OpenAiPython,
    Agent,
    OpenAiNode,
}

impl Program {
    pub(crate) const ALL: [Self; 3] = [Self::OpenAiPython, Self::Agent, Self::OpenAiNode];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenAiPython => "openai-python",
            Self::Agent => "agent",
            Self::OpenAiNode => "openai-node",
        }
    }

    /// How many endless streams it leaves before their end.
    pub(crate) fn streams_left(self) -> u32 {
        match self {
            Self::OpenAiPython => 3,
            Self::Agent => 0,
            Self::OpenAiNode => 2,
        }
    }

    fn command(self) -> Command {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let (program, script) = match self {
            Self::OpenAiPython => ("OCTO_TEST_CLIENTS_PYTHON", "python/openai_sdk.py"),
            Self::Agent => ("OCTO_TEST_CLIENTS_PYTHON", "python/agent.py"),
            Self::OpenAiNode => ("OCTO_TEST_NODE", "node/openai_sdk.mjs"),
        };
        let mut command = Command::new(shared(program));
        command.arg(folder.join(script));
        command
    }

    /// Runs it against `target`, which is told to it as it is told to any program: in the environment.
    pub(crate) async fn run(self, target: &Target) -> Seen {
        let mut command = self.command();
        command
            .env_clear()
            .envs(["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default())))
            .env("OCTO_TEST_NODE_MODULES", shared("OCTO_TEST_NODE_MODULES"))
            // No compiled files beside the scripts.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("OPENAI_BASE_URL", &target.base_url)
            .env("OPENAI_API_KEY", target.key)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output())
            .await
            .unwrap_or_else(|_| panic!("{} took longer than {LIMIT:?}", self.name()))
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", self.name());
        read(self, &String::from_utf8(output.stdout).unwrap())
    }
}

#[expect(
    clippy::print_stderr,
    reason = "for whoever looks into a case that did not come to its end"
)]
fn read(program: Program, lines: &str) -> Seen {
    let mut seen = Seen {
        cases: json!({}),
        sent: BTreeMap::new(),
    };
    for line in lines.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if let Some(sent) = line["sent"].as_object() {
            let sent = sent.iter();
            seen.sent = sent
                .map(|(path, count)| (path.clone(), count.as_u64().unwrap()))
                .collect();
            continue;
        }
        let name = line["case"].as_str().unwrap().to_owned();
        let result = line["result"].take();
        if line["ok"] != true {
            // It is not as expected, so the test fails later, with all that is not.
            eprintln!("{} {name}: {}", program.name(), result.as_str().unwrap());
        }
        assert!(seen.cases[&name].is_null(), "{name} twice");
        seen.cases[&name] = result;
    }
    assert!(
        !seen.sent.is_empty(),
        "{} did not come to its end",
        program.name()
    );
    seen
}
