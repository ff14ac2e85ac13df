//! Sums of costs against a recount that knows nothing of how the store adds up.

use std::collections::BTreeMap;

use event_payloads::{Event, EventId, Payload, Picodollars, TaskId, Timestamp, Usd};
use event_store::{CostQuery, CostRow, Dimension};
use proptest::prelude::*;

use crate::desk::Desk;
use crate::history::{TASKS, history, live};
use crate::house::{House, NOON, check};

const DAY: i64 = 86_400_000_000;

/// A call as the events of its task tell it.
#[derive(Clone, Debug)]
struct Told {
    task: TaskId,
    started_at: Timestamp,
    words: [String; 4],
    row: CostRow,
    has_ended: bool,
}

/// Money of a call that has one end: known, or not.
fn end(told: &mut Told, cost: Option<Usd>, words: [&str; 3]) {
    let [category, model, provider] = words;
    if !category.is_empty() {
        category.clone_into(&mut told.words[1]);
    }
    model.clone_into(&mut told.words[2]);
    provider.clone_into(&mut told.words[3]);
    told.has_ended = true;
    told.row.open_calls = 0;
    told.row.cost = cost.map_or(Picodollars::default(), Usd::to_picodollars);
    told.row.recorded_cost = told.row.cost;
    told.row.calls_without_cost = u64::from(cost.is_none());
}

/// All calls of the log.
fn recount(events: impl Iterator<Item = Event>) -> Vec<Told> {
    let mut calls: BTreeMap<EventId, Told> = BTreeMap::new();
    for event in events {
        let parent = event.causality.parent_event_id.clone();
        match event.decode().unwrap() {
            Payload::ModelCallStarted(call) => {
                let told = Told {
                    task: event.task_id,
                    started_at: event.ts,
                    words: [
                        call.model_alias,
                        call.category,
                        String::new(),
                        String::new(),
                    ],
                    row: CostRow {
                        calls: 1,
                        open_calls: 1,
                        ..CostRow::default()
                    },
                    has_ended: false,
                };
                calls.insert(event.event_id, told);
            }
            Payload::ModelCallCompleted(call) => {
                let told = calls.get_mut(&parent.unwrap()).unwrap();
                let cost = (!call.cost_unavailable).then_some(call.cost_usd);
                end(
                    told,
                    cost,
                    [&call.category, &call.model_name, &call.provider],
                );
                told.row.fallback_calls = u64::from(call.is_fallback);
                told.row.drift_calls = u64::from(call.cost_drift.is_some());
                told.row.estimated_calls = u64::from(call.usage_is_estimated);
                if let Some(usage) = call.token_usage {
                    told.row.tokens.prompt = usage.prompt_tokens;
                    told.row.tokens.completion = usage.completion_tokens;
                    told.row.tokens.total = usage.total_tokens;
                }
            }
            Payload::ModelCallFailed(call) => {
                let told = calls.get_mut(&parent.unwrap()).unwrap();
                let cost = (!call.cost_unavailable).then_some(call.cost_usd);
                end(
                    told,
                    cost,
                    [&call.category, &call.model_name, &call.provider],
                );
                told.row.failed_calls = 1;
                if let Some(usage) = call.token_usage {
                    told.row.tokens.prompt = usage.prompt_tokens;
                    told.row.tokens.completion = usage.completion_tokens;
                    told.row.tokens.total = usage.total_tokens;
                }
            }
            Payload::CostCorrected(correction) => {
                let told = calls.get_mut(&correction.call_id).unwrap();
                told.row.cost = correction.cost_usd.to_picodollars();
                told.row.calls_without_cost = 0;
                told.row.corrected_calls = 1;
            }
            _ => {}
        }
    }
    calls.into_values().collect()
}

fn value(told: &Told, dimension: Dimension) -> String {
    let [alias, category, model, provider] = &told.words;
    match dimension {
        Dimension::Day => told.started_at.to_string()[..10].to_owned(),
        Dimension::Alias => alias.clone(),
        Dimension::Category => category.clone(),
        Dimension::Model => model.clone(),
        Dimension::Provider => provider.clone(),
        other => panic!("{other:?} is new"),
    }
}

