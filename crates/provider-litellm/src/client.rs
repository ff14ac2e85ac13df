//! The client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cost_tracker::{CostTracker, PriceBook, ProxyCost, Settled};
use event_payloads::{Cost, CostSource};
use provider_core::{Completion, ModelCall, ModelClient, ModelStream, ProviderError, TimeoutPhase};
use serde::Deserialize;

use crate::answer::{Answer, Counted, Settling};
use crate::directory::{self, Directory, ModelInfo, only_model};
use crate::failure::unreadable;
use crate::head::Head;
use crate::model_name::ModelName;
use crate::naming::unstated_name;
use crate::probe::{ProbeError, checked};
use crate::refusal::refusal;
use crate::stream::{LiteLlmStream, timed_out};
use crate::transport::{Opened, Reply, Transport};
use crate::{LiteLlmConfig, LiteLlmConfigError};

/// Has the models behind a LiteLLM Proxy answer.
#[derive(Clone, Debug)]
pub struct LiteLlmClient {
    parts: Arc<Parts>,
}

/// What a call needs, shared with the streams that outlive it.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) transport: Transport,
    pub(crate) tracker: CostTracker,
    directory: Directory,
}

impl LiteLlmClient {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// The key can not be sent in a header, or https is asked for and there are no root certificates.
    pub fn new(config: LiteLlmConfig, tracker: CostTracker) -> Result<Self, LiteLlmConfigError> {
        Ok(Self {
            parts: Arc::new(Parts {
                transport: Transport::new(config)?,
                tracker,
                directory: Directory::default(),
            }),
        })
    }

    /// What settles costs: the price book and the threshold of drift.
    #[must_use]
    pub fn tracker(&self) -> &CostTracker {
        &self.parts.tracker
    }

    /// The price book with what the proxy says about its own models (`GET /model/info`, remembered for a minute);
    /// without that if the proxy does not say.
    pub async fn price_book(&self) -> Arc<PriceBook> {
        let parts = &self.parts;
        parts
            .directory
            .book(&parts.transport, parts.tracker.book())
            .await
    }

    /// Checks within a limit that the proxy answers and takes our key. Costs nothing: it lists models
    /// (`GET /v1/models`); the proxy's `/health` would call every one of them.
    ///
    /// # Errors
    /// [`ProbeError`]: unreachable, key rejected, or something else.
    pub async fn probe(&self, limit: Duration) -> Result<(), ProbeError> {
        self.groups(limit).await.map(drop)
    }

    /// The model groups that the proxy serves, within a limit.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    pub async fn groups(&self, limit: Duration) -> Result<Vec<String>, ProbeError> {
        #[derive(Deserialize)]
        struct Body {
            data: Vec<Model>,
        }
        #[derive(Deserialize)]
        struct Model {
            id: String,
        }
        let transport = &self.parts.transport;
        let reply = checked(transport, transport.get("/v1/models", limit).await)?;
        let body: Body = serde_json::from_slice(&reply.body).map_err(|source| {
            ProbeError::Other(unreadable(
                "it is not a list of models; does LITELLM_PROXY_URL name a LiteLLM Proxy?",
                source,
            ))
        })?;
        Ok(body.data.into_iter().map(|model| model.id).collect())
    }

    /// The deployments behind each group (`GET /model/info`), within a limit.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    pub async fn models(&self, limit: Duration) -> Result<Vec<ModelInfo>, ProbeError> {
        directory::fetch(&self.parts.transport, limit).await
    }
}

impl Parts {
    /// The name of the model that answered, where the head does not say it. The proxy is asked about its
    /// models, only in the time that is left.
    pub(crate) async fn unstated_name(
        &self,
        stated: Option<&str>,
        call: &ModelCall,
        head: &Head,
        left: Duration,
    ) -> ModelName {
        let asked = self.directory.models(&self.transport, self.tracker.book());
        let models = tokio::time::timeout(left, asked).await.unwrap_or_default();
        let group = call.runtime_group.as_str();
        unstated_name(stated.unwrap_or_default(), group, head, &models)
    }

