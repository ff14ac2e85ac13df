//! What the proxy says about its models: `GET /model/info`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cost_tracker::{Deployment, PriceBook};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::failure::unreadable;
use crate::model_name::ModelName;
use crate::probe::{ProbeError, checked};
use crate::transport::Transport;

/// What was learnt is believed for so long.
const MEMORY: Duration = Duration::from_secs(60);
/// That it could not be learnt is believed for so long: calls do not queue up behind a slow look-up.
const FAILURE_MEMORY: Duration = Duration::from_secs(5);
/// A call that only lacks its model's name does not wait longer for it.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

/// One deployment behind a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The group.
    pub group: String,
    /// The provider, if the name or the deployment says so.
    pub provider: Option<String>,
    /// The model; empty if the proxy does not say.
    pub model: String,
    /// True if the proxy itself has a price per token for it.
    pub has_price: bool,
    stated: Stated,
}

/// What a deployment states about its price, as the proxy wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stated {
    model: String,
    params: Map<String, Value>,
    info: Map<String, Value>,
}

impl ModelInfo {
    /// What its price depends on.
    pub(crate) fn deployment(&self) -> Deployment<'_> {
        Deployment {
            model: &self.stated.model,
            params: &self.stated.params,
            info: &self.stated.info,
        }
    }
}

/// The deployments of each group, asked for when a name or a price is missing and remembered for a while.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    until: Instant,
    models: Arc<[ModelInfo]>,
    /// The price book with the proxy's own prices.
    book: Arc<PriceBook>,
}

impl Directory {
    /// All deployments; none if the proxy does not say.
    pub(crate) async fn models(&self, transport: &Transport, book: &PriceBook) -> Arc<[ModelInfo]> {
        self.known(transport, book).await.models
    }

    /// The price book with what the proxy says about its own models.
    pub(crate) async fn book(&self, transport: &Transport, book: &PriceBook) -> Arc<PriceBook> {
        self.known(transport, book).await.book
    }

    /// What is known, asked for if that is too long ago.
    async fn known(&self, transport: &Transport, book: &PriceBook) -> Known {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return known.clone();
        }
        let (models, memory) = match fetch(transport, LOOKUP_LIMIT).await {
            Ok(models) => (models, MEMORY),
            Err(error) => {
                tracing::debug!(%error, "the proxy does not say which models it has");
                (Vec::new(), FAILURE_MEMORY)
            }
        };
        let book = book.with_deployments(models.iter().map(ModelInfo::deployment));
        let asked = Known {
            until: Instant::now() + memory,
            models: models.into(),
            book: Arc::new(book),
        };
        *known = Some(asked.clone());
        asked
    }
}

/// The model behind a group, if it has only one. A group with several does not tell which.
pub(crate) fn only_model(models: &[ModelInfo], group: &str) -> Option<ModelName> {
    let mut of_group = models.iter().filter(|info| info.group == group);
    let first = of_group.next()?;
    let same =
        of_group.all(|other| (&other.provider, &other.model) == (&first.provider, &first.model));
    same.then(|| ModelName {
        provider: first.provider.clone(),
        model: first.model.clone(),
    })
}

/// Asks the proxy for its deployments.
pub(crate) async fn fetch(
    transport: &Transport,
    limit: Duration,
) -> Result<Vec<ModelInfo>, ProbeError> {
    #[derive(Deserialize)]
    struct Body {
        data: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        model_name: String,
        #[serde(default)]
        litellm_params: Map<String, Value>,
        #[serde(default)]
        model_info: Map<String, Value>,
    }
    let reply = checked(transport, transport.get("/model/info", limit).await)?;
    let body: Body = serde_json::from_slice(&reply.body).map_err(|source| {
        ProbeError::Other(unreadable("its list of models can not be read", source))
    })?;
    let infos = body.data.into_iter().map(|entry| {
        // A deployment without a readable model stays in the list: it may be another model than the
        // rest of its group.
        let (params, info) = (entry.litellm_params, entry.model_info);
        let text = |field| params.get(field).and_then(Value::as_str);
        let model = text("model").unwrap_or_default().to_owned();
        let name = ModelName::parse(&model).unwrap_or_default();
        let provider = text("custom_llm_provider").map(str::to_owned);
        let has_price = |field| info.get(field).is_some_and(is_price);
        ModelInfo {
            group: entry.model_name,
            provider: name.provider.or(provider),
            model: name.model,
            has_price: has_price("input_cost_per_token") || has_price("output_cost_per_token"),
            stated: Stated {
                model,
                params,
                info,
            },
        }
    });
    Ok(infos.collect())
}

/// The proxy writes 0 for a model that it has no price for: that is none.
fn is_price(value: &Value) -> bool {
    value.as_f64().is_some_and(|price| price > 0.0)
}
