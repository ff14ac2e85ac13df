//! `GET /v1/models`: what a program can ask for.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;

use crate::app::App;
use crate::http::OpenAiError;

#[derive(Serialize)]
pub(super) struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize)]
pub(super) struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl Model {
    const fn named(id: String) -> Self {
        Self {
            id,
            object: "model",
            created: 0,
            owned_by: "octo",
        }
    }
}

/// Every alias, and every group that is not an alias too.
pub(super) async fn list(State(app): State<App>) -> Json<ModelList> {
    Json(ModelList {
        object: "list",
        data: names(&app).into_iter().map(Model::named).collect(),
    })
}

/// One of them.
pub(super) async fn show(
    State(app): State<App>,
    Path(asked): Path<String>,
) -> Result<Json<Model>, OpenAiError> {
    if names(&app).contains(&asked) {
        return Ok(Json(Model::named(asked)));
    }
    let shown = event_payloads::first_chars(&asked, 80).escape_debug();
    let message = format!("there is no alias and no model group {shown}");
    let kind = "invalid_request_error";
    Err(
        OpenAiError::new(StatusCode::NOT_FOUND, kind, "model_not_found", message)
            .with_param(Some("model")),
    )
}

fn names(app: &App) -> Vec<String> {
    let aliases = app.tasks.llm().aliases();
    let mut ids: Vec<String> = aliases.all().map(|alias| alias.name.clone()).collect();
    ids.extend(aliases.groups().into_iter().map(ToString::to_string));
    ids.sort_unstable();
    ids.dedup();
    ids
}
