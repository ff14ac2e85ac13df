//! Postgres by itself, with the rows that the store would write and nothing around them.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls, Statement};

use super::work::{RawRow, Times};

const EVENTS: &str =
    "INSERT INTO events (event_id, task_id, task_seq, ts, type, schema_version, actor,
         payload, trace_id, span_id, position, hash)
     SELECT id, $1, seq, $2, 'USER_MESSAGE', 1, 'user', $3, 'trace-raw', '', position, $4
     FROM unnest($5::text[], $6::bigint[], $7::bigint[]) AS new (id, seq, position)";
const TASK: &str = "UPDATE tasks SET updated_at = $2, pointers = $3, last_seq = $4, chain = $5
     WHERE task_id = $1";

/// A connection to a database of today's layout, with a task of its own.
pub(super) struct Raw {
    client: Client,
    row: RawRow,
    _connection: JoinSet<()>,
    events: Statement,
    update: Statement,
    task_id: String,
    seq: i64,
    /// Positions are unique in the log: each connection has a range of its own.
    position: i64,
}

impl Raw {
    pub(super) async fn open(url: &str, number: i64) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // An error reaches the statement that waits for its answer.
            let _ = connection.await;
        });
        let row = RawRow::new()?;
        let task_id = format!("raw-{number}");
        client
            .execute(
                "INSERT INTO tasks (task_id, created_at, updated_at) VALUES ($1, $2, $2)",
                &[&task_id, &row.ts],
            )
            .await?;
        Ok(Self {
            events: client.prepare(EVENTS).await?,
            update: client.prepare(TASK).await?,
            client,
            row,
            _connection: driver,
            task_id,
            seq: 0,
            position: (number + 1) << 32,
        })
    }

    /// Transactions of so many commits each, one event a commit.
    pub(super) async fn commit_for(
        &mut self,
        batch: usize,
        time: Duration,
        times: &mut Times,
    ) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            let began = Instant::now();
            self.transaction(i64::try_from(batch)?).await?;
            times.record(began.elapsed(), u64::try_from(batch)?);
        }
        times.took(start.elapsed());
        Ok(())
    }

    /// All statements are sent before the first answer.
    async fn transaction(&mut self, batch: i64) -> Result<()> {
        let seqs: Vec<i64> = (1..=batch).map(|index| self.seq + index).collect();
        let positions: Vec<i64> = seqs.iter().map(|seq| self.position + seq).collect();
        let ids: Vec<String> = positions.iter().map(|at| RawRow::event_id(*at)).collect();
        self.seq += batch;
        let pointers = format!("{{\"latest_event_id\":\"{}\"}}", self.seq);
        let RawRow { payload, ts, hash } = &self.row;
        let hash = hash.as_slice();
        let rows: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&self.task_id, ts, payload, &hash, &ids, &seqs, &positions];
        let task: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&self.task_id, ts, &pointers, &self.seq, &hash];
        let sent = tokio::join!(
            self.client.batch_execute("BEGIN"),
            self.client.execute(&self.events, &rows),
            self.client.execute(&self.update, &task),
            self.client.batch_execute("COMMIT"),
        );
        sent.0.and(sent.3)?;
        sent.1.and(sent.2)?;
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
            raw.commit_for(1, time, &mut own).await?;
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
