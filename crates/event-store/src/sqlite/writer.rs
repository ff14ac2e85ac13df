//! The one thread that writes. It takes all commits that wait into one transaction, and those that come while
//! it plans them, so that they share one sync of the disk: the more callers, the larger the group, with
//! nothing to tune.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::callers::Callers;
use super::checkpoint::Checkpoints;
use super::facts::{self, Known};
use super::failure::Failure;
use super::lock::DatabaseLock;
use super::place::Place;
use super::prune::{self, Part};
use super::schema::LAYOUT;
use super::{read, rebuild, records, write};
use crate::books::facts::Facts;
use crate::books::plan::Planner;
use crate::books::prune::TaskKey;
use crate::books::stamp::{self, Accepted, Outcome, Recorded};
use crate::files::ArtifactFiles;
use crate::id::Monotonic;
use crate::live::Hub;
use crate::prepared::{ArtifactLimits, Prepared};
use crate::{Clock, PruneQuery, Rebuilt, Records, StoreError};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A commit, who waits for it, and what became of it.
type Answer = (Append, Outcome);

/// Gives one more commit for a group of so many.
type More<'a> = &'a mut dyn FnMut(usize) -> Option<Append>;

/// A group that was recorded.
struct Done {
    outcomes: Vec<Outcome>,
    /// The log's last position after it.
    head: u64,
    /// What is known with it on record.
    known: Known,
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    Append(Append),
    Check(Reply<()>),
    Rebuild(Reply<Rebuilt>),
    /// Remove events of those of these tasks that the query still asks for.
    Prune(PruneQuery, Vec<TaskKey>, ArtifactFiles, Reply<Part>),
    /// Records of another store.
    TakeIn(Box<Intake>, Reply<()>),
    /// A reader of the log has come to a position.
    SaveCursor(String, u64, Reply<()>),
    /// Do what waits already, then end.
    Close,
}

/// A commit and who waits for it.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) commit: Prepared,
    pub(crate) reply: Reply<Recorded>,
}

/// Records of another store, and where their contents go.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) records: Records,
    pub(crate) files: ArtifactFiles,
    pub(crate) limits: ArtifactLimits,
}

/// What the thread owns. The lock is among it, so that nobody else opens the database for writing
/// before the last commit is done.
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) ids: Monotonic,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) lock: DatabaseLock,
    pub(crate) place: Place,
    /// True while the log may hold a commit whose callers were told of an error, see
    /// [`settle`](Self::settle).
    pub(crate) in_doubt: bool,
    /// What is known since the last group; `None` after any other change of what is on record.
    pub(crate) known: Option<Known>,
}

/// Why a group is not recorded.
struct Failed {
    error: StoreError,
    /// True if a restart may find it recorded all the same.
    in_doubt: bool,
}

impl Failed {
    /// True if it can be the fault of one commit: not if the disk fails, or somebody else has the database.
    const fn is_of_one(&self) -> bool {
        !self.in_doubt && !matches!(self.error, StoreError::Io { .. } | StoreError::Busy { .. })
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self {
            error,
            in_doubt: false,
        }
    }
}

impl Writer {
    /// Works until the queue is closed and empty. Then every commit is on disk.
    pub(crate) fn run(mut self, jobs: mpsc::Receiver<Job>) {
        let mut callers = Callers::new(jobs);
        while let Some(job) = callers.next() {
            match job {
                Job::Append(first) => {
                    let began = Instant::now();
                    let group = callers.group(first);
                    let answers = self.record(group, &mut |group| callers.more(group));
                    callers.recorded(answers.len(), began.elapsed());
                    answer(answers);
                    if let Some(known) = &mut self.known {
                        known.learn();
                    }
                }
                // A caller that no longer waits for the answer does not need it.
                Job::Check(reply) => drop(reply.send(self.check())),
                Job::Rebuild(reply) => drop(reply.send(self.rebuild())),
                Job::Prune(query, tasks, files, reply) => {
                    drop(reply.send(self.prune(query, &tasks, &files)));
                }
                Job::TakeIn(intake, reply) => drop(reply.send(self.take_in(*intake))),
                Job::SaveCursor(reader, position, reply) => {
                    drop(reply.send(self.save_cursor(&reader, position)));
                }
                Job::Close => callers.close(),
            }
        }
        self.hub.close();
        self.shut();
    }

