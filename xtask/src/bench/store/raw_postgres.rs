//! Postgres by itself, with the rows that the store would write and nothing around them.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::work::{Load, RawRow, TITLE, Times};

const EVENTS: &str =
    "INSERT INTO events (event_id, task_id, task_seq, ts, type, schema_version, actor,
         payload, trace_id, span_id, position, hash)
     SELECT id, task, $1, $2, 'USER_MESSAGE', 1, 'user', $3, 'trace-' || task, '', position, $4
     FROM unnest($5::text[], $6::text[], $7::bigint[]) AS new (id, task, position)";
const TASKS: &str =
    "UPDATE tasks SET updated_at = $1, pointers = new.pointers, last_seq = $2, chain = $3
     FROM unnest($4::text[], $5::text[]) AS new (id, pointers)
     WHERE task_id = new.id";

const NEW_TASKS: &str =
    "INSERT INTO tasks (task_id, created_at, updated_at, title, scope_id, requester)
     SELECT id, $1, $1, $2, 'chat:web:default', '{\"channel\":\"web\",\"sender_id\":\"owner\"}'
     FROM unnest($3::text[]) AS new (id)";

/// A connection to a database of today's layout that writes for some writers.
pub(super) struct Raw {
    client: Client,
    row: RawRow,
    _connection: JoinSet<()>,
    events: Statement,
    update: Statement,
    new: Statement,
    load: Load,
    writers: Range<usize>,
    /// Their tasks.
    tasks: Vec<String>,
    /// Transactions so far: each task has an event of each.
    transactions: u32,
    /// Positions are unique in the log: each connection has a range of its own.
    next: i64,
}

impl Raw {
    /// No two connections to a database may write for the same writer.
    pub(super) async fn open(url: &str, load: Load, writers: Range<usize>) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // An error reaches the statement that waits for its answer.
            let _ = connection.await;
        });
        // As the store's own: else a plan that was made for an empty table reads all of a full one.
        client
            .batch_execute(
                "SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
            )
            .await?;
        Ok(Self {
            events: client.prepare(EVENTS).await?,
            update: client.prepare(TASKS).await?,
            new: client.prepare(NEW_TASKS).await?,
            client,
            row: RawRow::new()?,
            _connection: driver,
            next: (i64::try_from(writers.start)? + 1) << 32,
            load,
            writers,
            tasks: Vec::new(),
            transactions: 0,
        })
    }

    /// Transactions of a commit for each writer, one event a commit.
    pub(super) async fn commit_for(&mut self, time: Duration, times: &mut Times) -> Result<()> {
        let commits = u64::try_from(self.writers.len())?;
        let start = Instant::now();
        while start.elapsed() < time {
            let began = Instant::now();
            self.transaction().await?;
            times.record(began.elapsed(), commits);
        }
        times.took(start.elapsed());
        Ok(())
    }

    /// All statements are sent before the first answer.
    async fn transaction(&mut self) -> Result<()> {
        let (tasks_before, seq) = (
            self.load.tasks(self.transactions),
            i64::from(self.load.seq(self.transactions)),
        );
        self.transactions += 1;
        if seq == 1 {
            let writers = self.writers.clone();
            self.tasks = writers
                .map(|writer| RawRow::task_id(tasks_before, writer))
                .collect();
        }
        let commits = i64::try_from(self.tasks.len())?;
        let positions: Vec<i64> = (self.next..self.next + commits).collect();
        self.next += commits;
        let ids: Vec<String> = positions.iter().map(|at| RawRow::event_id(*at)).collect();
        let pointers: Vec<String> = ids.iter().map(|id| RawRow::pointers(id)).collect();
        let RawRow { payload, hash } = &self.row;
        let hash = hash.as_slice();
        let rows: [&(dyn ToSql + Sync); 7] = [
            &seq,
            &RawRow::TS,
            payload,
            &hash,
            &ids,
            &self.tasks,
            &positions,
        ];
        let tasks: [&(dyn ToSql + Sync); 5] = [&RawRow::TS, &seq, &hash, &self.tasks, &pointers];
        let new: [&(dyn ToSql + Sync); 3] = [&RawRow::TS, &TITLE, &self.tasks];
        let make = async {
            match seq {
                1 => self.client.execute(&self.new, &new).await,
                _ => Ok(0),
            }
        };
        // Each sends its statement when it is first polled.
        tokio::try_join!(
            biased;
            self.client.batch_execute("BEGIN"),
            make,
            self.client.execute(&self.events, &rows),
            self.client.execute(&self.update, &tasks),
            self.client.batch_execute("COMMIT"),
        )?;
        Ok(())
    }
}

/// So many connections, each with a transaction for each event: Postgres groups their syncs by itself.
pub(super) async fn connections_for(
    raws: Vec<Raw>,
    time: Duration,
    times: &mut Times,
) -> Result<Vec<Raw>> {
    let mut running = JoinSet::new();
    let start = Instant::now();
    for mut raw in raws {
        running.spawn(async move {
            let mut own = Times::new()?;
            raw.commit_for(time, &mut own).await?;
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
