//! Past costs by the prices of today, over a real store.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use std::sync::Arc;

use cost_tracker::{Billable, CallType, CostTracker, PriceBook, ServiceTier};
use event_payloads::{
    Actor, Cost, CostBreakdown, CostSource, EventId, EventType, ModelCallCompleted,
    ModelCallStarted, Payload, StateTransition, TaskCreated, TaskId, TaskStatus, TokenUsage, Usd,
};
use event_store::{Commit, EventStore, NewEvent, Parent, SqliteOptions, SqliteStore};
use provider_service::{RepriceQuery, report, reprice, task_cost};
use tempfile::TempDir;

const MODEL: &str = "my-model";

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// By prices of so many USD per million tokens, in or out.
fn tracker(per_million: u32) -> CostTracker {
    let prices = format!(
        "[models.{MODEL}]\ninput_per_million = {per_million}\noutput_per_million = {per_million}\nweb_search_per_thousand = 10\n[models.{MODEL}.flex]\ninput_per_million = 0"
    );
    CostTracker::new(Arc::new(
        PriceBook::builtin().with_overrides(&prices).unwrap(),
    ))
}

struct Desk {
    store: SqliteStore,
    task_id: TaskId,
    _folder: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let options = SqliteOptions::new(
            folder.path().join("octo.db"),
            folder.path().join("artifacts"),
        );
        let desk = Self {
            store: SqliteStore::open(options).await.unwrap(),
            task_id: "task-1".parse().unwrap(),
            _folder: folder,
        };
        let created = Payload::TaskCreated(TaskCreated {
            title: "Hello".into(),
            thread_id: "default".into(),
            scope_id: "chat:web:default".into(),
            channel: "web".into(),
            sender_id: "owner".into(),
            risk_level: "low".into(),
        });
        let moved = |from_status, to_status| {
            Payload::StateTransition(StateTransition {
                from_status,
                to_status,
                reason: String::new(),
            })
        };
        desk.append(vec![
            (created, Parent::None),
            (
                moved(TaskStatus::Created, TaskStatus::Running),
                Parent::None,
            ),
        ])
        .await;
        desk
    }

    async fn append(&self, events: Vec<(Payload, Parent)>) -> Vec<event_payloads::Event> {
        let mut commit = Commit::new(self.task_id.clone());
        for (payload, parent) in events {
            commit = commit.event(NewEvent::new(Actor::System, payload).parent(parent));
        }
        self.store.append(commit).await.unwrap().into_events()
    }

    /// A call of 1000 tokens in, that cost so much.
    async fn call(&self, cost: &Cost, breakdown: Option<CostBreakdown>) -> EventId {
        let started = Payload::ModelCallStarted(ModelCallStarted {
            model_alias: "main".into(),
            ..ModelCallStarted::default()
        });
        let call_id = self
            .append(vec![(started, Parent::None)])
            .await
            .remove(0)
            .event_id;
        let completed = ModelCallCompleted {
            model_alias: "main".into(),
            model_name: MODEL.into(),
            token_usage: Some(TokenUsage::new(1000, 0)),
            cost_breakdown: breakdown,
            ..ModelCallCompleted::default()
        }
        .with_cost(cost);
        let completed = Payload::ModelCallCompleted(Box::new(completed));
        self.append(vec![(completed, Parent::Event(call_id.clone()))])
            .await;
        call_id
    }

    async fn costs(&self) -> provider_service::TaskCost {
        task_cost(&self.store, &self.task_id)
            .await
            .unwrap()
            .unwrap()
    }
}

fn unknown() -> Cost {
    Cost::Unavailable("no price is known".into())
}

fn all() -> RepriceQuery {
    RepriceQuery::default()
}

