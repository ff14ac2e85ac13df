//! `GET /api/events`: the log of all tasks from a cursor on, as pages or as Server-Sent Events.

mod page;
mod query;
mod stream;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use event_store::LogQuery;

use super::ApiError;
use crate::app::App;

pub(crate) use query::{After, parse_types};

/// A stream if the client takes one, else a page.
pub(super) async fn events(
    State(app): State<App>,
    query: Result<Query<query::Words>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(words) = query.map_err(|error| ApiError::validation(error.body_text()))?;
    if takes_a_stream(&headers) {
        let wanted = query::stream(&words, &headers).map_err(ApiError::validation)?;
        let after = start(&app, wanted.after).await?;
        return stream::open(&app, after, wanted.types);
    }
    let wanted = query::page(&words).map_err(ApiError::validation)?;
    let after = start(&app, wanted.part.after).await?;
    let asked = LogQuery {
        after,
        types: wanted.part.types,
        limit: wanted.limit,
    };
    let page = page::read(&app, asked, wanted.wait).await?;
    Ok(axum::Json(page).into_response())
}

fn takes_a_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The cursor to begin after.
///
/// One that the log has not reached is refused: the reader took it from another log, one from before a
/// backup was restored for example, and would wait in silence while it misses what is recorded now.
async fn start(app: &App, after: After) -> Result<u64, ApiError> {
    let head = *app.store.head().borrow();
    let after = match after {
        After::Latest => return Ok(head),
        After::Cursor(after) => after,
    };
    if after <= head {
        return Ok(after);
    }
    // It may have been read from the store a moment before this gateway was told of it.
    let at_cursor = LogQuery {
        after: after - 1,
        types: Vec::new(),
        limit: 1,
    };
    if app.store.log(at_cursor).await?.events.is_empty() {
        return Err(ApiError::cursor_ahead(after, head));
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_stream_is_for_those_who_name_it() {
        let takes = |accept: &'static str| {
            let value = HeaderValue::from_static(accept);
            takes_a_stream(&HeaderMap::from_iter([(header::ACCEPT, value)]))
        };
        assert!(takes("text/event-stream"));
        assert!(takes("application/json, Text/Event-Stream;q=0.9"));
        assert!(!takes("*/*"), "a program without a preference gets a page");
        assert!(!takes("application/json"));
        assert!(!takes_a_stream(&HeaderMap::new()));
    }
}
