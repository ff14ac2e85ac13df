//! Reading tasks, events, artifacts and costs.

use event_payloads::{ArtifactId, Event, EventId, EventPage, LoggedEvent, TaskId};
use tokio_postgres::Row;

use super::pool::Readers;
use crate::books::answer::Answer;
use crate::books::cover::cover;
use crate::files;
use crate::rows::{self, Problem, Row as _, corrupt, from_sql, to_sql};
use crate::sql;
use crate::{
    Artifact, Call, CostQuery, CostRow, LogQuery, OpenCall, Orphans, Overview, Position,
    PruneQuery, Pruned, StoreError, Task, TaskQuery,
};

fn limit(rows: usize) -> i64 {
    to_sql(u64::try_from(rows).unwrap_or(u64::MAX))
}

/// True for what a text of Postgres can be: a key that can not has never been recorded.
pub(crate) fn is_text(text: &str) -> bool {
    !text.contains('\0')
}

fn first<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    rows.first().map(read).transpose()
}

fn all<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(read).collect()
}

fn unreadable(problem: Problem) -> StoreError {
    corrupt("an answer of the database", problem.0)
}

/// Programs that are alive, but for one.
const OTHERS: &str = "SELECT count(*) AS others FROM gateways
     WHERE gateway_id <> $1 AND expires_at > clock_timestamp()";

impl Readers {
    pub(crate) async fn others(&self, gateway_id: &str) -> Result<u64, StoreError> {
        let rows = self.query(OTHERS, &[&gateway_id]).await?;
        let count = rows.first().map(|row| row.count("others"));
        Ok(count.transpose().map_err(unreadable)?.unwrap_or_default())
    }

    pub(crate) async fn task(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        let rows = self.query(&sql::task(), &[&task_id.as_str()]).await?;
        first(&rows, rows::task)
    }

    pub(crate) async fn task_by_key(&self, key: &str) -> Result<Option<Task>, StoreError> {
        if !is_text(key) {
            return Ok(None);
        }
        let rows = self.query(&sql::task_by_key(), &[&key]).await?;
        first(&rows, rows::task)
    }

    pub(crate) async fn tasks(&self, query: TaskQuery) -> Result<Vec<Task>, StoreError> {
        let limit = limit(query.limit);
        let rows = match query.status {
            Some(status) => {
                let status = status.as_str();
                self.query(&sql::tasks_by_status(), &[&status, &limit])
                    .await?
            }
            None => self.query(&sql::tasks(), &[&limit]).await?,
        };
        Ok(rows::readable(rows.iter().map(rows::task).collect()))
    }

    pub(crate) async fn events(
        &self,
        task_id: &TaskId,
        after_seq: u64,
        rows: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let (task_id, after, limit) = (task_id.as_str(), to_sql(after_seq), limit(rows));
        let rows = self
            .query(&sql::events(), &[&task_id, &after, &limit])
            .await?;
        all(&rows, rows::event)
    }

    pub(crate) async fn position(
        &self,
        event_id: &EventId,
    ) -> Result<Option<Position>, StoreError> {
        let rows = self.query(sql::POSITION, &[&event_id.as_str()]).await?;
        first(&rows, rows::position)
    }

    pub(crate) async fn artifacts(&self, task_id: &TaskId) -> Result<Vec<Artifact>, StoreError> {
        let rows = self.query(&sql::artifacts(), &[&task_id.as_str()]).await?;
        all(&rows, rows::artifact)
    }

    pub(crate) async fn artifact_content(
        &self,
        artifact_id: &ArtifactId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self
            .query(&artifact_with_content(), &[&artifact_id.as_str()])
            .await?;
        let content = rows
            .first()
            .map(|row| content_of(&rows::artifact(row)?, row));
        content.transpose()
    }

    pub(crate) async fn calls(&self, task_id: &TaskId) -> Result<Vec<Call>, StoreError> {
        let rows = self.query(&sql::calls(), &[&task_id.as_str()]).await?;
        all(&rows, |row| Ok(rows::call(row)?.call))
    }

