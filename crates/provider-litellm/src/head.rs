//! What the head of an answer says.

use cost_tracker::ProxyCost;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use provider_core::ProxyTrace;

use crate::model_name::ModelName;

/// Status and headers.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// What is read of a head after its answer has begun.
const KEPT: [&str; 5] = [
    "x-litellm-model-name",
    "x-litellm-model-group",
    "x-litellm-attempted-retries",
    "x-litellm-attempted-fallbacks",
    "x-litellm-call-id",
];

impl Head {
    /// The same without what nobody reads any more: a stream may be open for long.
    pub(crate) fn kept(&self) -> Self {
        let kept = KEPT.into_iter().filter_map(|name| {
            // A copy: the values as they came are parts of the connection's buffer, and would hold all of it.
            let value = HeaderValue::from_bytes(self.headers.get(name)?.as_bytes()).ok()?;
            Some((HeaderName::from_static(name), value))
        });
        Self {
            status: self.status,
            headers: kept.collect(),
        }
    }

    /// A header's text, if it is there and text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The model that answered, if the proxy names it.
    pub(crate) fn model_name(&self) -> Option<ModelName> {
        self.text("x-litellm-model-name").and_then(ModelName::parse)
    }

    /// The group that answered, if the proxy names it.
    pub(crate) fn model_group(&self) -> Option<&str> {
        self.text("x-litellm-model-group")
    }

    /// The proxy's figure for a whole answer. Two different ones are none.
    ///
    /// Not for a stream: its head is written before anything has a cost.
    pub(crate) fn cost(&self) -> ProxyCost {
        let figures = self.headers.get_all("x-litellm-response-cost");
        let mut figures: Vec<_> = figures
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        figures.dedup();
        match figures.as_slice() {
            [] => ProxyCost::Silent,
            [figure] => ProxyCost::from_header(Some(figure)),
            several => {
                let said = several.join(", ");
                ProxyCost::Invalid(event_payloads::first_chars(&said, 100).to_owned())
            }
        }
    }

    /// What the proxy did.
    pub(crate) fn trace(&self) -> ProxyTrace {
        let count = |name| {
            self.text(name)
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0)
        };
        // What ends up in events is not longer than it has to be.
        let short =
            |text: Option<&str>| text.map(|text| event_payloads::first_chars(text, 200).to_owned());
        ProxyTrace {
            attempted_retries: count("x-litellm-attempted-retries"),
            attempted_fallbacks: count("x-litellm-attempted-fallbacks"),
            call_id: short(self.text("x-litellm-call-id")),
            model_group: short(self.model_group()),
        }
    }
}