    /// Records a group, and who comes meanwhile, and says what to answer. A commit that is refused does not
    /// touch the others.
    fn record(&mut self, mut group: Vec<Append>, more: More<'_>) -> Vec<Answer> {
        let write = |writer: &mut Self, known| writer.write(&mut group, more, known);
        let outcomes = match self.all_or_nothing(write) {
            Ok(Done {
                outcomes,
                head,
                known,
            }) => {
                self.tell(&group, &outcomes, head);
                self.known = Some(known);
                outcomes
            }
            // One that the full disk has no room for, or whose task is damaged, takes the whole
            // transaction with it; the others may be good.
            Err(failed) if failed.is_of_one() && group.len() > 1 => {
                return self.record_each(group);
            }
            Err(Failed { error, in_doubt }) => {
                if in_doubt {
                    // Should a restart find the commits, it finds their files too.
                    group.iter_mut().for_each(|append| append.commit.leave());
                }
                vec![Err(error); group.len()]
            }
        };
        let mut answers: Vec<Answer> = group.into_iter().zip(outcomes).collect();
        for (append, outcome) in &mut answers {
            if outcome.is_ok() {
                append.commit.keep();
            }
        }
        answers
    }

    /// Tells those who follow of a group that is recorded.
    fn tell(&self, group: &[Append], outcomes: &[Outcome], head: u64) {
        self.hub.reach(head);
        for each in accepted(group, outcomes) {
            self.hub.publish(each.task_id(), || each.events());
        }
    }

    /// Records each commit of a group that failed in a transaction of its own.
    fn record_each(&mut self, mut group: Vec<Append>) -> Vec<Answer> {
        // None may keep a name that another one comes to have.
        let back = group
            .iter_mut()
            .try_for_each(|append| append.commit.take_back());
        let mut answers = Vec::with_capacity(group.len());
        for append in group {
            match &back {
                Ok(()) => answers.extend(self.record(vec![append], &mut |_| None)),
                Err(error) => answers.push((append, Err(error.clone()))),
            }
        }
        answers
    }

    /// Does something in a transaction of its own, given what is known: nothing is any more, unless the work
    /// hands it back. An error means that nothing of it is stored, unless that is in doubt.
    fn all_or_nothing<T>(
        &mut self,
        work: impl FnOnce(&mut Self, Option<Known>) -> Result<T, Failure>,
    ) -> Result<T, Failed> {
        let known = self.known.take();
        self.settle()?;
        self.sql("BEGIN IMMEDIATE")?;
        let done = work(self, known).map_err(StoreError::from);
        // As late as can be: what is gone by now must not be acknowledged.
        let done = done.and_then(|done| self.place.check().map(|()| done));
        let error = match done.map(|done| (done, self.sql("COMMIT"))) {
            Ok((done, Ok(()))) => return Ok(done),
            Ok((_, Err(error))) => {
                self.in_doubt = matches!(error, StoreError::Io { .. });
                error
            }
            Err(error) => error,
        };
        self.roll_back();
        // It often works again at once.
        let in_doubt = self.settle().is_err();
        Err(Failed { error, in_doubt })
    }

    /// Takes back for good what a failed commit may have left in the log.
    ///
    /// When the disk fails in a COMMIT, SQLite forgets the transaction, but its pages may stand in the
    /// write-ahead log whole: nobody sees them, until a restart reads the log anew and finds a commit. The
    /// next transaction writes over them. So before anything else is recorded, one is made that changes
    /// nothing; as long as it fails, so does everything else.
    fn settle(&mut self) -> Result<(), StoreError> {
        if !self.in_doubt {
            return Ok(());
        }
        let over = format!("BEGIN IMMEDIATE; PRAGMA user_version = {LAYOUT}; COMMIT");
        if let Err(error) = self.conn.execute_batch(&over) {
            self.roll_back();
            return Err(Failure::from(error).into());
        }
        self.in_doubt = false;
        Ok(())
    }

    /// Looks up and plans one commit after the other, also those that come meanwhile, and writes what they
    /// come to.
    fn write(
        &mut self,
        group: &mut Vec<Append>,
        more: More<'_>,
        known: Option<Known>,
    ) -> Result<Done, Failure> {
        let mut known = Known::begin(&self.conn, known)?;
        let mut planner = Planner::new(&mut known.facts, &mut self.ids, self.clock.as_ref());
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(group.len());
        loop {
            if outcomes.len() == group.len() {
                group.extend(more(group.len()));
            }
            let Some(append) = group.get_mut(outcomes.len()) else {
                break;
            };
            outcomes.push(plan(&self.conn, &mut planner, &mut append.commit)?);
        }
        tracing::trace!(commits = group.len(), "recording a group");
        let writes = planner.into_writes();
        let rows = accepted(group, &outcomes).flat_map(Accepted::rows);
        write::write(&self.conn, &writes, rows)?;
        for (task_id, event, artifact) in accepted(group, &outcomes).flat_map(Accepted::artifacts) {
            write::artifact(&self.conn, task_id, event, artifact)?;
        }
        Ok(Done {
            outcomes,
            head: writes.head,
            known: known.after(writes),
        })
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.settle()?;
        self.place.check()?;
        self.sql("BEGIN IMMEDIATE")?;
        self.sql("ROLLBACK")
    }

