//! `/api/tasks`: list, look at, cancel.

use axum::Json;
use axum::extract::{Path, Query, State};
use event_payloads::{Event, TaskId, TaskStatus};
use event_store::{Artifact, Task, TaskQuery};
use serde::{Deserialize, Serialize};

use super::ApiError;
use crate::app::App;

/// Tasks in one answer.
const MAX_TASKS: usize = 1000;
/// Events that are read at once.
const PAGE: usize = 1000;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    status: Option<String>,
}

#[derive(Serialize)]
pub(super) struct TaskList {
    tasks: Vec<Task>,
    /// True if there are older ones that are not in this answer.
    has_more: bool,
}

#[derive(Serialize)]
pub(super) struct TaskView {
    task: Task,
    events: Vec<Event>,
    artifacts: Vec<Artifact>,
}

#[derive(Serialize)]
pub(super) struct Cancelled {
    task_id: TaskId,
    status: TaskStatus,
}

/// Newest first.
pub(super) async fn list(
    State(app): State<App>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<TaskList>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::validation(error.body_text()))?;
    let status = query
        .status
        .filter(|word| !word.is_empty())
        .map(|word| word.parse::<TaskStatus>())
        .transpose();
    let status = status.map_err(|error| ApiError::validation(error.to_string()))?;
    let limit = MAX_TASKS + 1;
    let mut tasks = app.store.tasks(TaskQuery { status, limit }).await?;
    let has_more = tasks.len() > MAX_TASKS;
    tasks.truncate(MAX_TASKS);
    Ok(Json(TaskList { tasks, has_more }))
}

pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<TaskView>, ApiError> {
    let task_id = parse_id(&id)?;
    let task = app
        .store
        .task(&task_id)
        .await?
        .ok_or_else(|| ApiError::no_task(&id))?;
    let events = all_events(&app, &task_id).await?;
    let artifacts = app.store.artifacts(&task_id).await?;
    Ok(Json(TaskView {
        task,
        events,
        artifacts,
    }))
}

/// Every event: an answer that leaves some out without saying so would be a wrong one.
async fn all_events(app: &App, task_id: &TaskId) -> Result<Vec<Event>, ApiError> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.task_seq);
        let page = app.store.events(task_id, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        events.extend(page);
        if is_last {
            return Ok(events);
        }
    }
}

pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Cancelled>, ApiError> {
    let task_id = parse_id(&id)?;
    app.tasks.cancel(&task_id).await?;
    Ok(Json(Cancelled {
        task_id,
        status: TaskStatus::Cancelled,
    }))
}

/// What can not be a task's identifier is no task.
pub(super) fn parse_id(id: &str) -> Result<TaskId, ApiError> {
    id.parse().map_err(|_| ApiError::no_task(id))
}
