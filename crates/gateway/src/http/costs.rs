//! What was spent: of one task, and of all.

use axum::Json;
use axum::extract::{Path, Query, State};
use event_payloads::Timestamp;
use event_store::{CostQuery, Dimension};
use provider_service::{CostReport, TaskCost, report as cost_report, task_cost};
use serde::Deserialize;

use super::ApiError;
use super::tasks::parse_id;
use crate::app::App;

#[derive(Deserialize)]
pub(super) struct ReportQuery {
    from: Option<String>,
    to: Option<String>,
    group_by: Option<String>,
}

pub(super) async fn of_task(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<TaskCost>, ApiError> {
    let task_id = parse_id(&id)?;
    let cost = task_cost(app.store.as_ref(), &task_id).await?;
    cost.map(Json).ok_or_else(|| ApiError::no_task(&id))
}

pub(super) async fn report(
    State(app): State<App>,
    query: Result<Query<ReportQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<CostReport>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::validation(error.body_text()))?;
    let query = parse_query(
        query.from.as_deref(),
        query.to.as_deref(),
        query.group_by.as_deref(),
    );
    let query = query.map_err(ApiError::validation)?;
    Ok(Json(cost_report(app.store.as_ref(), query).await?))
}

/// A query from the words of a URL or of the command line. The error is a sentence.
pub(crate) fn parse_query(
    from: Option<&str>,
    to: Option<&str>,
    group_by: Option<&str>,
) -> Result<CostQuery, String> {
    let group_by = group_by
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| word.parse::<Dimension>().map_err(|error| error.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    let twice = |(at, dimension)| group_by.iter().skip(at + 1).any(|later| later == dimension);
    if group_by.iter().enumerate().any(twice) {
        return Err("each dimension of `group_by` may stand once".to_owned());
    }
    Ok(CostQuery {
        from: moment(from)?,
        to: moment(to)?,
        task: None,
        group_by,
    })
}

/// A day (`2026-03-01`, its start in UTC) or a moment.
fn moment(text: Option<&str>) -> Result<Option<Timestamp>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // In a URL, a `+` that was not escaped arrives as a space.
    let text = text.replace(' ', "+");
    let whole = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text
    };
    whole
        .parse()
        .map(Some)
        .map_err(|error: event_payloads::InvalidTimestamp| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_are_read_and_nonsense_is_named() {
        let query = parse_query(
            Some("2026-03-01"),
            Some("2026-03-02T12:00:00 00:00"),
            Some("day, model"),
        )
        .unwrap();
        assert_eq!(
            query.from.unwrap().to_string(),
            "2026-03-01T00:00:00.000000+00:00"
        );
        assert_eq!(query.to.unwrap().day(), "2026-03-02");
        assert_eq!(query.group_by, [Dimension::Day, Dimension::Model]);
        assert!(
            parse_query(None, None, Some("colour"))
                .unwrap_err()
                .contains("colour")
        );
        assert!(
            parse_query(Some("soon"), None, None)
                .unwrap_err()
                .contains("soon")
        );
    }
}
