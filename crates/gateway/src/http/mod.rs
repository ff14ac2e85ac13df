//! The HTTP API: routes, one file a subject.

mod auth;
mod body;
mod costs;
mod error;
mod events;
mod health;
mod messages;
mod openai_error;
mod stream;
mod tasks;
mod v1;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) use costs::parse_query as parse_cost_query;
pub use error::ApiError;
pub(crate) use events::{After, parse_types};
pub use openai_error::OpenAiError;

/// Every route. `/health` and `/ready` answer without the gateway's key; nothing else does.
pub fn router(app: App) -> Router {
    let api = Router::new()
        .route("/api/message", post(messages::post))
        .route("/api/tasks", get(tasks::list))
        .route("/api/tasks/{task_id}", get(tasks::show))
        .route("/api/tasks/{task_id}/cancel", post(tasks::cancel))
        .route("/api/tasks/{task_id}/cost", get(costs::of_task))
        .route("/api/costs", get(costs::report))
        .route("/api/events", get(events::events))
        .route("/api/stream/task/{task_id}", get(stream::task))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path);
    let open = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .method_not_allowed_fallback(wrong_method);
    v1::routes()
        .merge(api)
        .layer(middleware::from_fn_with_state(app.clone(), auth::guard))
        .merge(open)
        .with_state(app)
}

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::not_found("NOT_FOUND", format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::wrong_method(format!("{} does not take {method}", uri.path()))
}
