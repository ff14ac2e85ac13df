//! What is known after the events up to the cursor.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use event_payloads::{
    CostCorrected, Event, EventId, EventType, Payload, PrunedCalls, TaskId, TaskPruned, Usd,
};
use serde::{Deserialize, Serialize};

/// The cursor, and what was added up until there. One value in one file: neither is ever without the other.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Books {
    /// Where to go on in the log.
    pub(crate) cursor: u64,
    /// Sums by day (UTC, of the call's start), then by alias.
    sums: BTreeMap<String, BTreeMap<String, Sum>>,
    /// Calls by their task and by the event that started them. A correction may come at any later time, and
    /// names the call alone; a tombstone names the task.
    calls: BTreeMap<TaskId, BTreeMap<EventId, Call>>,
}

/// Some calls that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    calls: u64,
    /// Of those: nobody knows what they cost, which is not 0.
    unavailable: u64,
    /// What the others cost.
    cost_usd: Usd,
}

#[derive(Serialize, Deserialize)]
struct Call {
    place: Place,
    /// None while it has no end.
    end: Option<End>,
}

/// What a call that has ended cost; none if nobody knows.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct End {
    cost_usd: Option<Usd>,
}

/// The sum that a call stands in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    day: String,
    alias: String,
}

impl Books {
    /// Takes an event in. Events of other types change nothing.
    pub(crate) fn add(&mut self, event: &Event) -> Result<(), String> {
        match event.event_type {
            EventType::ModelCallStarted => self.start(event),
            EventType::ModelCallCompleted | EventType::ModelCallFailed => self.end(event)?,
            EventType::CostCorrected | EventType::TaskPruned => {
                match event.decode().map_err(|error| error.to_string())? {
                    Payload::CostCorrected(correction) => {
                        self.correct(&event.task_id, &correction)?;
                    }
                    Payload::TaskPruned(pruned) => self.prune(&event.task_id, &pruned)?,
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, event: &Event) {
        let place = place(event);
        let calls = self.calls.entry(event.task_id.clone()).or_default();
        calls.insert(event.event_id.clone(), Call { place, end: None });
    }

    fn end(&mut self, event: &Event) -> Result<(), String> {
        let calls = self.calls.entry(event.task_id.clone()).or_default();
        let call_id = call_of(calls, event);
        let call = calls.entry(call_id).or_insert_with(|| Call {
            place: place(event),
            end: None,
        });
        if call.place.alias.is_empty() {
            call.place.alias = alias(event);
        }
        let cost_usd = cost(event);
        let end = call.end.insert(End { cost_usd });
        let (place, end) = (call.place.clone(), *end);
        self.sum(&place).add(end)
    }

    /// Counts a call anew. One that was not counted here stays so.
    fn correct(&mut self, task_id: &TaskId, correction: &CostCorrected) -> Result<(), String> {
        let calls = self.calls.get_mut(task_id);
        let call = calls.and_then(|calls| calls.get_mut(&correction.call_id));
        let Some(Call {
            place,
            end: Some(end),
        }) = call
        else {
            return Ok(());
        };
        let (place, before) = (place.clone(), *end);
        end.cost_usd = Some(correction.cost_usd);
        let now = *end;
        let sum = self.sum(&place);
        sum.take_back(before)?;
        sum.add(now)
    }

    /// The sums of a task whose calls are in the log no more. How many of them came here before depends on when
    /// the worker ran: what was counted of them gives way.
    fn prune(&mut self, task_id: &TaskId, pruned: &TaskPruned) -> Result<(), String> {
        for call in self.calls.remove(task_id).unwrap_or_default().into_values() {
            if let Some(end) = call.end {
                self.sum(&call.place).take_back(end)?;
            }
        }
        for calls in &pruned.calls {
            let place = Place {
                day: event_payloads::first_chars(&calls.hour, 10).to_owned(),
                alias: calls.alias.clone(),
            };
            self.sum(&place).add_pruned(calls)?;
        }
        Ok(())
    }

    fn sum(&mut self, place: &Place) -> &mut Sum {
        let day = self.sums.entry(place.day.clone()).or_default();
        day.entry(place.alias.clone()).or_default()
    }

    /// The sums for people.
    pub(crate) fn report(&self) -> String {
        let by_day = self.sums.iter().flat_map(|(day, aliases)| {
            let sums = aliases.values();
            sums.map(|sum| (day.as_str(), *sum))
        });
        let by_alias = self.sums.values().flatten();
        let by_alias = by_alias.map(|(alias, sum)| (alias.as_str(), *sum));
        let mut text = String::new();
        for (dimension, sums) in [("alias", add_up(by_alias)), ("day", add_up(by_day))] {
            for (name, sum) in sums {
                // A text takes every line.
                let _ = writeln!(
                    text,
                    "{dimension} {name}: {} USD, {} calls, {} of unknown cost",
                    sum.cost_usd, sum.calls, sum.unavailable
                );
            }
        }
        let _ = write!(text, "cursor {}", self.cursor);
        text
    }
}

fn add_up<'a>(sums: impl Iterator<Item = (&'a str, Sum)>) -> BTreeMap<&'a str, Sum> {
    let mut added = BTreeMap::<&str, Sum>::new();
    for (name, sum) in sums {
        let whole = added.entry(name).or_default();
        whole.calls += sum.calls;
        whole.unavailable += sum.unavailable;
        whole.cost_usd = whole.cost_usd.checked_add(sum.cost_usd).unwrap_or(Usd::MAX);
    }
    added
}

