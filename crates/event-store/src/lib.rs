//! The append-only log of events, and what it adds up to.
//!
//! One write, [`EventStore::append`]: events and artifacts of one task, all or nothing, on stable
//! storage when it returns. It holds the rules that make the books trustworthy: positions without a
//! gap, transitions that start where the task stands, **exactly one end for each model call** and no
//! start in a task that has ended, one task for an idempotency key. Tasks, model calls and the sums of
//! costs are projections, written in the same transaction and rebuilt from the events alone by
//! [`EventStore::rebuild`].
//!
//! Two databases keep it, with the same rules and the same answers: [`SqliteStore`] for one program,
//! [`PostgresStore`] for any number of them. What the rules are, and what events add up to, is said once,
//! in `books`, where nothing knows of a database.
//!
//! ```
//! use std::sync::Arc;
//! use event_payloads::{Actor, Payload, TaskCreated, TaskStatus};
//! use event_store::{
//!     Commit, EventStore, IdSource, NewEvent, SqliteOptions, SqliteStore, SystemClock,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let options = SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"));
//! let store = SqliteStore::open(options).await?;
//! let ids = IdSource::new(Arc::new(SystemClock));
//!
//! let created = Payload::TaskCreated(TaskCreated {
//!     title: "What is the capital of France?".into(),
//!     thread_id: "default".into(),
//!     scope_id: "chat:web:default".into(),
//!     channel: "web".into(),
//!     sender_id: "owner".into(),
//!     risk_level: "low".into(),
//! });
//! let task_id = ids.task_id();
//! let commit = Commit::new(task_id.clone())
//!     .event(NewEvent::new(Actor::System, created.clone()).key("msg-1"));
//! let events = store.append(commit).await?.into_events();
//! assert_eq!(events[0].task_seq, 1);
//!
//! // The same request again finds the first.
//! let again = Commit::new(ids.task_id()).event(NewEvent::new(Actor::System, created).key("msg-1"));
//! let refused = store.append(again).await.unwrap_err();
//! assert_eq!(refused.duplicate_of(), Some(&task_id));
//! let task = store.task(&task_id).await?.ok_or("no task")?;
//! assert_eq!(task.status, TaskStatus::Created);
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # One order
//!
//! Every event has a position in the log of all tasks, in the order of the commits, so that a reader who
//! goes on after the last one that it dealt with misses nothing: [`EventStore::log`] and [`LogFollow`].
//! [`Follow`] does the same for one task, with the pieces of answers between its events.
//!
//! # Books that can be checked
//!
//! The events of a task are a chain: the hash of each covers it and the one before, as they are stored.
//! [`EventStore::verify`] recomputes every link, and holds every projection against a recount. What was
//! pruned ([`EventStore::prune`]) leaves a tombstone that carries its sums and ties the chain together.
//! [`copy()`] takes a store into another one, hashes and positions included.
//!
//! # Sums that do not scan
//!
//! What calls cost is summed as they end: by hour, day, month, in all and by task, for each alias, category,
//! model and provider. [`EventStore::cost_rollup`] adds up the coarsest of these rows, takes away what they
//! have too much, and looks at single calls for half an hour at most at either end.
//!
//! # Failing well
//!
//! A full disk, a locked database, a damaged row and a second process each have an error of their
//! own ([`StoreError`]), and whatever the error, nothing of the commit is stored. A commit that is
//! refused does not touch those that share its transaction. A database whose file was moved, deleted or
//! replaced takes no more commits: they would vanish with it.
//!
//! # Time
//!
//! Nothing here but [`SystemClock`] asks the machine for the time; everything else gets a [`Clock`].

mod artifact;
mod books;
mod call;
mod clock;
mod commit;
mod cost;
mod error;
mod files;
mod follow;
mod id;
mod live;
mod log;
mod options;
mod postgres;
mod prepared;
mod progress;
mod rhythm;
mod rows;
mod sql;
mod sqlite;
mod store;
mod task;
mod transfer;

pub use artifact::{Artifact, ArtifactPart};
pub use books::stamp::Recorded;
pub use call::{Call, CallStatus, OpenCall, Tokens};
pub use clock::{Clock, ManualClock, SystemClock};
pub use commit::{Commit, NewArtifact, NewEvent, Parent};
pub use cost::{CostQuery, CostRow, Dimension, UnknownDimension};
pub use error::{Cause, StoreError};
pub use follow::{Follow, Followed};
pub use id::IdSource;
pub use live::{Lagged, Live, Subscription};
pub use log::{LogFollow, LogQuery};
pub use postgres::{PostgresOptions, PostgresStore};
pub use progress::Progress;
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{EventStore, Orphans, Overview, Position, PruneQuery, Pruned, Rebuilt, Verified};
pub use task::{Pointers, Requester, Task, TaskQuery};
pub use transfer::{Copied, Records, RecordsQuery, copy, must_be_whole};
