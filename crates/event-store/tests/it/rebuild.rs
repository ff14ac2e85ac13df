//! The projections come out the same when they are computed anew.

use event_payloads::{
    Actor, Cost, CostCorrected, CostSource, EventId, Payload, TaskId, TaskStatus, Usd,
};
use event_store::{EventStore, NewEvent};
use proptest::prelude::*;

use crate::desk::{Desk, commit, completed, created, dump, failed, message, moved, started};

/// One step of a history. What the rules refuse is left out, so that what remains is legal.
#[derive(Clone, Debug)]
enum Step {
    Create,
    Message,
    Start,
    Complete(usize, i64),
    Unpriced(usize),
    Fail(usize),
    Correct(usize, i64),
    Move(TaskStatus, TaskStatus),
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let status = || proptest::sample::select(TaskStatus::ALL.to_vec());
    prop_oneof![
        2 => Just(Step::Create),
        1 => Just(Step::Message),
        3 => Just(Step::Start),
        2 => (0_usize..4, 0..i64::MAX / 4).prop_map(|(call, pico)| Step::Complete(call, pico)),
        1 => (0_usize..4).prop_map(Step::Unpriced),
        1 => (0_usize..4).prop_map(Step::Fail),
        1 => (0_usize..4, 0..i64::MAX / 4).prop_map(|(call, pico)| Step::Correct(call, pico)),
        2 => (status(), status()).prop_map(|(from, to)| Step::Move(from, to)),
        2 => Just(Step::Move(TaskStatus::Created, TaskStatus::Running)),
        1 => Just(Step::Move(TaskStatus::Running, TaskStatus::Succeeded)),
        1 => (-5_i64..1 << 40).prop_map(Step::Pass),
    ]
}

fn event(step: &Step, calls: &[EventId]) -> Option<NewEvent> {
    let call = |index: &usize| calls.get(*index);
    Some(match step {
        Step::Create => created(),
        Step::Message => message("a"),
        Step::Start => started("planner"),
        Step::Complete(index, pico) => {
            let usd: Usd = event_payloads::Picodollars::new(*pico).to_usd().ok()?;
            completed(call(index)?, &Cost::known(usd, CostSource::Proxy))
        }
        Step::Unpriced(index) => completed(call(index)?, &Cost::Unavailable("why".to_owned())),
        Step::Fail(index) => failed(call(index)?),
        Step::Correct(index, pico) => corrected(call(index)?, *pico)?,
        Step::Move(from, to) => moved(*from, *to),
        Step::Pass(_) => return None,
    })
}

fn corrected(call_id: &EventId, pico: i64) -> Option<NewEvent> {
    let correction = CostCorrected {
        call_id: call_id.clone(),
        cost_usd: event_payloads::Picodollars::new(pico).to_usd().ok()?,
        cost_source: CostSource::PriceBook,
        previous_cost_usd: Usd::ZERO,
        previous_cost_unavailable: true,
        previous_cost_source: CostSource::None,
        reason: "the price was missing".to_owned(),
        cost_breakdown: None,
    };
    let payload = Payload::CostCorrected(Box::new(correction));
    Some(NewEvent::new(Actor::System, payload))
}

async fn live(desk: &Desk, history: &[(usize, Step)]) {
    let tasks: Vec<TaskId> = (0..3).map(|_| desk.ids.task_id()).collect();
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
            Ok(mut events) if matches!(step, Step::Start) => {
                calls[*task].push(events.remove(0).event_id);
            }
            Ok(_) => {}
            Err(error) => assert!(error.is_refusal(), "{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_legal_history_rebuilds_to_the_same_rows(
        history in proptest::collection::vec((0_usize..3, step()), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::new().await;
            live(&desk, &history).await;
            let sql = desk.sql();
            let before = (dump(&sql, "tasks"), dump(&sql, "model_calls"));
            let rebuilt = desk.store.rebuild().await.unwrap();
            let after = (dump(&sql, "tasks"), dump(&sql, "model_calls"));
            assert_eq!(before, after);
            assert_eq!(rebuilt.undecodable, 0);
            assert_eq!(usize::try_from(rebuilt.calls).unwrap(), after.1.len());
            // It repairs rows that something else has spoilt.
            sql.execute_batch("UPDATE tasks SET title = 'x', status = 'FAILED', pointers = 'no json'; DELETE FROM model_calls").unwrap();
            desk.store.rebuild().await.unwrap();
            assert_eq!((dump(&sql, "tasks"), dump(&sql, "model_calls")), before);
        });
    }
}
