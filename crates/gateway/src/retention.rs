//! Once a day, removes the events of tasks that ended so long ago that the settings let them go. What they cost
//! stays.

use std::sync::Arc;
use std::time::Duration;

use event_payloads::Timestamp;
use event_relay::NatsRelay;
use event_store::{Clock, EventStore, LogQuery, Progress, StoreError, SystemClock};
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::DAY;

/// After how long it looks again, and not only the next day, where something went wrong or has to wait; and by how much
/// a clock may have jumped back.
const HOUR: Duration = Duration::from_secs(3_600);
/// For NATS to say what it has, before the first look.
const MINUTE: Duration = Duration::from_secs(60);

/// Looks at the start and every day, while the gateway runs. Stops when dropped: it removes some tasks at a
/// time, each whole or not at all.
#[derive(Debug)]
pub(crate) struct Retention {
    _running: JoinSet<()>,
}

impl Retention {
    /// Does nothing where the settings keep everything. What `nats` has yet to publish stays.
    pub(crate) fn start(app: &App, nats: Option<Arc<NatsRelay>>) -> Self {
        let mut running = JoinSet::new();
        if let Some(kept) = app.config.storage.retention {
            let app = app.clone();
            running.spawn(async move {
                let closing = app.closing.clone();
                let daily = prune_daily(&app, kept, nats.as_deref());
                let _ = closing.run_until_cancelled(daily).await;
            });
        }
        Self { _running: running }
    }
}

async fn prune_daily(app: &App, kept: Duration, nats: Option<&NatsRelay>) {
    if nats.is_some() {
        tokio::time::sleep(MINUTE).await;
    }
    loop {
        let all = prune(app, kept, nats, SystemClock.now())
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot remove the events of tasks that ended long ago, trying again in an hour"
                );
                false
            });
        tokio::time::sleep(if all { DAY } else { HOUR }).await;
    }
}

/// Removes what ended so long before now. False if some of it has to wait for NATS.
async fn prune(
    app: &App,
    kept: Duration,
    nats: Option<&NatsRelay>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let due = now - kept;
    let waits = match nats {
        Some(nats) => first_after(app.store.as_ref(), nats.published()).await?,
        None => None,
    };
    // The clock may have jumped back since: no event of what goes is to stand behind one that waits.
    let before = waits.map_or(due, |waits| due.min(waits - HOUR));
    let pruned = app.store.prune(before, &Progress::default()).await?;
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
    if before < due {
        tracing::warn!(%before, "nothing that ended later is removed before NATS has all events");
    }
    Ok(before == due)
}

/// When the first event after a position happened.
async fn first_after(
    store: &dyn EventStore,
    mut after: u64,
) -> Result<Option<Timestamp>, StoreError> {
    loop {
        let types = Vec::new();
        let page = store
            .log(LogQuery {
                after,
                types,
                limit: 1,
            })
            .await?;
        match page.events.first() {
            Some(first) => return Ok(Some(first.event.ts)),
            None if page.caught_up => return Ok(None),
            // Only such as nobody can read.
            None => after = page.next,
        }
    }
}

#[cfg(test)]
mod tests {
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
    async fn what_nats_has_not_got_stays_however_old_it_is() {
        let data = tempfile::tempdir().unwrap();
        let app = app(&data).await;
        let task_id = ended_task(&app).await;
        let count = async || app.store.events(&task_id, 0, 100).await.unwrap().len();
        let config = NatsConfig::new("nats://127.0.0.1:1").unwrap();
        let nats = NatsRelay::new(config, app.store.clone());
        let two_days = 2 * 86_400_000_000;
        let now = Timestamp::from_unix_micros(SystemClock.now().unix_micros() + two_days);
        assert!(!prune(&app, DAY, Some(&nats), now).await.unwrap());
        assert_eq!(count().await, 3);
        assert!(prune(&app, 3 * DAY, None, now).await.unwrap());
        assert_eq!(count().await, 3);
        assert!(prune(&app, DAY, None, now).await.unwrap());
        assert_eq!(
            count().await,
            2,
            "its first event and what says that the others are gone"
        );
        app.store.close().await.unwrap();
    }
}