fn add(sum: &mut CostRow, one: &CostRow) {
    let pico = |a: Picodollars, b: Picodollars| Picodollars::new(a.get() + b.get());
    sum.calls += one.calls;
    sum.open_calls += one.open_calls;
    sum.calls_without_cost += one.calls_without_cost;
    sum.fallback_calls += one.fallback_calls;
    sum.failed_calls += one.failed_calls;
    sum.drift_calls += one.drift_calls;
    sum.estimated_calls += one.estimated_calls;
    sum.corrected_calls += one.corrected_calls;
    sum.cost = pico(sum.cost, one.cost);
    sum.recorded_cost = pico(sum.recorded_cost, one.recorded_cost);
    sum.tokens.prompt += one.tokens.prompt;
    sum.tokens.completion += one.tokens.completion;
    sum.tokens.total += one.tokens.total;
}

/// What a question should be answered.
fn expected(calls: &[Told], query: &CostQuery) -> Vec<CostRow> {
    let mut groups: BTreeMap<Vec<String>, CostRow> = BTreeMap::new();
    if query.group_by.is_empty() {
        groups.insert(Vec::new(), CostRow::default());
    }
    for told in calls {
        let asked = query.from.is_none_or(|from| from <= told.started_at)
            && query.to.is_none_or(|to| told.started_at < to)
            && query.task.as_ref().is_none_or(|task| *task == told.task);
        if asked {
            let key = query.group_by.iter().map(|each| value(told, *each));
            add(groups.entry(key.collect()).or_default(), &told.row);
        }
    }
    let row = |(key, sums): (Vec<String>, CostRow)| CostRow {
        key: query.group_by.iter().copied().zip(key).collect(),
        ..sums
    };
    groups.into_iter().map(row).collect()
}

/// One end of a time.
#[derive(Clone, Debug)]
enum Edge {
    Open,
    Day(i64),
    Hour(i64),
    Odd(i64),
    /// Beside the start of a call, where an answer is easily off by one.
    Call(usize, i64),
}

fn edge() -> impl Strategy<Value = Edge> {
    prop_oneof![
        2 => Just(Edge::Open),
        2 => (-40_i64..80).prop_map(Edge::Day),
        1 => (-100_i64..2_000).prop_map(Edge::Hour),
        1 => (-40 * DAY..80 * DAY).prop_map(Edge::Odd),
        3 => (0_usize..20, -1_i64..=1).prop_map(|(call, micros)| Edge::Call(call, micros)),
    ]
}

impl Edge {
    fn moment(&self, calls: &[Told]) -> Option<Timestamp> {
        let micros = match self {
            Self::Open => return None,
            Self::Day(days) => NOON - NOON % DAY + days * DAY,
            Self::Hour(hours) => NOON + hours * 3_600_000_000,
            Self::Odd(micros) => NOON + micros,
            Self::Call(index, micros) => {
                let call = calls.get(index % calls.len().max(1))?;
                call.started_at.unix_micros() + micros
            }
        };
        Some(Timestamp::from_unix_micros(micros))
    }
}

/// A question, but for what it needs of the history.
type Asked = (Edge, Edge, Option<usize>, Vec<Dimension>);

fn asked() -> impl Strategy<Value = Asked> {
    use Dimension::{Alias, Category, Day, Model, Provider};
    let some = |of: &[Dimension]| proptest::sample::subsequence(of.to_vec(), 0..=of.len());
    // What the coarser rows of sums answer comes up seldom by itself.
    let by_alias = some(&[Day, Alias, Category]);
    let by_model = some(&[Day, Model, Provider]);
    let groups = prop_oneof![some(&Dimension::ALL), by_alias, by_model].prop_shuffle();
    (edge(), edge(), proptest::option::of(0..TASKS), groups)
}

