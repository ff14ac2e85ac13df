//! `octo ask`: one call from the terminal, in the same books as any other.

use std::time::{Duration, Instant};

use event_payloads::{Cost, TaskId};
use event_store::StoreError;
use provider_core::{ChatRequest, ModelCallResult};
use provider_service::{ChatCall, FallbackPolicy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gateway_client::{self, Answer, GatewayError};
use super::{Exit, output};
use crate::app::{App, AppError};
use crate::config::Config;

/// Between two tries to get at the store.
const STORE_PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Question {
    pub(super) prompt: String,
    pub(super) alias: String,
    pub(super) json: bool,
}

/// What is shown, whoever made the call.
#[derive(Serialize)]
struct Shown {
    task_id: String,
    content: String,
    model_alias: String,
    model_name: String,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    cost_usd: Option<Value>,
    cost_unavailable_reason: Option<String>,
    is_fallback: bool,
    fallback_reason: Option<String>,
}

pub(super) async fn ask(config: Config, question: Question) -> Exit {
    if question.prompt.trim().is_empty() {
        output::note("error: there is nothing to ask");
        return Exit::Usage;
    }
    for warning in &config.warnings {
        output::note(format!("warning: {warning}"));
    }
    match answer(&config, &question).await {
        Ok(shown) => print(&shown, question.json),
        Err(message) => {
            output::note(format!("error: {message}"));
            Exit::Failed
        }
    }
}

/// Makes the call here, or has the gateway make it that runs on this store.
async fn answer(config: &Config, question: &Question) -> Result<Shown, String> {
    let deadline = Instant::now() + config.proxy.call_timeout;
    loop {
        let in_use = match App::start(config.clone()).await {
            Ok(app) => return ask_here(app, question).await,
            Err(AppError::Store(error @ StoreError::InUse { .. })) => error,
            Err(error) => return Err(error.to_string()),
        };
        match ask_gateway(&config.server, config.proxy.call_timeout, question).await {
            Ok(answer) => return Shown::of_answer(&question.alias, &answer),
            // Nobody listens: another `octo ask` has the store, for as long as its call takes.
            Err(GatewayError::Connect(..)) if Instant::now() < deadline => {
                tokio::time::sleep(STORE_PAUSE).await;
            }
            Err(error @ GatewayError::Connect(..)) => return Err(format!("{in_use}; {error}")),
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn ask_here(app: App, question: &Question) -> Result<Shown, String> {
    let call = ChatCall {
        model: question.alias.clone(),
        request: ChatRequest::from_prompt(&question.prompt),
        task: None,
        fallback: FallbackPolicy::Allow,
    };
    let outcome = app.tasks.chat(call).await;
    if let Err(error) = app.store.close().await {
        output::error(&error);
    }
    let answer = outcome.map_err(|error| error.to_string())?;
    Ok(Shown::of_result(&answer.task_id, answer.result))
}

async fn ask_gateway(
    server: &crate::config::ServerConfig,
    call_limit: Duration,
    question: &Question,
) -> Result<Answer, GatewayError> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        messages: [Message<'a>; 1],
    }
    #[derive(Serialize)]
    struct Message<'a> {
        role: &'static str,
        content: &'a str,
    }
    let messages = [Message {
        role: "user",
        content: &question.prompt,
    }];
    let body = serde_json::to_vec(&Body {
        model: &question.alias,
        messages,
    })?;
    let headers = [("x-octo-allow-fallback", "true")];
    // The gateway keeps the limit of a call; this one is for a gateway that hangs.
    let limit = call_limit + Duration::from_secs(30);
    gateway_client::post(server, "/v1/chat/completions", &headers, body, limit).await
}

/// The parts of an OpenAI-shaped body that are shown.
#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Choice {
    message: Content,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

impl Shown {
    fn of_result(task_id: &TaskId, result: ModelCallResult) -> Self {
        let (cost_usd, reason) = match &result.cost {
            Cost::Known { usd, .. } => (serde_json::to_value(usd).ok(), None),
            Cost::Unavailable(reason) => (None, Some(reason.clone())),
        };
        Self {
            task_id: task_id.to_string(),
            content: result.content,
            model_alias: result.model_alias,
            model_name: result.model_name,
            prompt_tokens: result.token_usage.map(|usage| usage.prompt_tokens),
            completion_tokens: result.token_usage.map(|usage| usage.completion_tokens),
            cost_usd,
            cost_unavailable_reason: reason,
            is_fallback: result.fallback.is_some(),
            fallback_reason: result.fallback.map(|reason| reason.to_string()),
        }
    }

    fn of_answer(alias: &str, answer: &Answer) -> Result<Self, String> {
        let body: Completion = serde_json::from_slice(&answer.body).map_err(|error| {
            format!(
                "the gateway answered {} with something else than JSON: {error}",
                answer.status
            )
        })?;
        if let Some(failure) = body.error {
            return Err(failure.message);
        }
        let header = |name| {
            answer
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let fallback_reason = header("x-octo-fallback");
        Ok(Self {
            task_id: header("x-octo-task-id").unwrap_or_default(),
            content: body
                .choices
                .into_iter()
                .find_map(|choice| choice.message.content)
                .unwrap_or_default(),
            model_alias: alias.to_owned(),
            model_name: header("x-octo-model").unwrap_or_default(),
            prompt_tokens: body.usage.as_ref().and_then(|usage| usage.prompt_tokens),
            completion_tokens: body
                .usage
                .as_ref()
                .and_then(|usage| usage.completion_tokens),
            cost_usd: header("x-octo-cost-usd").and_then(|text| serde_json::from_str(&text).ok()),
            cost_unavailable_reason: header("x-octo-cost-unavailable"),
            is_fallback: fallback_reason.is_some(),
            fallback_reason,
        })
    }
}

fn print(shown: &Shown, json: bool) -> Exit {
    if json {
        output::json(shown);
    } else {
        output::line(&shown.content);
        output::line("");
        output::line(output::paint(&facts(shown), "2"));
        if let Some(reason) = &shown.fallback_reason {
            output::line(output::paint(&format!("fallback: {reason}"), "33"));
        }
    }
    if shown.is_fallback {
        Exit::OnlyFallback
    } else {
        Exit::Good
    }
}

fn facts(shown: &Shown) -> String {
    let count = |tokens: Option<u64>| tokens.map_or("?".to_owned(), |tokens| tokens.to_string());
    let cost = match (&shown.cost_usd, &shown.cost_unavailable_reason) {
        (Some(usd), _) => format!("{usd} USD"),
        (None, reason) => format!(
            "cost unavailable ({})",
            reason.as_deref().unwrap_or("no reason given")
        ),
    };
    format!(
        "{} → {} · {} tokens in, {} out · {cost} · task {}",
        shown.model_alias,
        if shown.model_name.is_empty() {
            "unknown model"
        } else {
            &shown.model_name
        },
        count(shown.prompt_tokens),
        count(shown.completion_tokens),
        shown.task_id,
    )
}