    /// What this program recorded and has no end yet.
    pub(crate) async fn unfinished(&self, own: &str) -> Result<Orphans, StoreError> {
        let whose = "AND owner = $1";
        let calls = self.query(&sql::unfinished_calls(whose), &[&own]).await?;
        let tasks = self.query(&sql::unfinished_tasks(whose), &[&own]).await?;
        Ok(Orphans {
            calls: rows::readable(calls.iter().map(rows::open_call).collect()),
            tasks: rows::readable(tasks.iter().map(rows::task).collect()),
        })
    }

    pub(crate) async fn open_calls(&self) -> Result<Vec<OpenCall>, StoreError> {
        let rows = self.query(&sql::open_calls(), &[]).await?;
        all(&rows, rows::open_call)
    }

    pub(crate) async fn head(&self) -> Result<u64, StoreError> {
        let rows = self.query(sql::HEAD, &[]).await?;
        let head = rows.first().map(|row| row.count("head"));
        Ok(head.transpose().map_err(unreadable)?.unwrap_or(0))
    }

    pub(crate) async fn overview(&self) -> Result<Overview, StoreError> {
        let rows = self.query(sql::OVERVIEW, &[]).await?;
        let overview = rows.first().map(rows::overview).transpose()?;
        let sql = "SELECT (SELECT max(version) FROM octo_layout) AS layout,
                          pg_database_size(current_database()) AS bytes";
        let about = self.query(sql, &[]).await?;
        let about = |column| {
            let number = about.first().map(|row| row.number(column)).transpose();
            Ok::<_, StoreError>(number.map_err(unreadable)?.unwrap_or(0))
        };
        Ok(Overview {
            layout: about("layout")?,
            database_bytes: from_sql(about("bytes")?),
            ..overview.unwrap_or_default()
        })
    }

    pub(crate) async fn prunable(&self, query: PruneQuery) -> Result<Pruned, StoreError> {
        let rows = self
            .query(
                &sql::prunable(),
                &[&query.before.to_string(), &to_sql(query.up_to)],
            )
            .await?;
        let pruned = rows.first().map(rows::pruned).transpose()?;
        Ok(pruned.unwrap_or_default())
    }

    pub(crate) async fn cursor(&self, reader: &str) -> Result<u64, StoreError> {
        if !is_text(reader) {
            return Ok(0);
        }
        let rows = self.query(sql::CURSOR, &[&reader]).await?;
        let position = rows.first().map(|row| row.count("position"));
        Ok(position.transpose().map_err(unreadable)?.unwrap_or(0))
    }

    pub(crate) async fn log(&self, query: &LogQuery) -> Result<EventPage, StoreError> {
        let after = to_sql(query.after);
        let most = limit(query.limit).min(LOOK_AT);
        if query.types.is_empty() {
            let rows = self.query(&sql::log(), &[&after, &most]).await?;
            let end = (limit(rows.len()) < most).then_some((query.after, true));
            return page(query, &rows, end);
        }
        let rows = self.query(SEEN, &[&after, &LOOK_AT]).await?;
        let (Some(seen), Some(last)) = (
            rows.first().and_then(|row| row.number("seen").ok()),
            rows.first().and_then(|row| row.number("last").ok()),
        ) else {
            return Err(corrupt("the log", "it can not be counted"));
        };
        let types: Vec<&str> = query
            .types
            .iter()
            .map(event_payloads::EventType::as_str)
            .collect();
        let rows = self
            .query(&of_types(), &[&after, &last, &types, &limit(query.limit)])
            .await?;
        let end = (rows.len() < query.limit).then(|| (from_sql(last), seen < LOOK_AT));
        page(query, &rows, end)
    }

