//! One real message through the running gateway, and what came of it.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use real_stack::{Answer, Exchange};
use serde_json::{Value, json};

use super::keys;

/// What is asked. Short, so that a base model on two cores answers in seconds.
pub(super) const QUESTION: &str = "Paris is the capital of";

/// The call's own limit is 30 s, then the fallback answers.
const FOLLOW_WITHIN: Duration = Duration::from_secs(90);

/// The gateway, and its key if it has one.
pub(super) struct Gateway<'a> {
    pub(super) url: &'a str,
    pub(super) key: Option<&'a str>,
}

/// What the events of the task say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) task: String,
    answer: String,
    model: String,
    tokens: String,
    cost: String,
    fallback: Option<String>,
}

/// Sends it and follows its events to the end.
pub(super) async fn send(gateway: &Gateway<'_>) -> Result<Outcome> {
    let body = json!({
        "text": QUESTION,
        "idempotency_key": format!("up-{}", keys::random()?),
        "model_alias": "planner",
    });
    let created = gateway
        .ask(Exchange::post(gateway.at("/api/message"), body.to_string()))
        .await?;
    ensure!(
        created.status == 201,
        "POST /api/message answered {}: {}",
        created.status,
        created.text()
    );
    let created = created.json();
    let task = created
        .get("task_id")
        .and_then(Value::as_str)
        .context("no task_id in the answer")?;

    let stream =
        Exchange::get(gateway.at(&format!("/api/stream/task/{task}"))).within(FOLLOW_WITHIN);
    let events = gateway.ask(stream).await?;
    ensure!(
        events.status.is_success(),
        "the event stream answered {}",
        events.status
    );
    outcome(task, &events.text())
}

impl Gateway<'_> {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn ask(&self, exchange: Exchange) -> Result<Answer> {
        let exchange = match self.key {
            Some(key) => exchange.bearer(key),
            None => exchange,
        };
        Ok(exchange.send().await?)
    }
}

/// Reads a whole event stream: `data:` lines with one event each.
fn outcome(task: &str, stream: &str) -> Result<Outcome> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    let events = data.filter_map(|event| serde_json::from_str::<Value>(event.trim()).ok());
    for event in events {
        let Some(payload) = event.get("payload") else {
            continue;
        };
        match event.get("type").and_then(Value::as_str) {
            Some("MODEL_CALL_COMPLETED") => return Ok(completed(task, payload)),
            Some("MODEL_CALL_FAILED") => {
                bail!("the call failed: {}", text(payload, "error_message"))
            }
            _ => {}
        }
    }
    bail!("the event stream of {task} ended without a model call")
}

fn completed(task: &str, payload: &Value) -> Outcome {
    let flag = |name| payload.get(name).and_then(Value::as_bool).unwrap_or(false);
    let usage = payload.get("token_usage").unwrap_or(&Value::Null);
    let count = |name| {
        usage
            .get(name)
            .map_or_else(|| "?".to_owned(), Value::to_string)
    };
    let cost = if flag("cost_unavailable") {
        format!("unavailable: {}", text(payload, "cost_unavailable_reason"))
    } else {
        let usd = payload
            .get("cost_usd")
            .map_or_else(|| "?".to_owned(), Value::to_string);
        format!("{usd} USD (source: {})", text(payload, "cost_source"))
    };
    Outcome {
        task: task.to_owned(),
        answer: text(payload, "response_summary").trim().to_owned(),
        model: format!(
            "{} (alias {})",
            text(payload, "model_name"),
            text(payload, "model_alias")
        ),
        tokens: format!(
            "{} in, {} out",
            count("prompt_tokens"),
            count("completion_tokens")
        ),
        cost,
        fallback: flag("is_fallback").then(|| text(payload, "fallback_reason").to_owned()),
    }
}

fn text<'a>(payload: &'a Value, name: &str) -> &'a str {
    payload
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "question  {QUESTION}")?;
        let mut lines = self.answer.lines();
        writeln!(formatter, "answer    {}", lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(formatter, "          {line}")?;
        }
        writeln!(formatter, "model     {}", self.model)?;
        writeln!(formatter, "tokens    {}", self.tokens)?;
        write!(formatter, "cost      {}", self.cost)?;
        if let Some(reason) = &self.fallback {
            write!(formatter, "\nfallback  no model answered: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(kind: &str, payload: &str) -> String {
        format!(
            ": heartbeat\n\nid: 1\nevent: USER_MESSAGE\ndata: {{\"type\":\"USER_MESSAGE\",\"payload\":{{}}}}\n\n\
             event: {kind}\ndata: {{\"type\":\"{kind}\",\"payload\":{payload}}}\n\n"
        )
    }

    #[test]
    fn what_is_shown_is_what_the_completed_call_says() {
        let payload = r#"{"model_alias":"planner","model_name":"gemma","response_summary":" Paris.\nYes.",
            "token_usage":{"prompt_tokens":6,"completion_tokens":3},"cost_usd":0.0000375,"cost_source":"proxy"}"#;
        let shown = outcome(
            "T",
            &stream("MODEL_CALL_COMPLETED", &payload.replace('\n', "")),
        )
        .unwrap()
        .to_string();
        assert!(shown.contains("model     gemma (alias planner)"), "{shown}");
        assert!(shown.contains("tokens    6 in, 3 out"), "{shown}");
        assert!(
            shown.contains("cost      0.0000375 USD (source: proxy)"),
            "{shown}"
        );
        assert!(!shown.contains("fallback"), "{shown}");
    }

    #[test]
    fn a_cost_that_is_not_known_is_not_shown_as_nothing() {
        let payload =
            r#"{"cost_usd":0,"cost_unavailable":true,"cost_unavailable_reason":"no price"}"#;
        let shown = outcome("T", &stream("MODEL_CALL_COMPLETED", payload))
            .unwrap()
            .to_string();
        assert!(shown.contains("cost      unavailable: no price"), "{shown}");
    }

    #[test]
    fn an_echo_is_shown_as_one() {
        let payload = r#"{"is_fallback":true,"fallback_reason":"refused"}"#;
        let shown = outcome("T", &stream("MODEL_CALL_COMPLETED", payload))
            .unwrap()
            .to_string();
        assert!(
            shown.contains("fallback  no model answered: refused"),
            "{shown}"
        );
    }

    #[test]
    fn a_failed_call_and_a_cut_stream_are_errors() {
        let failed = outcome(
            "T",
            &stream("MODEL_CALL_FAILED", r#"{"error_message":"too long"}"#),
        );
        assert_eq!(failed.unwrap_err().to_string(), "the call failed: too long");
        assert!(outcome("T", &stream("STATE_TRANSITION", "{}")).is_err());
    }
}