async fn all_events(desk: &Desk, tasks: &[TaskId]) -> Vec<Event> {
    let mut all = Vec::new();
    for task_id in tasks {
        all.extend(desk.store.events(task_id, 0, usize::MAX).await.unwrap());
    }
    all
}

pub(crate) async fn sums_are_what_a_recount_of_the_events_comes_to(house: &House) {
    let questions = proptest::collection::vec(asked(), 20);
    check(
        house,
        32,
        (history(), questions),
        async |house, (history, questions)| {
            let desk = house.open().await;
            let tasks = live(&desk, &history).await;
            let calls = recount(all_events(&desk, &tasks).await.into_iter());
            for (from, to, task, group_by) in questions {
                let query = CostQuery {
                    from: from.moment(&calls),
                    to: to.moment(&calls),
                    task: task.map(|index| tasks[index].clone()),
                    group_by,
                };
                let rows = desk.store.cost_rollup(query.clone()).await.unwrap();
                assert_eq!(rows, expected(&calls, &query), "{query:?}");
            }
            let open = desk.store.open_calls().await.unwrap().len();
            assert_eq!(open, calls.iter().filter(|told| !told.has_ended).count());
        },
    )
    .await;
}

/// Questions of every kind.
fn many_questions(tasks: &[TaskId]) -> Vec<CostQuery> {
    let moment = |micros: i64| Some(Timestamp::from_unix_micros(micros));
    let times = [
        (None, None),
        (moment(NOON - NOON % DAY), None),
        (None, moment(NOON + 9 * DAY + 1)),
        (moment(NOON + 1), moment(NOON + 60 * DAY)),
    ];
    let mut groups: Vec<Vec<Dimension>> = Dimension::ALL.map(|each| vec![each]).into();
    let by_day_and_alias = vec![Dimension::Day, Dimension::Alias];
    groups.extend([Vec::new(), by_day_and_alias, Dimension::ALL.to_vec()]);
    let mut questions = Vec::new();
    for (from, to) in times {
        for group_by in &groups {
            for task in tasks.iter().map(Some).chain([None]) {
                questions.push(CostQuery {
                    from,
                    to,
                    task: task.cloned(),
                    group_by: group_by.clone(),
                });
            }
        }
    }
    questions
}

/// All that the store says of some tasks.
async fn answers(desk: &Desk, tasks: &[TaskId]) -> Vec<String> {
    let mut answers = Vec::new();
    for task_id in tasks {
        answers.push(format!("{:?}", desk.store.task(task_id).await.unwrap()));
        answers.push(format!("{:?}", desk.store.calls(task_id).await.unwrap()));
    }
    for query in many_questions(tasks) {
        let rows = desk.store.cost_rollup(query.clone()).await.unwrap();
        answers.push(format!("{query:?}: {rows:?}"));
    }
    answers.push(format!("{:?}", desk.store.open_calls().await.unwrap()));
    answers.push(format!("{:?}", desk.log(0, 1_000).await));
    answers
}

pub(crate) async fn any_legal_history_rebuilds_to_the_same_answers(house: &House) {
    check(house, 16, history(), async |house, history| {
        let desk = house.open().await;
        let tasks = live(&desk, &history).await;
        let before = answers(&desk, &tasks).await;
        let rebuilt = desk.store.rebuild().await.unwrap();
        assert_eq!(answers(&desk, &tasks).await, before);
        assert_eq!(rebuilt.undecodable, 0);
        let events = all_events(&desk, &tasks).await;
        assert_eq!(usize::try_from(rebuilt.events).unwrap(), events.len());
        let calls = recount(events.into_iter()).len();
        assert_eq!(usize::try_from(rebuilt.calls).unwrap(), calls);
        // What follows builds on what was rebuilt.
        let more = live(&desk, &history).await;
        let calls = recount(all_events(&desk, &[tasks, more].concat()).await.into_iter());
        let total = desk.store.cost_rollup(CostQuery::default()).await.unwrap();
        assert_eq!(total, expected(&calls, &CostQuery::default()));
    })
    .await;
}
