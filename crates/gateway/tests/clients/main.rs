//! Clients that nobody here wrote, side by side: each program runs against the real LiteLLM Proxy and then
//! against octo in front of the same proxy, and has to see the same.
//!
//! `cargo xtask test` (or `cargo xtask integration`) sets up what is needed and says in the environment where
//! it is. What is expected stands in `snapshots/`: what each program sees through octo, where that is meant to
//! be other than what it sees of the proxy, and what octo wrote down of it. After a change that is meant, or with
//! other versions of the clients (`crates/real-stack/locks/clients.in`, `crates/real-stack/node`), run it with
//! `INSTA_UPDATE=always` and review what changed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is missing"
)]

mod books;
mod compare;
mod layout;
mod meant;
mod programs;
mod provider;
mod stack;
#[path = "../support/mod.rs"]
mod support;

use books::Books;
use compare::Comparison;
use layout::readable;
use programs::{Program, Seen};
use provider::Provider;
use serde_json::{Value, json};
use stack::{Stack, Target};

/// Where a shared part is; without it, how to get it.
fn shared(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: the real parts are missing. Run `cargo xtask test`, or `cargo xtask integration` for these tests alone"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_sees_the_same_through_octo_as_from_the_proxy_itself() {
    let stack = Stack::start().await;
    let mut comparison = Comparison::default();
    for program in Program::ALL {
        let name = program.name();
        let direct = run(program, &stack.direct(), &stack.provider).await;
        let books = Books::open(&stack).await;
        let octo = run(program, &stack.through_octo(), &stack.provider).await;
        assert_eq!(direct.seen.sent, octo.seen.sent, "requests of {name}");

        let differences = comparison.differences(name, &direct.view(), &octo.view());
        insta::assert_snapshot!(name, readable(&octo.seen.cases));
        insta::assert_snapshot!(format!("{name}-differences"), differences);
        if matches!(program, Program::OpenAiPython) {
            let asked = asked(&octo.view()["requests"]);
            insta::assert_snapshot!(format!("{name}-asked"), readable(&asked));
        }
        let books = books.close(&stack, &octo.seen.sent).await;
        insta::assert_snapshot!(format!("{name}-books"), books);
    }
    comparison.end();
    stack.stop().await;
}

/// What of a program's requests is worth a look. That the provider sees the same from the proxy is compared for
/// every request; here stands what it is, fields included that octo has never heard of.
fn asked(requests: &Value) -> Value {
    let chats = &requests["chat completions"];
    let plain = chats["chat"].as_array().unwrap();
    let with_media = |body: &&Value| body["messages"][0]["content"].is_array();
    json!({
        "every_other_field": chats["fields"][0],
        "image_and_audio": plain.iter().find(with_media),
        "structured": chats["schema"][0],
        "tools": chats["tools"][0],
        "responses": requests["responses"]["chat"][0],
    })
}

/// What a program saw, and what the provider behind everything saw of it.
struct Run {
    seen: Seen,
    requests: Vec<Value>,
}

async fn run(program: Program, target: &Target, provider: &Provider) -> Run {
    let seen = program.run(target).await;
    // Nobody who hung up keeps a provider busy.
    provider.hung_up(program.streams_left()).await;
    Run {
        seen,
        requests: provider.take_seen(),
    }
}

impl Run {
    /// The cases, and the bodies of the requests by path and model.
    fn view(&self) -> Value {
        let mut requests = json!({});
        for request in &self.requests {
            let path = request["path"].as_str().unwrap();
            let path = path.trim_start_matches("/v1/").replace('/', " ");
            let model = request["body"]["model"].as_str().unwrap();
            let bodies = &mut requests[path][model];
            match bodies {
                Value::Array(bodies) => bodies.push(request["body"].clone()),
                _ => *bodies = json!([request["body"]]),
            }
        }
        let mut view = self.seen.cases.clone();
        view["requests"] = requests;
        view
    }
}
