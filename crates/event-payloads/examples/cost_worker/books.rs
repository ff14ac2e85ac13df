//! What is known after the events up to the cursor.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use event_payloads::{CostCorrected, Event, EventId, EventType, Payload, TaskId, Usd};
use serde::{Deserialize, Serialize};

/// The cursor, and what was added up until there. One value in one file: neither is ever without the other.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Books {
    /// Where to go on in the log.
    pub(crate) cursor: u64,
    /// Sums by day (UTC, of the call's start), then by alias.
    sums: BTreeMap<String, BTreeMap<String, Sum>>,
    /// Calls without an end yet, by the event that started them.
    open: BTreeMap<EventId, Open>,
    /// The sum that a call stands in. A correction may come at any later time, and names the call alone.
    counted: BTreeMap<EventId, Place>,
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
struct Open {
    task_id: TaskId,
    #[serde(flatten)]
    place: Place,
}

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
            EventType::CostCorrected => {
                let payload = event.decode().map_err(|error| error.to_string())?;
                if let Payload::CostCorrected(correction) = payload {
                    self.correct(&correction)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, event: &Event) {
        let open = Open {
            task_id: event.task_id.clone(),
            place: place(event),
        };
        self.open.insert(event.event_id.clone(), open);
    }

    fn end(&mut self, event: &Event) -> Result<(), String> {
        let (call_id, mut place) = self.call_of(event);
        if place.alias.is_empty() {
            place.alias = alias(event);
        }
        let sum = self.sum(&place);
        sum.calls += 1;
        match cost(event) {
            Some(usd) => sum.add(usd)?,
            None => sum.unavailable += 1,
        }
        self.counted.insert(call_id, place);
        Ok(())
    }

    /// The call that an event ends. It names the call's start; where old events do not, it is the call of the
    /// task that began first, and a call without a start begins with its end.
    fn call_of(&mut self, event: &Event) -> (EventId, Place) {
        let named = event.causality.parent_event_id.as_ref();
        let call_id = named.filter(|call_id| self.open.contains_key(*call_id));
        let oldest = || {
            let mut open = self.open.iter();
            open.find(|(_, open)| open.task_id == event.task_id)
                .map(|(call_id, _)| call_id)
        };
        let call_id = call_id.or_else(oldest).unwrap_or(&event.event_id).clone();
        let begun = self.open.remove(&call_id).map(|open| open.place);
        (call_id, begun.unwrap_or_else(|| place(event)))
    }

    /// The difference to what counted until now. A call that was not counted here has none.
    fn correct(&mut self, correction: &CostCorrected) -> Result<(), String> {
        let Some(place) = self.counted.get(&correction.call_id).cloned() else {
            return Ok(());
        };
        let sum = self.sum(&place);
        if correction.previous_cost_unavailable {
            let left = sum.unavailable.checked_sub(1);
            sum.unavailable = left.ok_or("a correction speaks of another cost")?;
        } else {
            sum.subtract(correction.previous_cost_usd)?;
        }
        sum.add(correction.cost_usd)
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
    /// Whole picodollars, as the gateway adds up: a cost of old may have the noise of a float.
    fn add(&mut self, usd: Usd) -> Result<(), String> {
        let sum = self.cost_usd.checked_add(usd.rounded());
        self.cost_usd = sum.ok_or("the sum is too large")?;
        Ok(())
    }

    fn subtract(&mut self, usd: Usd) -> Result<(), String> {
        let left = self.cost_usd.as_decimal() - usd.rounded().as_decimal();
        self.cost_usd = Usd::new(left).map_err(|error| error.to_string())?;
        Ok(())
    }
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
