//! The client.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cost_tracker::CostTracker;
use provider_core::{CallerFault, Completion, ModelCall, ModelClient, ProviderError, ProxyReply};
use serde::Deserialize;

use crate::answer::Answer;
use crate::directory::{self, Directory, ModelInfo};
use crate::failure::unreadable;
use crate::model_name::ModelName;
use crate::probe::{ProbeError, checked};
use crate::refusal::refusal;
use crate::transport::{Reply, Transport};
use crate::{LiteLlmConfig, LiteLlmConfigError};

/// Has the models behind a LiteLLM Proxy answer.
#[derive(Debug)]
pub struct LiteLlmClient {
    transport: Transport,
    tracker: CostTracker,
    directory: Directory,
}

impl LiteLlmClient {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// The key can not be sent in a header, or https is asked for and there are no root certificates.
    pub fn new(config: LiteLlmConfig, tracker: CostTracker) -> Result<Self, LiteLlmConfigError> {
        Ok(Self {
            transport: Transport::new(config)?,
            tracker,
            directory: Directory::default(),
        })
    }

    /// What settles costs: the price book and the threshold of drift.
    #[must_use]
    pub fn tracker(&self) -> &CostTracker {
        &self.tracker
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
        let reply = checked(
            &self.transport,
            self.transport.get("/v1/models", limit).await,
        )?;
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
        directory::fetch(&self.transport, limit).await
    }

    /// The name of the model that answered. The proxy is asked about its models only where the answer
    /// does not say, and only in the time that is left.
    async fn name(
        &self,
        answer: &Answer,
        reply: &Reply,
        call: &ModelCall,
        left: Duration,
    ) -> ModelName {
        if let Some(name) = reply
            .header("x-litellm-model-name")
            .and_then(ModelName::parse)
        {
            return name;
        }
        let asked = self.directory.models(&self.transport);
        let models = tokio::time::timeout(left, asked).await.unwrap_or_default();
        answer.unstated_name(reply, call, &models)
    }
}

#[async_trait]
impl ModelClient for LiteLlmClient {
    fn name(&self) -> &'static str {
        "litellm"
    }

    async fn complete(&self, call: &ModelCall) -> Result<Completion, ProviderError> {
        if call.request.is_stream() {
            return Err(not_streamed());
        }
        let started = Instant::now();
        let body = call.request.to_body(&call.runtime_group);
        let reply = self.transport.post("/v1/chat/completions", body).await?;
        let duration = started.elapsed();
        if reply.status != http::StatusCode::OK {
            return Err(refusal(&reply, self.transport.key()));
        }
        let answer = Answer::parse(&reply.body)?;
        let left = self.transport.call_timeout().saturating_sub(duration);
        let name = self.name(&answer, &reply, call, left).await;
        let result = answer.result(call, &reply, &name, &self.tracker, duration);
        tracing::debug!(
            model = name.model,
            status = reply.status.as_u16(),
            "the proxy answered"
        );
        Ok(Completion {
            result,
            body: reply.body,
        })
    }
}

/// A stream would be made and billed, and then not be the one answer that is read here.
fn not_streamed() -> ProviderError {
    let reply = ProxyReply {
        status: 400,
        message: "this version does not stream: leave `stream` out or set it to false".to_owned(),
        param: Some("stream".to_owned()),
        ..ProxyReply::default()
    };
    ProviderError::Caller {
        fault: CallerFault::InvalidRequest,
        reply,
    }
}
