//! Alias → call → cost → events: a model call as one unit of work that ends exactly once.
//!
//! [`TaskService`] takes messages and chat calls, decides what may run ([`NotAdmitted`] if too much does),
//! and writes every step down. Inside it, [`LlmService`] resolves the alias and turns a call's end
//! into events, and [`FallbackManager`] tries the proxy first, every time.
//!
//! What makes a call unlosable is the order: its start is on disk before the request leaves; its end
//! is one commit with the answer's artifact and the task's new state; and a start without an end, left
//! by a crash, is closed by [`TaskService::recover`].
//!
//! ```
//! use std::sync::Arc;
//! use alias_registry::AliasRegistry;
//! use event_payloads::TaskStatus;
//! use event_store::{EventStore, SqliteOptions, SqliteStore};
//! use provider_echo::EchoClient;
//! use provider_service::{FallbackManager, Limits, LlmService, Message, TaskService};
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
//! # runtime.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! let store = SqliteStore::open(SqliteOptions::new(dir.path().join("octo.db"), dir.path().join("artifacts"))).await?;
//! let store: Arc<dyn EventStore> = Arc::new(store);
//! let llm = LlmService::new(AliasRegistry::default(), FallbackManager::without_fallback(Arc::new(EchoClient)));
//! let tasks = TaskService::new(store.clone(), llm, Limits::default());
//!
//! let submitted = tasks.submit(Message::new("Are you there?", "key-1")).await?;
//! tasks.shut_down(std::time::Duration::from_secs(5)).await;
//! let task = store.task(&submitted.task_id).await?.ok_or("no task")?;
//! assert_eq!(task.status, TaskStatus::Succeeded);
//! # store.close().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod call;
mod costs;
mod direct;
mod elsewhere;
mod fallback;
mod listener;
mod live;
mod llm;
mod message;
mod overtaken;
mod recovery;
mod reprice;
mod settle;
mod task;

pub use admission::{Limits, NotAdmitted};
pub use call::StopReason;
pub use costs::{CallCost, CostGroup, CostReport, CostSum, TaskCost, report, task_cost};
pub use direct::{DirectAnswer, DirectCall, DirectError, DirectStream, StreamPart};
pub use fallback::{CallError, FallbackManager, FallbackPolicy};
pub use llm::LlmService;
pub use message::{Message, SubmitError, Submitted};
pub use recovery::{Recovered, Suspects};
pub use reprice::{Correction, RepriceQuery, Repriced, reprice};
pub use task::{CancelError, TaskService};