impl Sum {
    fn add(&mut self, end: End) -> Result<(), String> {
        self.calls += 1;
        match end.cost_usd {
            Some(usd) => self.add_usd(usd)?,
            None => self.unavailable += 1,
        }
        Ok(())
    }

    fn add_pruned(&mut self, calls: &PrunedCalls) -> Result<(), String> {
        self.calls += calls.calls;
        self.unavailable += calls.calls_without_cost;
        self.add_usd(calls.cost_usd)
    }

    /// Whole picodollars, as the gateway adds up: a cost of old may have the noise of a float.
    fn add_usd(&mut self, usd: Usd) -> Result<(), String> {
        let sum = self.cost_usd.checked_add(usd.rounded());
        self.cost_usd = sum.ok_or("the sum is too large")?;
        Ok(())
    }

    /// Of what was added before.
    fn take_back(&mut self, end: End) -> Result<(), String> {
        self.calls -= 1;
        match end.cost_usd {
            Some(usd) => {
                let left = self.cost_usd.as_decimal() - usd.rounded().as_decimal();
                self.cost_usd = Usd::new(left).map_err(|error| error.to_string())?;
            }
            None => self.unavailable -= 1,
        }
        Ok(())
    }
}

/// The call of a task that an event ends. It names the call's start; where old events do not, it is the call that
/// began first, and a call without a start begins with its end.
fn call_of(calls: &BTreeMap<EventId, Call>, event: &Event) -> EventId {
    let named = event.causality.parent_event_id.as_ref();
    let open = |call_id: &&EventId| calls.get(*call_id).is_some_and(|call| call.end.is_none());
    let call_id = named.filter(open).or_else(|| calls.keys().find(open));
    call_id.unwrap_or(&event.event_id).clone()
}

/// What the end of a call says that it cost; `None` if nobody knows.
fn cost(event: &Event) -> Option<Usd> {
    let stated = |field| event.payload.get(field).is_some();
    match event.decode() {
        Ok(Payload::ModelCallCompleted(_))
            if !stated("cost_usd") && !stated("cost_unavailable") =>
        {
            // Recorded before costs were; its default is no statement.
            None
        }
        Ok(Payload::ModelCallCompleted(call)) => call.cost().usd(),
        Ok(Payload::ModelCallFailed(call)) => call.cost().usd(),
        // It can not be read, but the call was made.
        _ => None,
    }
}

fn place(event: &Event) -> Place {
    Place {
        day: event.ts.day(),
        alias: alias(event),
    }
}

fn alias(event: &Event) -> String {
    let alias = event
        .payload
        .get("model_alias")
        .and_then(|alias| alias.as_str());
    alias.unwrap_or_default().to_owned()
}
