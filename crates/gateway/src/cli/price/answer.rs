//! What the price book says to one question.

use cost_tracker::{
    Billable, CallType, MatchedBy, PriceBook, Priced, Residency, ServiceTier, UnknownWord,
    parse_billable,
};
use serde_json::{Map, Value, json};

use super::question::Question;

/// An answer.
pub(super) enum Answer {
    Priced {
        priced: Box<Priced>,
        by: MatchedBy,
    },
    /// The cost is not known, and why. The key is there if an entry was found.
    Unavailable {
        reason: String,
        matched: Option<(String, MatchedBy)>,
    },
    /// The question cannot be understood.
    Bad {
        error: String,
    },
}

pub(super) fn answer(book: &PriceBook, question: &Question) -> Answer {
    let provider = question.provider.as_deref();
    let model = match question.base_model.as_deref() {
        Some(base) if !base.is_empty() => base,
        _ => &question.model,
    };
    let found = book.lookup(provider, model);
    let matched = found.map(|found| (found.key().to_owned(), found.by()));
    let is_rerank = found.is_some_and(|found| found.mode() == "rerank");
    let terms = match Terms::of(question, is_rerank) {
        Ok(terms) => terms,
        Err(error) => return Answer::Bad { error },
    };
    let call = match parse_billable(&question.usage, terms.call_type) {
        Ok(call) => terms.applied_to(call),
        Err(error) => {
            return Answer::Unavailable {
                reason: error.to_string(),
                matched,
            };
        }
    };
    match (book.price_call(provider, model, &call), &matched) {
        (Ok(priced), Some((_, by))) => Answer::Priced {
            priced: Box::new(priced),
            by: *by,
        },
        (Ok(_), None) => Answer::Unavailable {
            reason: "no entry of the price book was found".to_owned(),
            matched,
        },
        (Err(reason), _) => Answer::Unavailable {
            reason: reason.to_string(),
            matched,
        },
    }
}

/// What the question says beside the usage.
struct Terms {
    call_type: CallType,
    service_tier: Option<ServiceTier>,
    residency: Option<Residency>,
    regional_endpoint: bool,
}

impl Terms {
    fn of(question: &Question, is_rerank: bool) -> Result<Self, String> {
        let word = |word: &Option<String>| word.clone().unwrap_or_default();
        let text = |error: UnknownWord| error.to_string();
        let call_type = word(&question.call_type);
        let is_batch = call_type.ends_with("retrieve_batch");
        let call_type: CallType = if is_batch { "" } else { &call_type }
            .parse()
            .map_err(text)?;
        let service_tier = match &question.service_tier {
            Some(stated) => Some(stated.parse::<ServiceTier>().map_err(text)?),
            None => is_batch.then_some(ServiceTier::Batch),
        };
        let residency = match word(&question.data_residency).as_str() {
            "" | "global" => None,
            "eu" => Some(Residency::EuropeanUnion),
            "us" => Some(Residency::UnitedStates),
            other => return Err(format!("`{other}` is no data residency, expected eu or us")),
        };
        let location = word(&question.vertex_location);
        Ok(Self {
            call_type: match call_type {
                CallType::AsTheModel if is_rerank => CallType::Rerank,
                stated => stated,
            },
            service_tier,
            residency,
            regional_endpoint: !location.is_empty() && !location.eq_ignore_ascii_case("global"),
        })
    }

    fn applied_to(&self, mut call: Billable) -> Billable {
        if let Some(service_tier) = self.service_tier {
            call.service_tier = service_tier;
        }
        call.place.residency = self.residency;
        call.place.regional_endpoint = self.regional_endpoint;
        call
    }
}

impl Answer {
    /// The line of JSON: amounts are strings, so that no reader makes floats of them.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut set = |name: &str, value: Value| {
            object.insert(name.to_owned(), value);
        };
        match self {
            Self::Priced { priced, by } => {
                set("cost_usd", priced.total.to_string().into());
                set("cost_unavailable", false.into());
                set("matched", priced.key.clone().into());
                set("matched_by", by.as_sentence().into());
                let breakdown = priced.breakdown(CallType::AsTheModel);
                set("source", json!(breakdown.source));
                if !breakdown.service_tier.is_empty() {
                    set("service_tier", breakdown.service_tier.into());
                }
                if let Some(factor) = breakdown.factor {
                    set("factor", json!(factor));
                }
                let lines = breakdown.lines.iter().map(|line| {
                    json!({"dimension": line.dimension, "quantity": line.quantity,
                           "unit_price_usd": line.unit_price_usd.to_string(),
                           "amount_usd": line.amount_usd.to_string(), "basis": line.basis})
                });
                set("breakdown", lines.collect());
            }
            Self::Unavailable { reason, matched } => {
                set("cost_usd", "0".into());
                set("cost_unavailable", true.into());
                set("reason", reason.clone().into());
                if let Some((key, by)) = matched {
                    set("matched", key.clone().into());
                    set("matched_by", by.as_sentence().into());
                }
                set("breakdown", Value::Array(Vec::new()));
            }
            Self::Bad { error } => {
                set("error", error.clone().into());
                set("cost_usd", "0".into());
                set("cost_unavailable", true.into());
                set("reason", error.clone().into());
                set("breakdown", Value::Array(Vec::new()));
            }
        }
        object
    }
}
