//! Where we knowingly do not say what LiteLLM says: each class with its reason and a test that is as
//! narrow as the reason.

use cost_tracker::{MatchedBy, PriceBook, Priced, Unpriced};
use serde_json::{Map, Value};

use crate::classes::{REVIEWED, SILENT_ZEROS};
use crate::questions::Question;

/// A question with both answers.
pub(crate) struct Case<'a> {
    pub(crate) question: &'a Question,
    pub(crate) book: &'a PriceBook,
    pub(crate) map: &'a Map<String, Value>,
    pub(crate) ours: &'a Result<Priced, Unpriced>,
    /// `None` where LiteLLM refuses.
    pub(crate) theirs: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Agree,
    /// Neither of the two has a price.
    NeitherPrices,
    /// A class of the reviewed table.
    Reviewed(&'static str),
    Unexplained,
}

/// Why two answers may differ.
pub(crate) struct Class {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) applies: fn(&Case<'_>) -> bool,
}

pub(crate) fn judge(case: &Case<'_>) -> Verdict {
    match (case.ours, case.theirs) {
        (Err(_), None) => return Verdict::NeitherPrices,
        (Ok(ours), Some(theirs)) if same(amount(ours), theirs) => return Verdict::Agree,
        _ => {}
    }
    SILENT_ZEROS
        .iter()
        .chain(&REVIEWED)
        .find(|class| (class.applies)(case))
        .map_or(Verdict::Unexplained, |class| Verdict::Reviewed(class.name))
}

pub(crate) fn amount(ours: &Priced) -> f64 {
    ours.total.to_string().parse().unwrap()
}

/// LiteLLM computes in binary floats.
pub(crate) fn same(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs())
}

impl Case<'_> {
    pub(crate) fn entry(&self) -> &Value {
        &self.map[&self.question.entry]
    }

    pub(crate) fn provider(&self) -> &str {
        self.question.provider.as_deref().unwrap_or_default()
    }

    pub(crate) fn entry_provider(&self) -> &str {
        self.entry()["litellm_provider"].as_str().unwrap()
    }

    /// A price of the entry, as the map states it; 0 if it does not.
    pub(crate) fn price(&self, field: &str) -> f64 {
        self.entry()[field].as_f64().unwrap_or(0.0)
    }

    pub(crate) fn is_named_otherwise(&self) -> bool {
        self.question.name != "key and provider"
    }

    pub(crate) fn theirs_is_zero(&self) -> bool {
        self.theirs == Some(0.0)
    }

    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.ours, Err(Unpriced::UnknownModel { .. }))
    }

    /// True if ours is theirs and so much more.
    pub(crate) fn is_more_by(&self, more: f64) -> bool {
        let (Ok(ours), Some(theirs)) = (self.ours, self.theirs) else {
            return false;
        };
        more > 0.0 && same(amount(ours), theirs + more)
    }

    /// True if ours is the price that the map states for the entry whose name was varied.
    pub(crate) fn is_price_of_entry(&self) -> bool {
        let by_key = self
            .book
            .price_call(None, &self.question.entry, &self.question.call());
        matches!((self.ours, &by_key), (Ok(ours), Ok(stated)) if ours.total == stated.total)
    }

    pub(crate) fn matched_by(&self) -> Option<MatchedBy> {
        let question = self.question;
        self.book
            .lookup(question.provider.as_deref(), &question.model)
            .map(|found| found.by())
    }
}