    /// The model of a group that took over in the middle of an answer: its only one, or what is no group.
    pub(crate) async fn name_of_group(&self, group: &str, left: Duration) -> ModelName {
        let asked = self.directory.models(&self.transport, self.tracker.book());
        let models = tokio::time::timeout(left, asked).await.unwrap_or_default();
        if models.iter().any(|info| info.group == group) {
            return only_model(&models, group).unwrap_or_default();
        }
        ModelName::parse(group).unwrap_or_default()
    }

    /// What a call cost. The proxy's own prices for its models are looked up only where they can matter: it
    /// states no cost, or one that is not ours, or we have none.
    pub(crate) async fn settle(
        &self,
        name: &ModelName,
        counted: &Counted,
        proxy: &ProxyCost,
    ) -> Settled {
        let (provider, used) = (name.provider.as_deref(), counted.usage.as_ref());
        let settled = self.tracker.settle_call(provider, &name.model, used, proxy);
        let is_agreed = matches!(
            settled.cost,
            Cost::Known {
                source: CostSource::Proxy,
                drift: None,
                ..
            }
        );
        if is_agreed && settled.breakdown.is_some() || name.model.is_empty() {
            return settled;
        }
        let book = self
            .directory
            .book(&self.transport, self.tracker.book())
            .await;
        let tracker = self.tracker.with_book(book);
        tracker.settle_call(provider, &name.model, used, proxy)
    }

    /// Some models come without their provider; the price map knows whose they are.
    pub(crate) fn provider_of(&self, name: &ModelName) -> Option<String> {
        let known = || self.tracker.book().lookup(None, &name.model)?.provider();
        name.provider.clone().or_else(|| known().map(str::to_owned))
    }

    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError> {
        let started = Instant::now();
        let endpoint = call.request.endpoint();
        let body = call.request.to_body(&call.runtime_group);
        let Reply { head, body } = self.transport.post(endpoint.path(), body).await?;
        let duration = started.elapsed();
        if head.status != http::StatusCode::OK {
            return Err(refusal(&Reply { head, body }, self.transport.key()));
        }
        let answer = Answer::parse(endpoint, &body, self.transport.key())?;
        let name = match head.model_name() {
            Some(name) => name,
            None => {
                let limit = self.transport.config().call_timeout;
                let left = limit.saturating_sub(duration);
                self.unstated_name(answer.model.as_deref(), call, &head, left)
                    .await
            }
        };
        let proxy = head.cost().or(ProxyCost::from_usage(&answer.usage));
        let counted = answer.counted(endpoint);
        let settled = self.settle(&name, &counted, &proxy).await;
        let result = answer.result(Settling {
            call,
            head: &head,
            name: &name,
            provider: self.provider_of(&name),
            settled,
            counted,
            duration,
        });
        tracing::debug!(model = name.model, "the proxy answered");
        Ok(Completion { result, body })
    }

    /// Opens a stream and waits for its first piece.
    async fn stream(self: Arc<Self>, call: &ModelCall) -> Result<ModelStream, ProviderError> {
        let started = tokio::time::Instant::now();
        let limit = self.transport.config().call_timeout;
        let opening = async {
            let body = call.request.to_stream_body(&call.runtime_group);
            let path = call.request.endpoint().path();
            match self.transport.open(path, body).await? {
                Opened::Stream(head, body) => {
                    LiteLlmStream::begin(Arc::clone(&self), call, head, body, started).await
                }
                Opened::Refused(reply) => Err(refusal(&reply, self.transport.key())),
            }
        };
        match tokio::time::timeout(limit, opening).await {
            Ok(stream) => Ok(Box::new(stream?)),
            Err(_) => Err(timed_out(TimeoutPhase::Call, limit, started)),
        }
    }
}

#[async_trait]
impl ModelClient for LiteLlmClient {
    fn name(&self) -> &'static str {
        "litellm"
    }

    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError> {
        self.parts.complete(call).await
    }

    async fn stream(&self, call: &ModelCall) -> Result<ModelStream, ProviderError> {
        Arc::clone(&self.parts).stream(call).await
    }
}
