//! Random histories.

use event_payloads::{
    Actor, Cost, CostCorrected, CostDrift, CostSource, EventId, ModelCallCompleted,
    ModelCallFailed, Payload, Picodollars, TaskId, TaskStatus, TokenUsage, Usd,
};
use event_store::{NewEvent, Parent};
use proptest::prelude::*;

use crate::desk::Desk;
use crate::events::{answer, commit, completed, created, failed, message, moved, started};

/// How many tasks a history goes over.
pub(crate) const TASKS: usize = 3;

/// One step of a history. What the rules refuse is left out, so that what remains is legal.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create,
    Message,
    Start(usize),
    Complete(usize, usize, i64),
    Unpriced(usize),
    Fail(usize),
    FailPaid(usize, i64),
    Correct(usize, i64),
    Move(TaskStatus, TaskStatus),
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let status = || proptest::sample::select(TaskStatus::ALL.to_vec());
    let call = || 0_usize..4;
    let pico = || 0..i64::MAX / 100_000;
    prop_oneof![
        2 => Just(Step::Create),
        1 => Just(Step::Message),
        4 => (0_usize..3).prop_map(Step::Start),
        4 => (call(), 0_usize..3, pico()).prop_map(|(call, model, pico)| Step::Complete(call, model, pico)),
        1 => call().prop_map(Step::Unpriced),
        1 => call().prop_map(Step::Fail),
        1 => (call(), pico()).prop_map(|(call, pico)| Step::FailPaid(call, pico)),
        2 => (call(), pico()).prop_map(|(call, pico)| Step::Correct(call, pico)),
        1 => (status(), status()).prop_map(|(from, to)| Step::Move(from, to)),
        2 => Just(Step::Move(TaskStatus::Created, TaskStatus::Running)),
        1 => Just(Step::Move(TaskStatus::Running, TaskStatus::Succeeded)),
        // Up to twelve days on, or a little back.
        2 => (-90_000_000_000_i64..1 << 40).prop_map(Step::Pass),
    ]
}

/// Steps, each of one of the tasks.
pub(crate) fn history() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let first: Vec<_> = (0..TASKS).map(|task| (task, Step::Create)).collect();
    let steps = proptest::collection::vec((0..TASKS, step()), 1..60);
    steps.prop_map(move |steps| first.iter().cloned().chain(steps).collect())
}

fn usd(pico: i64) -> Usd {
    Picodollars::new(pico).to_usd().unwrap()
}

fn event(step: &Step, calls: &[EventId]) -> Option<NewEvent> {
    let call = |index: &usize| calls.get(*index);
    Some(match step {
        Step::Create => created(),
        Step::Message => message("a"),
        Step::Start(alias) => started(["planner", "router", "main"][*alias]),
        Step::Complete(index, model, pico) => complete(call(index)?, *model, *pico),
        Step::Unpriced(index) => completed(call(index)?, &Cost::Unavailable("why".to_owned())),
        Step::Fail(index) => failed(call(index)?),
        Step::FailPaid(index, pico) => fail_paid(call(index)?, *pico),
        Step::Correct(index, pico) => corrected(call(index)?, *pico),
        Step::Move(from, to) => moved(*from, *to),
        Step::Pass(_) => return None,
    })
}

fn complete(call_id: &EventId, model: usize, pico: i64) -> NewEvent {
    let call = ModelCallCompleted {
        model_name: ["gpt-4o-mini", "claude", ""][model].to_owned(),
        provider: ["openai", "anthropic", ""][model].to_owned(),
        category: ["", "judge", "other"][model].to_owned(),
        is_fallback: model == 1,
        usage_is_estimated: model == 2,
        token_usage: (model != 2).then(|| TokenUsage::new(pico.unsigned_abs() % 5_000, 7)),
        ..ModelCallCompleted::default()
    };
    let cost = Cost::Known {
        usd: usd(pico),
        source: CostSource::Proxy,
        drift: (pico % 3 == 0).then(|| CostDrift {
            proxy_usd: usd(pico),
            price_book_usd: Usd::ZERO,
        }),
    };
    answer(call, &cost).parent(Parent::Event(call_id.clone()))
}

fn fail_paid(call_id: &EventId, pico: i64) -> NewEvent {
    let call = ModelCallFailed {
        error_type: "cancelled".to_owned(),
        model_name: "gpt-4o-mini".to_owned(),
        token_usage: Some(TokenUsage::new(3, 4)),
        cost_usd: usd(pico),
        cost_unavailable: false,
        cost_source: CostSource::PriceBook,
        ..ModelCallFailed::default()
    };
    NewEvent::new(Actor::System, Payload::ModelCallFailed(Box::new(call)))
        .parent(Parent::Event(call_id.clone()))
}

fn corrected(call_id: &EventId, pico: i64) -> NewEvent {
    let correction = CostCorrected {
        call_id: call_id.clone(),
        cost_usd: usd(pico),
        cost_source: CostSource::PriceBook,
        previous_cost_usd: Usd::ZERO,
        previous_cost_unavailable: true,
        previous_cost_source: CostSource::None,
        reason: "the price was missing".to_owned(),
        cost_breakdown: None,
    };
    NewEvent::new(Actor::System, Payload::CostCorrected(Box::new(correction)))
}

/// Lives a history; gives its tasks.
pub(crate) async fn live(desk: &Desk, history: &[(usize, Step)]) -> Vec<TaskId> {
    let tasks: Vec<TaskId> = (0..TASKS).map(|_| desk.ids.task_id()).collect();
    let mut calls: Vec<Vec<EventId>> = vec![Vec::new(); tasks.len()];
    for (task, step) in history {
        if let Step::Pass(micros) = step {
            desk.clock.advance_micros(*micros);
        }
        let Some(event) = event(step, &calls[*task]) else {
            continue;
        };
        let recorded = desk.store.append(commit(&tasks[*task], vec![event])).await;
        match recorded {
            Ok(recorded) if matches!(step, Step::Start(_)) => {
                calls[*task].extend(recorded.event_ids().cloned());
            }
            Ok(_) => {}
            Err(error) => assert!(error.is_refusal(), "{error}"),
        }
    }
    tasks
}
