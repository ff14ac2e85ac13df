//! What the proxy says about its models: `GET /model/info`.

use std::time::{Duration, Instant};

use provider_core::ProviderError;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::model_name::ModelName;
use crate::probe::{ProbeError, checked};
use crate::transport::Transport;

/// What was learnt is believed for so long.
const MEMORY: Duration = Duration::from_secs(60);
/// A call that only lacks its model's name does not wait longer for it.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

/// One deployment behind a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The group.
    pub group: String,
    /// The provider, if the name says so.
    pub provider: Option<String>,
    /// The model.
    pub model: String,
    /// True if the proxy itself has a price per token for it.
    pub has_price: bool,
}

/// The deployments of each group, asked for when a name is missing and remembered for a minute.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    known: Mutex<Option<(Instant, Vec<ModelInfo>)>>,
}

impl Directory {
    /// The model behind a group, if it has only one. A group with several does not tell which.
    pub(crate) async fn only_model(&self, transport: &Transport, group: &str) -> Option<ModelName> {
        let mut known = self.known.lock().await;
        if known
            .as_ref()
            .is_none_or(|(since, _)| since.elapsed() > MEMORY)
        {
            let models = fetch(transport, LOOKUP_LIMIT)
                .await
                .unwrap_or_else(|error| {
                    tracing::debug!(%error, "the proxy does not say which models it has");
                    Vec::new()
                });
            *known = Some((Instant::now(), models));
        }
        let (_, models) = known.as_ref()?;
        let mut of_group = models.iter().filter(|info| info.group == group);
        let first = of_group.next()?;
        let same = of_group
            .all(|other| (&other.provider, &other.model) == (&first.provider, &first.model));
        same.then(|| ModelName {
            provider: first.provider.clone(),
            model: first.model.clone(),
        })
    }
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
        litellm_params: Params,
        #[serde(default)]
        model_info: Info,
    }
    #[derive(Default, Deserialize)]
    struct Params {
        #[serde(default)]
        model: String,
    }
    #[derive(Default, Deserialize)]
    struct Info {
        #[serde(default)]
        input_cost_per_token: Value,
        #[serde(default)]
        output_cost_per_token: Value,
    }
    let reply = checked(transport, transport.get("/model/info", limit).await)?;
    let body: Body = serde_json::from_slice(&reply.body).map_err(|source| {
        ProbeError::Other(ProviderError::InvalidAnswer {
            reason: "its list of models can not be read".to_owned(),
            source: Some(source.into()),
        })
    })?;
    let infos = body.data.into_iter().filter_map(|entry| {
        let name = ModelName::parse(&entry.litellm_params.model)?;
        let info = &entry.model_info;
        Some(ModelInfo {
            group: entry.model_name,
            provider: name.provider,
            model: name.model,
            has_price: info.input_cost_per_token.is_number()
                || info.output_cost_per_token.is_number(),
        })
    });
    Ok(infos.collect())
}
