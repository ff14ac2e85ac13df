//! Once a day, removes the events of tasks that ended so long ago that the settings let them go. What they cost
//! stays.

use std::time::Duration;

use event_payloads::Timestamp;
use event_relay::RelayError;
use event_store::{Clock, EventStore, Progress, PruneQuery, StoreError, SystemClock};
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::DAY;

/// After how long it looks again, and not only the next day, where something went wrong or has to wait.
const HOUR: Duration = Duration::from_secs(3_600);

/// Looks at the start and every day, while the gateway runs. Stops when dropped: it removes some tasks at a
/// time, each whole or not at all.
#[derive(Debug)]
pub(crate) struct Retention {
    _running: JoinSet<()>,
}

impl Retention {
    /// Does nothing where the settings keep everything. What NATS has yet to get stays.
    pub(crate) fn start(app: &App) -> Self {
        let mut running = JoinSet::new();
        if let Some(kept) = app.config.storage.retention {
            let app = app.clone();
            running.spawn(async move {
                let closing = app.closing.clone();
                let _ = closing.run_until_cancelled(prune_daily(&app, kept)).await;
            });
        }
        Self { _running: running }
    }
}

async fn prune_daily(app: &App, kept: Duration) {
    loop {
        let all = prune(app, SystemClock.now() - kept)
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "not all events of tasks that ended long ago are removed, trying again in an hour"
                );
                false
            });
        tokio::time::sleep(if all { DAY } else { HOUR }).await;
    }
}

/// Why nothing was removed, or not all.
#[derive(Debug, thiserror::Error)]
enum RetentionError {
    #[error("what NATS has not got stays, and it cannot say what it has")]
    Nats(#[from] RelayError),
    #[error("what NATS has got is removed, and what waits for it could not be counted")]
    Uncounted(#[source] StoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes what ended before a moment. False if some of it has to wait for NATS.
async fn prune(app: &App, before: Timestamp) -> Result<bool, RetentionError> {
    let store = app.store.as_ref();
    let mut query = PruneQuery::before(before);
    if let Some(nats) = &app.config.nats {
        query = query.up_to(event_relay::published(nats, store).await?);
    }
    // Before what is removed adds to the log itself.
    let has_all = query.up_to >= *store.head().borrow();
    let pruned = store.prune(query, &Progress::default()).await?;
    if pruned.tasks > 0 {
        tracing::info!(
            %before,
            tasks = pruned.tasks,
            events = pruned.events,
            calls = pruned.calls,
            artifacts = pruned.artifacts,
            "removed the events of tasks that ended long ago"
        );
    }
    if has_all {
        return Ok(true);
    }
    let waiting = waiting(store, query)
        .await
        .map_err(RetentionError::Uncounted)?;
    if waiting > 0 {
        tracing::warn!(
            waiting,
            "tasks that ended long ago wait for NATS to get their events, looking again in an hour"
        );
    }
    Ok(waiting == 0)
}

/// How many tasks would go if none of their events stood behind the position of the query.
pub(crate) async fn waiting(store: &dyn EventStore, query: PruneQuery) -> Result<u64, StoreError> {
    let all = store.prunable(PruneQuery::before(query.before)).await?;
    Ok(all.tasks.saturating_sub(store.prunable(query).await?.tasks))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event_payloads::{Actor, Payload, StateTransition, TaskCreated, TaskId, TaskStatus};
    use event_relay::NatsConfig;
    use event_store::{Commit, NewEvent};

    use super::*;
    use crate::config::{Config, Environment, Overrides};

    async fn app(data: &tempfile::TempDir) -> App {
        let folder = data.path().display().to_string();
        let settings = [
            ("OCTOAGENT_DATA_DIR", folder),
            ("OCTOAGENT_LLM_MODE", "echo".to_owned()),
        ];
        let environment = Environment::of_pairs(settings);
        let config = Config::load(&environment, &Overrides::default()).unwrap();
        App::start(config).await.unwrap()
    }

    fn moves(from_status: TaskStatus, to_status: TaskStatus) -> NewEvent {
        let transition = StateTransition {
            from_status,
            to_status,
            reason: String::new(),
        };
        NewEvent::new(Actor::System, Payload::StateTransition(transition))
    }

    async fn ended_task(app: &App) -> TaskId {
        let task_id: TaskId = "ended".parse().unwrap();
        let created = TaskCreated {
            title: "Hi".to_owned(),
            thread_id: "default".to_owned(),
            scope_id: "chat:web:default".to_owned(),
            channel: "web".to_owned(),
            sender_id: "owner".to_owned(),
            risk_level: "low".to_owned(),
        };
        let commit = Commit::new(task_id.clone())
            .event(NewEvent::new(Actor::System, Payload::TaskCreated(created)))
            .event(moves(TaskStatus::Created, TaskStatus::Running))
            .event(moves(TaskStatus::Running, TaskStatus::Succeeded));
        app.store.append(commit).await.unwrap();
        task_id
    }

    #[tokio::test]
    async fn nothing_goes_while_nats_can_not_say_what_it_has() {
        let data = tempfile::tempdir().unwrap();
        let mut app = app(&data).await;
        let task_id = ended_task(&app).await;
        let count = async |app: &App| app.store.events(&task_id, 0, 100).await.unwrap().len();
        let later = Timestamp::from_unix_micros(SystemClock.now().unix_micros() + 1_000_000);
        let without = app.config.clone();
        let nats = Some(NatsConfig::new("nats://127.0.0.1:1").unwrap());
        app.config = Arc::new(Config {
            nats,
            ..Config::clone(&without)
        });
        let refused = prune(&app, later).await.unwrap_err();
        assert!(matches!(refused, RetentionError::Nats(_)), "{refused}");
        assert_eq!(count(&app).await, 3);
        app.config = without;
        assert!(prune(&app, later - DAY).await.unwrap());
        assert_eq!(count(&app).await, 3);
        assert!(prune(&app, later).await.unwrap());
        assert_eq!(
            count(&app).await,
            2,
            "its first event and what says that the others are gone"
        );
        app.store.close().await.unwrap();
    }
}