    pub(crate) async fn cost_rollup(&self, query: &CostQuery) -> Result<Vec<CostRow>, StoreError> {
        let parts = cover(query);
        let witnesses: Vec<_> = parts
            .iter()
            .filter_map(|part| sql::witness(query, &part.of))
            .collect();
        let sums = parts.iter().map(|part| sql::sums(query, &part.of));
        let mut questions: Vec<_> = sums.collect();
        questions.push(sql::open_sums(query));
        for witness in &witnesses {
            questions.extend([witness.kept.clone(), witness.there.clone()]);
        }
        let answers = self.snapshot(&questions).await?;
        let (sums, others) = answers.split_at(parts.len());
        let (open, counts) = others.split_at(1);
        for (witness, counts) in witnesses.into_iter().zip(counts.chunks(2)) {
            refuse_pruned(witness.when, counts)?;
        }
        let mut answer = Answer::default();
        for (part, rows) in parts.iter().zip(sums) {
            for row in rows {
                let group = rows::group(row, &query.group_by)?;
                answer.add(group, &rows::sums(row)?, part.times);
            }
        }
        for row in open.iter().flatten() {
            let calls = row.count("calls").map_err(unreadable)?;
            answer.add_open(rows::group(row, &query.group_by)?, calls);
        }
        answer.rows(&query.group_by)
    }
}

/// Takes an artifact.
fn artifact_with_content() -> String {
    format!(
        "SELECT {}, content FROM artifacts LEFT JOIN artifact_contents USING (artifact_id)
         WHERE artifact_id = $1",
        sql::ARTIFACT_COLUMNS
    )
}

/// The content of an artifact, from its row with the `content` that stands apart; checked.
pub(crate) fn content_of(artifact: &Artifact, row: &Row) -> Result<Vec<u8>, StoreError> {
    let apart = artifact
        .storage_ref
        .as_deref()
        .is_some_and(|text| !text.is_empty());
    let content = if apart {
        row.bytes_or_null("content").map_err(unreadable)?
    } else {
        artifact.inline_content()
    };
    let missing = || {
        corrupt(
            format!("artifact {}", artifact.artifact_id),
            "it has no content",
        )
    };
    let content = content.ok_or_else(missing)?;
    files::verify(artifact, &content)?;
    Ok(content)
}

/// Single calls answer only where none of them was pruned: both counts are the same then.
fn refuse_pruned(when: String, counts: &[Vec<Row>]) -> Result<(), StoreError> {
    let counts: Result<Vec<i64>, _> = counts.iter().flatten().map(|row| row.try_get(0)).collect();
    let counts = counts.map_err(|error| unreadable(error.into()))?;
    if counts.windows(2).all(|pair| pair.first() == pair.last()) {
        return Ok(());
    }
    Err(StoreError::Pruned { when })
}

/// The most events that one page of the log looks at.
const LOOK_AT: i64 = 10_000;

/// How many events a page with types looks at, and the last of them. Takes a position and the most.
const SEEN: &str = "SELECT count(*) AS seen, coalesce(max(position), $1) AS last
     FROM (SELECT position FROM events WHERE position > $1 ORDER BY position LIMIT $2) AS looked_at";

fn of_types() -> String {
    format!(
        "SELECT {} FROM events WHERE position > $1 AND position <= $2 AND type = ANY($3)
         ORDER BY position LIMIT $4",
        sql::EVENT_COLUMNS
    )
}

/// A page of what was found; `end` is how far was looked beyond it, if there was nothing more, and whether
/// the log ends there.
fn page(query: &LogQuery, rows: &[Row], end: Option<(u64, bool)>) -> Result<EventPage, StoreError> {
    let mut page = EventPage {
        next: query.after,
        ..EventPage::default()
    };
    for row in rows {
        page.next = row.count("position").map_err(unreadable)?;
        page.events.push(LoggedEvent {
            cursor: page.next,
            event: rows::event(row)?,
        });
    }
    if let Some((looked_at, caught_up)) = end {
        page.next = page.next.max(looked_at);
        page.caught_up = caught_up;
    }
    Ok(page)
}