#[tokio::test]
async fn a_wrong_and_a_missing_price_are_corrected_and_both_figures_stay() {
    let desk = Desk::new().await;
    desk.call(&Cost::known(usd("0.5"), CostSource::Override), None)
        .await;
    desk.call(&unknown(), None).await;
    let proxy = Cost::known(usd("0.25"), CostSource::Proxy);
    desk.call(&proxy, None).await;
    desk.call(&Cost::FREE, None).await;

    let repriced = reprice(&desk.store, &tracker(2), &all()).await.unwrap();
    assert_eq!(
        (
            repriced.looked_at,
            repriced.corrections.len(),
            repriced.left_alone
        ),
        (2, 2, 2)
    );
    assert_eq!(
        (repriced.before_usd, repriced.after_usd),
        (usd("0.5"), usd("0.004"))
    );

    let costs = desk.costs().await;
    assert_eq!(costs.total.cost_usd, usd("0.254"));
    assert_eq!(costs.total.recorded_cost_usd, Some(usd("0.75")));
    assert_eq!(
        (costs.total.corrected_calls, costs.total.calls_without_cost),
        (2, 0)
    );
    let recorded: Vec<_> = costs
        .calls
        .iter()
        .map(|call| call.recorded_cost_usd)
        .collect();
    assert_eq!(recorded, [Some(usd("0.5")), Some(Usd::ZERO), None, None]);
    // Nothing was rewritten: what the call's own event says is still there.
    let events = desk.store.events(&desk.task_id, 0, 100).await.unwrap();
    let first = events
        .iter()
        .find(|event| event.event_type == EventType::ModelCallCompleted)
        .unwrap();
    assert_eq!(first.payload["cost_usd"].to_string(), "0.5");
    let corrections: Vec<_> = events
        .iter()
        .filter(|event| event.event_type == EventType::CostCorrected)
        .collect();
    assert_eq!(corrections.len(), 2);
    assert_eq!(corrections[1].payload["previous_cost_unavailable"], true);

    // Computed anew from the events, it is the same.
    desk.store.rebuild().await.unwrap();
    assert_eq!(desk.costs().await, costs);
    let whole = report(&desk.store, event_store::CostQuery::default()).await;
    assert_eq!(whole.unwrap().total, costs.total);
}

#[tokio::test]
async fn a_second_time_corrects_nothing_and_a_dry_run_records_nothing() {
    let desk = Desk::new().await;
    desk.call(&unknown(), None).await;
    let dry = RepriceQuery {
        dry_run: true,
        ..all()
    };
    let shown = reprice(&desk.store, &tracker(2), &dry).await.unwrap();
    assert_eq!((shown.corrections.len(), shown.dry_run), (1, true));
    assert_eq!(desk.costs().await.total.corrected_calls, 0);

    let done = reprice(&desk.store, &tracker(2), &all()).await.unwrap();
    assert_eq!(done.corrections, shown.corrections);
    let again = reprice(&desk.store, &tracker(2), &all()).await.unwrap();
    assert_eq!((again.corrections.len(), again.unchanged), (0, 1));
    // Another price, another correction; what was recorded first is still the first.
    let dearer = reprice(&desk.store, &tracker(3), &all()).await.unwrap();
    assert_eq!(dearer.before_usd, usd("0.002"));
    let costs = desk.costs().await;
    assert_eq!(costs.total.cost_usd, usd("0.003"));
    assert_eq!(costs.total.recorded_cost_usd, Some(Usd::ZERO));
}

#[tokio::test]
async fn what_a_breakdown_kept_of_the_call_is_priced_again() {
    let desk = Desk::new().await;
    let mut call = Billable::from(TokenUsage::new(1000, 0)).with_service_tier(ServiceTier::Flex);
    call.units.web_searches = 2;
    let old = tracker(1);
    let priced = old.book().price_call(None, MODEL, &call).unwrap();
    let breakdown = priced.breakdown(CallType::AsTheModel);
    let cost = Cost::known(priced.total, CostSource::Override);
    desk.call(&cost, Some(breakdown)).await;
    // Flex input is free and the searches cost the same: nothing but the standard price is another.
    let repriced = reprice(&desk.store, &tracker(9), &all()).await.unwrap();
    assert_eq!((repriced.unchanged, repriced.corrections.len()), (1, 0));
}

#[tokio::test]
async fn only_the_calls_that_are_asked_for_are_looked_at() {
    let desk = Desk::new().await;
    desk.call(&unknown(), None).await;
    for query in [
        RepriceQuery {
            model: Some("another".into()),
            ..all()
        },
        RepriceQuery {
            to: Some("2020-01-01T00:00:00Z".parse().unwrap()),
            ..all()
        },
        RepriceQuery {
            from: Some("2999-01-01T00:00:00Z".parse().unwrap()),
            ..all()
        },
    ] {
        let repriced = reprice(&desk.store, &tracker(2), &query).await.unwrap();
        assert_eq!(repriced.looked_at, 0, "{query:?}");
    }
    let book = CostTracker::new(PriceBook::builtin());
    let unknown_today = reprice(&desk.store, &book, &all()).await.unwrap();
    assert_eq!(unknown_today.not_priced, 1);
}
