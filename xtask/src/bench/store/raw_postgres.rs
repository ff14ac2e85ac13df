//! Postgres by itself, with the rows that the store has written and nothing around them.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Statement};

use super::rows::{Batch, HASH, NewTask, Row};
use super::work::Times;

const EVENTS: &str =
    "INSERT INTO events (event_id, task_id, task_seq, ts, type, schema_version, actor, payload,
         trace_id, span_id, position, hash)
     SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::int8[]), unnest($4::text[]),
         unnest($5::text[]), 1, unnest($6::text[]), unnest($7::text[]), unnest($8::text[]), '',
         unnest($9::int8[]), unnest($10::bytea[])";
const NEW_TASKS: &str =
    "INSERT INTO tasks (task_id, created_at, updated_at, status, title, thread_id, scope_id,
         requester, risk_level, pointers, last_seq, chain)
     SELECT unnest($1::text[]), unnest($2::text[]), unnest($2::text[]), 'CREATED',
         unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::text[]),
         unnest($7::text[]), unnest($8::text[]), unnest($9::int8[]), unnest($10::bytea[])";
const CHANGES: &str =
    "UPDATE tasks SET updated_at = new.ts, pointers = new.pointers, last_seq = new.seq,
         chain = new.chain
     FROM (SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::int8[]),
               unnest($5::bytea[])) AS new (id, ts, pointers, seq, chain)
     WHERE task_id = new.id";

/// A connection, for as long as its driver is kept.
async fn connect(url: &str) -> Result<(Client, JoinSet<()>)> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // An error reaches the statement that waits for its answer.
        let _ = connection.await;
    });
    Ok((client, driver))
}

/// How many bytes a database takes on disk.
pub(super) async fn size(url: &str) -> Result<u64> {
    let (client, _driver) = connect(url).await?;
    let sql = "SELECT pg_database_size(current_database())";
    let bytes: i64 = client.query_one(sql, &[]).await?.try_get(0)?;
    Ok(u64::try_from(bytes)?)
}

type Values<'a> = [&'a (dyn ToSql + Sync)];

/// A connection to a database of today's layout.
pub(super) struct Raw {
    client: Client,
    _connection: JoinSet<()>,
    events: Statement,
    new_tasks: Statement,
    changes: Statement,
}

impl Raw {
    pub(super) async fn open(url: &str) -> Result<Self> {
        let (client, driver) = connect(url).await?;
        // As the store's own: else a plan that was made for an empty table reads all of a full one.
        client
            .batch_execute(
                "SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
                 SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0",
            )
            .await?;
        Ok(Self {
            events: client.prepare(EVENTS).await?,
            new_tasks: client.prepare(NEW_TASKS).await?,
            changes: client.prepare(CHANGES).await?,
            client,
            _connection: driver,
        })
    }

    /// A transaction for each batch, until the time is over.
    pub(super) async fn commit_for(
        &self,
        batches: &[Batch],
        time: Duration,
        times: &mut Times,
    ) -> Result<()> {
        let start = Instant::now();
        for batch in batches {
            let began = Instant::now();
            if began - start >= time {
                break;
            }
            self.transaction(batch).await?;
            times.record(began.elapsed(), batch.events());
        }
        times.took(start.elapsed());
        Ok(())
    }

    /// All statements are sent before the first answer: each is when it is first polled.
    async fn transaction(&self, batch: &Batch) -> Result<(), Error> {
        tokio::try_join!(
            biased;
            self.client.batch_execute("BEGIN"),
            self.begin_tasks(batch),
            self.insert_events(batch),
            self.change_tasks(batch),
            self.client.batch_execute("COMMIT"),
        )?;
        Ok(())
    }

    async fn begin_tasks(&self, batch: &Batch) -> Result<u64, Error> {
        let new: Vec<(&Row, &NewTask)> = batch.new_tasks().collect();
        if new.is_empty() {
            return Ok(0);
        }
        let values: &Values<'_> = &[
            &column(&new, |(row, _)| row.task_id.as_str()),
            &column(&new, |(row, _)| row.ts.as_str()),
            &column(&new, |(_, task)| task.created.title.as_str()),
            &column(&new, |(_, task)| task.created.thread_id.as_str()),
            &column(&new, |(_, task)| task.created.scope_id.as_str()),
            &column(&new, |(_, task)| task.requester.as_str()),
            &column(&new, |(_, task)| task.created.risk_level.as_str()),
            &column(&new, |(row, _)| row.pointers.as_str()),
            &column(&new, |(row, _)| row.task_seq),
            &column(&new, |_| HASH.as_slice()),
        ];
        self.client.execute(&self.new_tasks, values).await
    }

    async fn insert_events(&self, batch: &Batch) -> Result<u64, Error> {
        let rows: Vec<&Row> = batch.rows.iter().map(AsRef::as_ref).collect();
        let values: &Values<'_> = &[
            &column(&rows, |row| row.event_id.as_str()),
            &column(&rows, |row| row.task_id.as_str()),
            &column(&rows, |row| row.task_seq),
            &column(&rows, |row| row.ts.as_str()),
            &column(&rows, |row| row.event_type.as_str()),
            &column(&rows, |row| row.actor.as_str()),
            &column(&rows, |row| row.payload.as_str()),
            &column(&rows, |row| row.trace_id.as_str()),
            &column(&rows, |row| row.position),
            &column(&rows, |_| HASH.as_slice()),
        ];
        self.client.execute(&self.events, values).await
    }

    async fn change_tasks(&self, batch: &Batch) -> Result<u64, Error> {
        let rows: Vec<&Row> = batch.changes.iter().map(AsRef::as_ref).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let values: &Values<'_> = &[
            &column(&rows, |row| row.task_id.as_str()),
            &column(&rows, |row| row.ts.as_str()),
            &column(&rows, |row| row.pointers.as_str()),
            &column(&rows, |row| row.task_seq),
            &column(&rows, |_| HASH.as_slice()),
        ];
        self.client.execute(&self.changes, values).await
    }
}

/// What is said of each row.
fn column<R: Copy, T>(rows: &[R], of: impl Fn(R) -> T) -> Vec<T> {
    rows.iter().copied().map(of).collect()
}

/// A connection for each share, all at once: Postgres groups their syncs by itself.
pub(super) async fn at_once(
    raws: Vec<Raw>,
    shares: Vec<Vec<Batch>>,
    time: Duration,
    times: &mut Times,
) -> Result<Vec<Raw>> {
    let mut running = JoinSet::new();
    let start = Instant::now();
    for (raw, share) in raws.into_iter().zip(shares) {
        running.spawn(async move {
            let mut own = Times::new()?;
            raw.commit_for(&share, time, &mut own).await?;
            Ok::<_, anyhow::Error>((raw, own))
        });
    }
    let mut back = Vec::new();
    while let Some(done) = running.join_next().await {
        let (raw, own) = done??;
        times.merge(&own)?;
        back.push(raw);
    }
    times.took(start.elapsed());
    Ok(back)
}
