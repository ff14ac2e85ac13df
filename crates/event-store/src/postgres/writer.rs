//! The one task that writes. It takes all commits that wait into one transaction of two round trips: the
//! lock and the look-ups, then the rows; or of one, where the group before tells what would be looked up.
//! While one group commits the next one gathers, and whatever need not come before the rows is done while the
//! server works.

use std::sync::Arc;
use std::time::Duration;

use event_payloads::EventId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::connect::{Conn, Connector, Purpose};
use super::facts::{self, LookUps};
use super::failure::Failure;
use super::group::{Group, Tasks};
use super::known::{Known, Memory};
use super::lease::{Lease, RENEW};
use super::patience::Patience;
use super::pipeline::{Broken, Pipeline};
use super::statements::Writing;
use crate::books::facts::{Facts, Needs};
use crate::books::plan::{Planner, Writes};
use crate::books::stamp::{self, Accepted, Outcome, Recorded};
use crate::id::Monotonic;
use crate::live::Hub;
use crate::prepared::Prepared;
use crate::rhythm::{MAX_GROUP, Rhythm};
use crate::{Cause, Clock, StoreError};

/// The most bytes of contents in one transaction, beyond the first.
const MAX_CONTENT: usize = 16 << 20;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    Append(Append),
    /// Do what waits already, then end.
    Close,
}

/// A commit and who waits for it.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) commit: Prepared,
    pub(crate) reply: Reply<Recorded>,
}

/// What the task owns.
pub(crate) struct Writer {
    pub(crate) connector: Connector,
    pub(crate) session: Option<Session>,
    pub(crate) ids: Monotonic,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) lease: Lease,
    pub(crate) retry_for: Duration,
}

/// A connection with its statements.
pub(crate) struct Session {
    conn: Conn,
    look_ups: LookUps,
    writing: Writing,
    renew: tokio_postgres::Statement,
    /// What is known from group to group.
    memory: Memory,
}

/// A group that was recorded.
struct Done {
    outcomes: Vec<Outcome>,
    /// The log's last position after it.
    head: u64,
    /// Its first event; `None` if every commit was refused.
    first: Option<EventId>,
}

/// A group that was not, or not surely.
enum Miss {
    Nothing(Failure),
    InDoubt(Cause, Done),
    /// What was known did not hold, or not for certain: everything has to be looked up.
    Stale,
}

impl Session {
    pub(crate) async fn open(connector: &Connector) -> Result<Self, Failure> {
        let conn = connector.connect(Purpose::Writing).await?;
        let prepare = async {
            Ok(Self {
                look_ups: LookUps::prepare(&conn.client).await?,
                writing: Writing::prepare(&conn.client).await?,
                renew: conn.client.prepare(RENEW).await?,
                memory: Memory::default(),
                conn,
            })
        };
        Conn::within(connector.answer_limit(), Box::pin(prepare)).await
    }

    /// After this the connection stands outside of any transaction, or is of no further use.
    async fn roll_back(&self) -> Result<(), Failure> {
        let roll_back = async { Ok(self.conn.client.batch_execute("ROLLBACK").await?) };
        Conn::within(Duration::from_secs(5), roll_back).await
    }

    /// True if an event is recorded. Takes the lock: then no other transaction is half done.
    async fn has(&self, event_id: &EventId) -> Result<bool, Failure> {
        facts::begin(&self.conn.client).await?;
        let sql = "SELECT 1 FROM events WHERE event_id = $1";
        let found = self
            .conn
            .client
            .query_opt(sql, &[&event_id.as_str()])
            .await?;
        self.roll_back().await?;
        Ok(found.is_some())
    }
}

