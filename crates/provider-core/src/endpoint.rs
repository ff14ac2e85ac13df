//! Which of OpenAI's calls is made.

use std::fmt;

/// Which of OpenAI's calls is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    #[default]
    ChatCompletions,
    /// `POST /v1/completions`, the old one that continues a text.
    Completions,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/embeddings`
    Embeddings,
}

impl Endpoint {
    /// The path, the same at the gateway and at the proxy.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// OpenTelemetry's `gen_ai.operation.name`.
    #[must_use]
    pub const fn operation(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Responses => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
        }
    }

    /// The field that holds what is asked.
    pub(crate) const fn input_field(self) -> &'static str {
        match self {
            Self::ChatCompletions => "messages",
            Self::Completions => "prompt",
            Self::Responses | Self::Embeddings => "input",
        }
    }

    /// True if a stream gives its usage only to who asks for it in `stream_options`. The others have no
    /// such field: a stream of responses always ends with its usage.
    pub(crate) const fn has_usage_option(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }
}

impl fmt::Display for Endpoint {
    /// What one answer of it is called.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChatCompletions => "chat completion",
            Self::Completions => "text completion",
            Self::Responses => "response",
            Self::Embeddings => "list of embeddings",
        })
    }
}