    fn save_cursor(&self, reader: &str, position: u64) -> Result<(), StoreError> {
        let save = || -> Result<(), Failure> {
            self.conn
                .prepare_cached(crate::sql::SAVE_CURSOR)?
                .execute(rusqlite::params![reader, crate::rows::to_sql(position)])?;
            Ok(())
        };
        save().map_err(StoreError::from)
    }

    fn rebuild(&mut self) -> Result<Rebuilt, StoreError> {
        Ok(self.all_or_nothing(|writer, _| rebuild::everything(&writer.conn))?)
    }

    fn prune(
        &mut self,
        query: PruneQuery,
        tasks: &[TaskKey],
        files: &ArtifactFiles,
    ) -> Result<Part, StoreError> {
        let mut part = self.all_or_nothing(|writer, _| {
            let (ids, clock) = (&mut writer.ids, writer.clock.as_ref());
            let mut part = prune::some(&writer.conn, query, tasks, ids, clock)?;
            part.leaving = files.leaving(std::mem::take(&mut part.artifacts))?;
            Ok(part)
        })?;
        self.hub.reach(part.head);
        for event in std::mem::take(&mut part.events) {
            self.hub.publish_one(event);
        }
        Ok(part)
    }

    fn take_in(&mut self, intake: Intake) -> Result<(), StoreError> {
        let Intake {
            records,
            files,
            limits,
        } = intake;
        let (head, staged) = self.all_or_nothing(|writer, _| {
            let staged = records::take_in(&writer.conn, &files, limits, records)?;
            Ok((read::head(&writer.conn)?, staged))
        })?;
        for mut file in staged {
            file.keep();
        }
        self.hub.reach(head);
        Ok(())
    }

    fn sql(&self, statement: &str) -> Result<(), StoreError> {
        let run = || -> Result<(), Failure> {
            self.conn.prepare_cached(statement)?.execute([])?;
            Ok(())
        };
        run().map_err(StoreError::from)
    }

    fn roll_back(&self) {
        if self.conn.is_autocommit() {
            return;
        }
        if let Err(error) = self.sql("ROLLBACK") {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "can not roll back"
            );
        }
    }

    /// Leaves one file without a log beside it, where no reader is in the way.
    fn shut(self) {
        let Self {
            mut conn,
            checkpoints,
            lock,
            ..
        } = self;
        checkpoints.end(&mut conn);
        let checkpoint = conn
            .busy_timeout(std::time::Duration::ZERO)
            .and_then(|()| conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the write-ahead log stays beside the database, nothing is lost");
        }
        if let Err((_, error)) = conn.close() {
            tracing::warn!(%error, "the database did not close cleanly, nothing is lost");
        }
        drop(lock);
    }
}

/// The commits of a group that were not refused.
fn accepted<'a>(
    group: &'a [Append],
    outcomes: &'a [Outcome],
) -> impl Iterator<Item = Accepted<'a>> {
    stamp::accepted(group.iter().map(|append| &append.commit), outcomes)
}

/// Plans a commit. One that is refused leaves no trace.
fn plan(
    conn: &Connection,
    planner: &mut Planner<'_>,
    commit: &mut Prepared,
) -> Result<Outcome, Failure> {
    let needs = planner.facts.unknown([&*commit]);
    planner.facts.learn(facts::look_up(conn, &needs)?);
    let placed = place(commit, planner.facts);
    let outcome = placed.and_then(|()| planner.commit(commit));
    if outcome.is_err() {
        commit.take_back()?;
    }
    Ok(outcome)
}

/// Tells the callers of a group what became of it.
fn answer(answers: Vec<Answer>) {
    for (Append { commit, reply }, outcome) in answers {
        let _ = reply.send(match outcome {
            Ok(stamps) => Ok(Recorded { commit, stamps }),
            Err(error) => {
                // Its files vanish before its caller hears of it.
                drop(commit);
                Err(error)
            }
        });
    }
}

/// Gives the files of a commit their names, where no artifact on record has them: those are refused.
fn place(commit: &mut Prepared, facts: &Facts) -> Result<(), StoreError> {
    for artifact in &mut commit.artifacts {
        if let Some(file) = &mut artifact.file
            && !facts.artifacts.contains(&artifact.artifact_id)
        {
            file.place()?;
        }
    }
    Ok(())
}