impl Writer {
    /// Works until the queue is closed and empty. Then every commit is recorded.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut rhythm = Rhythm::new(jobs.max_capacity());
        let mut put_back = None;
        loop {
            let job = match put_back.take() {
                Some(job) => Some(job),
                None => {
                    wait(&mut rhythm, &jobs).await;
                    jobs.recv().await
                }
            };
            match job {
                None => break,
                Some(Job::Close) => jobs.close(),
                Some(Job::Append(first)) => {
                    let mut group = Vec::with_capacity((jobs.len() + 1).min(MAX_GROUP));
                    group.push(first);
                    put_back = gather(&mut jobs, &mut group);
                    let (commits, began) = (group.len(), Instant::now());
                    let outcomes = self.record(&group).await;
                    rhythm.recorded(commits, began.elapsed(), jobs.len());
                    for (Append { commit, reply }, outcome) in group.into_iter().zip(outcomes) {
                        // A caller that no longer waits for the answer does not need it.
                        let _ = reply.send(outcome.map(|stamps| Recorded { commit, stamps }));
                    }
                }
            }
        }
        self.hub.close();
    }

    /// Records a group and says what to answer. A commit that is refused does not touch the others.
    async fn record(&mut self, group: &[Append]) -> Vec<Outcome> {
        tracing::trace!(commits = group.len(), "recording a group");
        let commits: Vec<&Prepared> = group.iter().map(|append| &append.commit).collect();
        match self.settle(&commits).await {
            // What there is no room for, or the database will not take, or builds on a damaged row, takes
            // the whole transaction with it; the others are innocent.
            Err(
                StoreError::Full { .. }
                | StoreError::Database { .. }
                | StoreError::Corrupt { .. }
                | StoreError::Overflow,
            ) if group.len() > 1 => {
                let mut outcomes = Vec::with_capacity(group.len());
                for commit in commits {
                    outcomes.push(self.alone(commit).await);
                }
                outcomes
            }
            Err(error) => vec![Err(error); group.len()],
            Ok(outcomes) => outcomes,
        }
    }

    async fn alone(&mut self, commit: &Prepared) -> Outcome {
        let mut outcomes = self.settle(&[commit]).await?;
        outcomes.pop().unwrap_or(Err(StoreError::Closed))
    }

    /// Records commits, also when connections are lost on the way, and tells those who follow.
    async fn settle(&mut self, commits: &[&Prepared]) -> Result<Vec<Outcome>, StoreError> {
        let done = Box::pin(self.insist(commits)).await?;
        self.hub.reach(done.head);
        for each in stamp::accepted(commits.iter().copied(), &done.outcomes) {
            self.hub.publish(each.task_id(), || each.events());
        }
        Ok(done.outcomes)
    }

    async fn insist(&mut self, commits: &[&Prepared]) -> Result<Done, StoreError> {
        let mut patience = Patience::new(self.retry_for);
        loop {
            match self.attempt(commits).await {
                Ok(done) => return Ok(done),
                // Once at most: nothing is known now.
                Err(Miss::Stale) => {}
                Err(Miss::Nothing(failure)) => {
                    if !failure.is_lost() || !patience.wait().await {
                        return Err(failure.told(self.connector.server()));
                    }
                    tracing::warn!("lost the database before a commit, trying again");
                }
                Err(Miss::InDoubt(source, done)) => {
                    tracing::warn!(
                        "lost the database in the middle of a commit, looking what is there"
                    );
                    if self.find_out(&done, source).await? {
                        return Ok(done);
                    }
                    if !patience.wait().await {
                        return Err(Failure::lost("it broke every commit off")
                            .told(self.connector.server()));
                    }
                }
            }
        }
    }

    /// Whether a group whose commit nobody answered is recorded. It is so whole or not at all.
    async fn find_out(&mut self, done: &Done, source: Cause) -> Result<bool, StoreError> {
        let Some(first) = &done.first else {
            return Ok(true);
        };
        let mut patience = Patience::new(self.retry_for);
        loop {
            match self.look_for(first).await {
                Ok(found) => return Ok(found),
                Err(failure) => {
                    let error = failure.told(self.connector.server());
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot find out yet whether a commit is recorded"
                    );
                    if !patience.wait().await {
                        return Err(StoreError::InDoubt {
                            server: self.connector.server().to_owned(),
                            source,
                        });
                    }
                }
            }
        }
    }

    async fn look_for(&mut self, event_id: &EventId) -> Result<bool, Failure> {
        let session = Session::open(&self.connector).await?;
        let limit = self.connector.answer_limit();
        let found = Conn::within(limit, session.has(event_id)).await?;
        self.session = Some(session);
        Ok(found)
    }

    /// One transaction over a group.
    async fn attempt(&mut self, commits: &[&Prepared]) -> Result<Done, Miss> {
        let mut session = match self.session.take().filter(|session| session.conn.is_open()) {
            Some(session) => session,
            None => Session::open(&self.connector)
                .await
                .map_err(Miss::Nothing)?,
        };
        let within = self.lease.time / 4;
        let done = match session.memory.recall(commits, within) {
            Some(known) => Box::pin(self.at_once(&mut session, known, commits)).await,
            None => Box::pin(self.looking_up(&mut session, commits)).await,
        };
        let lost = match &done {
            Err(Miss::Nothing(failure)) => failure.is_lost(),
            Err(Miss::InDoubt(..)) => true,
            Ok(_) | Err(Miss::Stale) => false,
        };
        if !lost {
            self.session = Some(session);
        }
        done
    }

    /// A transaction of one round trip, in the hope that nobody else has written.
    async fn at_once(
        &mut self,
        session: &mut Session,
        known: Known,
        commits: &[&Prepared],
    ) -> Result<Done, Miss> {
        let client = &session.conn.client;
        let mut pipeline = Pipeline::default();
        let begin = async { facts::begin(client).await.map(|()| 0) };
        let begun = pipeline.send(Box::pin(begin)).await;
        begun.map_err(|broken| Miss::Nothing(broken.error.into()))?;
        // The server begins while the group is planned.
        pipeline.hand_on().await;
        let next = known.next();
        let done = Box::pin(self.transaction(session, known, Some(next), pipeline, commits)).await;
        match done {
            Ok((done, known)) => {
                session.memory.keep(known);
                session.memory.hit();
                Ok(done)
            }
            Err(Miss::Stale) => {
                session.memory.missed();
                Err(Miss::Stale)
            }
            // Somebody has the name of a task or an artifact after all.
            Err(Miss::Nothing(Failure::Store(StoreError::Database { .. }))) => Err(Miss::Stale),
            Err(miss) => Err(miss),
        }
    }

    /// A transaction of two round trips.
    async fn looking_up(
        &mut self,
        session: &mut Session,
        commits: &[&Prepared],
    ) -> Result<Done, Miss> {
        let needs = Needs::of(commits.iter().copied());
        let begin = session
            .look_ups
            .begin(&session.conn.client, &needs, &self.lease.gateway_id);
        let limit = self.connector.answer_limit();
        let found = match Conn::within(limit, Box::pin(begin)).await {
            Ok(found) => found,
            Err(failure) => return Err(self.give_up(session, failure).await),
        };
        let known = session.memory.found(found);
        let pipeline = Pipeline::default();
        let (done, known) =
            Box::pin(self.transaction(session, known, None, pipeline, commits)).await?;
        session.memory.keep(known);
        Ok(done)
    }

    /// Plans and writes in the transaction that has begun, if it has the number `only_in`. Gives what is known
    /// then.
    async fn transaction<'a>(
        &mut self,
        session: &'a Session,
        mut known: Known,
        only_in: Option<i64>,
        pipeline: Pipeline<'a>,
        commits: &[&Prepared],
    ) -> Result<(Done, Known), Miss> {
        let before = known.found.facts.head;
        let (done, writes) = self.plan(&mut known.found.facts, commits);
        if done.first.is_none() {
            drop(pipeline);
            session.roll_back().await.map_err(Miss::Nothing)?;
            // The server was not asked: who is refused may be so because of what is no longer true.
            return if only_in.is_some() {
                Err(Miss::Stale)
            } else {
                Ok((done, known))
            };
        }
        let found = &known.found;
        if !found.alive {
            tracing::warn!(
                "the lease on the database had lapsed: this program stood still or was cut off"
            );
        }
        let accepted = || stamp::accepted(commits.iter().copied(), &done.outcomes);
        let group = Group {
            writes: &writes,
            events: accepted().flat_map(Accepted::rows).collect(),
            tasks: Tasks::new(&writes, &found.pointers),
            artifacts: accepted().flat_map(Accepted::artifacts).collect(),
            lease: &self.lease,
            renew: (!found.alive).then_some(&session.renew),
            before,
            only_in,
        };
        let mut pipeline = pipeline;
        let record = async {
            let at = group
                .send(&mut pipeline, &session.conn.client, &session.writing)
                .await?;
            // While the server works.
            let known = known.after(&writes, group.tasks.all(), only_in);
            let rows = pipeline.answers().await?;
            Ok((rows.get(at).is_some_and(|events| *events > 0), known))
        };
        match tokio::time::timeout(self.connector.answer_limit(), record).await {
            Ok(Ok((true, known))) => Ok((done, known)),
            Ok(Ok((false, _))) => Err(Miss::Stale),
            Ok(Err(Broken { error, all_sent })) => match Failure::from(error) {
                Failure::Lost(source) if all_sent => Err(Miss::InDoubt(source, done)),
                // An error of a statement: the COMMIT behind it was not done.
                failure => Err(self.give_up(session, failure).await),
            },
            Err(_) => {
                let source = Arc::new(std::io::Error::other("it stopped answering"));
                Err(Miss::InDoubt(source, done))
            }
        }
    }

    /// What becomes of a group, and what it writes.
    fn plan(&mut self, facts: &mut Facts, commits: &[&Prepared]) -> (Done, Writes) {
        let mut planner = Planner::new(facts, &mut self.ids, self.clock.as_ref());
        let outcomes: Vec<Outcome> = commits
            .iter()
            .map(|commit| planner.commit(commit))
            .collect();
        let writes = planner.into_writes();
        let first = outcomes.iter().flatten().flatten().next();
        let done = Done {
            first: first.map(|stamp| stamp.event_id.clone()),
            outcomes,
            head: writes.head,
        };
        (done, writes)
    }

    async fn give_up(&self, session: &Session, failure: Failure) -> Miss {
        if failure.is_lost() {
            return Miss::Nothing(failure);
        }
        match session.roll_back().await {
            Ok(()) => Miss::Nothing(failure),
            Err(lost) => Miss::Nothing(lost),
        }
    }
}

fn content(append: &Append) -> usize {
    let contents = append.commit.artifacts.iter();
    contents
        .filter_map(|artifact| artifact.content.as_ref().map(Vec::len))
        .sum()
}

/// Lets those who were answered come back.
async fn wait(rhythm: &mut Rhythm, jobs: &mpsc::Receiver<Job>) {
    let Some(wait) = rhythm.begin(jobs.len()) else {
        return;
    };
    while wait.goes_on(jobs.len()) {
        tokio::task::yield_now().await;
    }
    rhythm.end(&wait, jobs.len());
}

/// Takes what waits already; gives back the first job that has to wait for the next round.
fn gather(jobs: &mut mpsc::Receiver<Job>, group: &mut Vec<Append>) -> Option<Job> {
    let mut bytes: usize = group.iter().map(content).sum();
    while group.len() < MAX_GROUP {
        match jobs.try_recv() {
            Ok(Job::Append(append)) => {
                bytes += content(&append);
                if bytes > MAX_CONTENT {
                    return Some(Job::Append(append));
                }
                group.push(append);
            }
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
    None
}
