//! What other programs record reaches those who follow here: each commit notifies, and what it recorded is
//! read. Nobody polls.

use std::sync::Arc;
use std::time::Duration;

use event_payloads::TaskId;
use tokio::sync::{mpsc, watch};
use tokio_postgres::Notification;

use super::connect::{Conn, Connector};
use super::failure::Failure;
use super::pool::Readers;
use crate::live::Hub;
use crate::rows::{self, Row as _, to_sql};
use crate::sql::EVENT_COLUMNS;

/// After how long without a word is looked whether the connection is still there.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Before it is made again; doubled up to 2 s.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// How many notifications may wait here; more wait at the server.
const WAITING: usize = 1024;
/// How many events are read at once.
const PAGE: i64 = 512;

/// What all programs listen to.
pub(crate) const CHANNEL: &str = "octo_log";

/// The statement that tells all programs, when the transaction commits, what it recorded.
pub(crate) fn tell(gateway_id: &str, before: u64, head: u64) -> String {
    // Nothing in it has to be quoted: the identifier is one that this program made, of letters and digits.
    format!("NOTIFY {CHANNEL}, '{}'", note(gateway_id, before, head))
}

/// What they are told: who recorded, and which positions (after the first, up to the second). Commits of all
/// programs come one after the other, and so do their notes.
pub(crate) fn note(gateway_id: &str, before: u64, head: u64) -> String {
    format!("{gateway_id}:{before}:{head}")
}

fn read_note(text: &str) -> Option<(&str, u64, u64)> {
    let (rest, head) = text.rsplit_once(':')?;
    let (gateway_id, before) = rest.rsplit_once(':')?;
    Some((gateway_id, before.parse().ok()?, head.parse().ok()?))
}

/// Hands on what others record.
pub(crate) struct Feed {
    pub(crate) connector: Connector,
    pub(crate) readers: Arc<Readers>,
    pub(crate) hub: Arc<Hub>,
    /// This program: its own commits are handed on as they are recorded.
    pub(crate) gateway_id: String,
    /// Everything up to here was handed on.
    pub(crate) seen: u64,
}

/// A connection that listens.
pub(crate) struct Ear {
    conn: Conn,
    notes: mpsc::Receiver<Notification>,
}

impl Feed {
    /// Works until the store is closed.
    pub(crate) async fn run(mut self, ear: Ear, mut closing: watch::Receiver<bool>) {
        let mut ear = Some(ear);
        let mut pause = SHORTEST_PAUSE;
        loop {
            let listened = async {
                let ear = match ear.take() {
                    Some(ear) => ear,
                    None => {
                        let ear = Ear::open(&self.connector).await?;
                        // What was recorded while nobody listened.
                        self.catch_up().await?;
                        ear
                    }
                };
                pause = SHORTEST_PAUSE;
                self.listen(ear).await
            };
            let failure = tokio::select! {
                // True, or nobody is left who could say so.
                _ = closing.wait_for(|closing| *closing) => return,
                failure = listened => failure.err(),
            };
            if let Some(failure) = failure {
                let error = failure.told(self.connector.server());
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "stopped hearing of what other programs record, trying again"
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn listen(&mut self, mut ear: Ear) -> Result<(), Failure> {
        loop {
            let waited = tokio::time::timeout(LOOK_AGAIN, ear.notes.recv()).await;
            match waited {
                Ok(None) => return Err(Failure::lost("the connection that listens has ended")),
                Ok(Some(note)) => self.hear(&note, &mut ear).await?,
                Err(_) => {
                    let alive = async { Ok(ear.conn.client.check_connection().await?) };
                    Conn::within(Duration::from_secs(10), alive).await?;
                }
            }
        }
    }

    /// Takes a note and all that wait behind it, and reads what others recorded in one go.
    async fn hear(&mut self, first: &Notification, ear: &mut Ear) -> Result<(), Failure> {
        let mut others: Vec<(u64, u64)> = Vec::new();
        let mut head = self.seen;
        let mut take = |note: &Notification| match read_note(note.payload()) {
            Some((_, _, until)) if until <= head => {}
            Some((by, before, until)) => {
                // A note may be missing: then its part is read with this one's.
                if by != self.gateway_id || before > head {
                    match others.last_mut() {
                        Some(last) if last.1 == head => last.1 = until,
                        _ => others.push((head, until)),
                    }
                }
                head = until;
            }
            None => tracing::warn!("a note of no program of ours on channel {CHANNEL}"),
        };
        take(first);
        while let Ok(note) = ear.notes.try_recv() {
            take(&note);
        }
        for (after, until) in others {
            self.hand_on(after, until).await?;
        }
        self.seen = head;
        Ok(())
    }

    /// Hands on everything since the last note, what this program recorded too: who follows leaves out what
    /// it knows already.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        let head = self.readers.head().await?;
        if head > self.seen {
            self.hand_on(self.seen, head).await?;
            self.seen = head;
        }
        Ok(())
    }

    /// Reads the events after a position up to another, of the tasks that somebody follows. Who begins to
    /// follow after that reads what is recorded himself.
    async fn hand_on(&self, mut after: u64, until: u64) -> Result<(), Failure> {
        let sql = format!(
            "SELECT {EVENT_COLUMNS} FROM events WHERE position > $1 AND position <= $2
               AND task_id = ANY($3) ORDER BY position LIMIT $4"
        );
        loop {
            let followed = self.hub.followed();
            if followed.is_empty() {
                break;
            }
            let followed: Vec<&str> = followed.iter().map(TaskId::as_str).collect();
            let (from, to) = (to_sql(after), to_sql(until));
            let found = self
                .readers
                .query(&sql, &[&from, &to, &followed, &PAGE])
                .await?;
            for row in &found {
                after = row.count("position").unwrap_or(until);
                match rows::event(row) {
                    Ok(event) => self.hub.publish_one(event),
                    Err(error) => tracing::warn!(%error, "an event that can not be handed on"),
                }
            }
            if to_sql(u64::try_from(found.len()).unwrap_or(0)) < PAGE {
                break;
            }
        }
        self.hub.reach(until);
        Ok(())
    }
}

impl Ear {
    pub(crate) async fn open(connector: &Connector) -> Result<Self, Failure> {
        let (to, notes) = mpsc::channel(WAITING);
        let conn = connector.listening(to).await?;
        let listen = async {
            Ok(conn
                .client
                .batch_execute(&format!("LISTEN {CHANNEL}"))
                .await?)
        };
        Conn::within(connector.answer_limit(), listen).await?;
        Ok(Self { conn, notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        assert_eq!(read_note(&note("01K:x", 7, 9)), Some(("01K:x", 7, 9)));
        assert_eq!(read_note("hello"), None);
    }
}
