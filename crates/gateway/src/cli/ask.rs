//! `octo ask`: one call from the terminal, in the same books as any other.

mod answer;
mod trailers;

use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use event_store::StoreError;
use http::{Request, header};
use http_body_util::Full;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;
use tower_service::Service as _;

use super::gateway_client::{self, GatewayError};
use super::{Exit, output};
use crate::app::{App, AppError};
use crate::config::Config;
use crate::http::router;

/// Between two tries to get at the store.
const STORE_PAUSE: Duration = Duration::from_millis(200);
/// What an answer may take beyond the gateway's own limits.
const SLACK: Duration = Duration::from_secs(30);

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
            Err(error) => return Err(output::with_causes(&error)),
        };
        match ask_gateway(config, question).await? {
            Ok(shown) => return Ok(shown),
            // Nobody listens: another `octo ask` has the store, for as long as its call takes.
            Err(GatewayError::Connect(..)) if Instant::now() < deadline => {
                tokio::time::sleep(STORE_PAUSE).await;
            }
            Err(error @ GatewayError::Connect(..)) => return Err(format!("{in_use}; {error}")),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// The request goes straight into the routes: no port is opened for it.
async fn ask_here(app: App, question: &Question) -> Result<Shown, String> {
    let request = request(&app.config, question)?.map(Body::new);
    let mut routes = router(app.clone());
    // Routes do not fail: what goes wrong is an answer too.
    let Ok(response) = routes.call(request).await;
    let shown = answer::read(response, question, quiet_limit(&app.config)).await;
    // The end of the call is written down first, also if its answer could not be read.
    app.tasks.shut_down(SLACK).await;
    if let Err(error) = app.store.close().await {
        output::error(&error);
    }
    shown
}

async fn ask_gateway(
    config: &Config,
    question: &Question,
) -> Result<Result<Shown, GatewayError>, String> {
    let request = request(config, question)?;
    let limit = config.proxy.call_timeout + SLACK;
    let begun = match gateway_client::send(config.server.listen, request, limit).await {
        Ok(begun) => begun,
        Err(error) => return Ok(Err(error)),
    };
    let shown = answer::read(begun.response, question, quiet_limit(config)).await;
    drop(begun.connection);
    shown.map(Ok)
}

/// The gateway keeps the limits of a call; this one is for a gateway that hangs.
fn quiet_limit(config: &Config) -> Duration {
    config.proxy.stream_idle_timeout + SLACK
}

/// A streamed chat call, whose cost comes in the trailers.
fn request(config: &Config, question: &Question) -> Result<Request<Full<Bytes>>, String> {
    let body = serde_json::json!({
        "model": question.alias,
        "messages": [{"role": "user", "content": question.prompt}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    let mut request = Request::post("/v1/chat/completions")
        .header(header::HOST, config.server.listen.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::TE, "trailers")
        .header("x-octo-allow-fallback", "true");
    if let Some(key) = &config.server.key {
        let bearer = format!("Bearer {}", key.expose_secret());
        request = request.header(header::AUTHORIZATION, bearer);
    }
    request
        .body(Full::from(body.to_string()))
        .map_err(|error| format!("the request can not be written: {error}"))
}

fn print(shown: &Shown, json: bool) -> Exit {
    if json {
        output::json(shown);
    } else {
        // The content was printed as it came.
        output::line("\n");
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
