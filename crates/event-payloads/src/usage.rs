//! Token counts of one call.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Tokens that one call used, in OpenAI's **inclusive** convention: `prompt_tokens` holds every input
/// token, cached and cache-writing ones too, `completion_tokens` every output token, reasoning
/// included. The further fields say how many of those were of a kind that has a price of its own.
///
/// Providers that count exclusively (Anthropic) reach us through the proxy, which has added the
/// parts up already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Wire")]
pub struct TokenUsage {
    /// All input tokens.
    pub prompt_tokens: u64,
    /// All output tokens.
    pub completion_tokens: u64,
    /// Input and output together, as the provider states it.
    pub total_tokens: u64,
    /// Input tokens read from the provider's cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Input tokens written to a cache that lives 5 minutes.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_creation_5m_tokens: u64,
    /// Input tokens written to a cache that lives 1 hour.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_creation_1h_tokens: u64,
    /// Input tokens that were audio.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_prompt_tokens: u64,
    /// Input tokens that were images.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_prompt_tokens: u64,
    /// Output tokens that were audio.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_completion_tokens: u64,
    /// Output tokens that were images.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_completion_tokens: u64,
    /// Output tokens that were reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
}

impl TokenUsage {
    /// A usage of plain text: so many tokens in, so many out.
    #[must_use]
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            ..Self::default()
        }
    }

    /// True when the parts can all be right: the total is their sum, and no detail is larger than
    /// what it is a part of.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let of_prompt = self
            .cached_tokens
            .checked_add(self.cache_creation_5m_tokens)
            .and_then(|sum| sum.checked_add(self.cache_creation_1h_tokens));
        self.prompt_tokens.checked_add(self.completion_tokens) == Some(self.total_tokens)
            && of_prompt.is_some_and(|sum| sum <= self.prompt_tokens)
            && self.audio_prompt_tokens <= self.prompt_tokens
            && self.image_prompt_tokens <= self.prompt_tokens
            && self.audio_completion_tokens <= self.completion_tokens
            && self.image_completion_tokens <= self.completion_tokens
            && self.reasoning_tokens <= self.completion_tokens
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Token counts; every field may be missing. Written before 2026-03: `prompt`, `completion`, `total`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenUsage")]
struct Wire {
    /// All input tokens, cached ones included.
    #[serde(default, alias = "prompt")]
    prompt_tokens: u64,
    /// All output tokens, reasoning included.
    #[serde(default, alias = "completion")]
    completion_tokens: u64,
    /// Input and output together.
    #[serde(alias = "total")]
    total_tokens: Option<u64>,
    #[serde(default)]
    cached_tokens: u64,
    #[serde(default)]
    cache_creation_5m_tokens: u64,
    #[serde(default)]
    cache_creation_1h_tokens: u64,
    #[serde(default)]
    audio_prompt_tokens: u64,
    #[serde(default)]
    image_prompt_tokens: u64,
    #[serde(default)]
    audio_completion_tokens: u64,
    #[serde(default)]
    image_completion_tokens: u64,
    #[serde(default)]
    reasoning_tokens: u64,
}

impl From<Wire> for TokenUsage {
    fn from(wire: Wire) -> Self {
        let sum = wire.prompt_tokens.saturating_add(wire.completion_tokens);
        Self {
            prompt_tokens: wire.prompt_tokens,
            completion_tokens: wire.completion_tokens,
            total_tokens: wire.total_tokens.unwrap_or(sum),
            cached_tokens: wire.cached_tokens,
            cache_creation_5m_tokens: wire.cache_creation_5m_tokens,
            cache_creation_1h_tokens: wire.cache_creation_1h_tokens,
            audio_prompt_tokens: wire.audio_prompt_tokens,
            image_prompt_tokens: wire.image_prompt_tokens,
            audio_completion_tokens: wire.audio_completion_tokens,
            image_completion_tokens: wire.image_completion_tokens,
            reasoning_tokens: wire.reasoning_tokens,
        }
    }
}

/// In an event, "no usage known" is `{}`: not the same as a usage of zero tokens.
pub(crate) mod or_empty {
    use super::{Deserialize, Deserializer, Serialize, Serializer, TokenUsage};
    use serde::de::Error as _;
    use serde_json::Value;

    pub(crate) fn serialize<S: Serializer>(
        usage: &Option<TokenUsage>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match usage {
            Some(usage) => usage.serialize(serializer),
            None => serde_json::Map::new().serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<TokenUsage>, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(None),
            Value::Object(map) if map.is_empty() => Ok(None),
            value => serde_json::from_value(value)
                .map(Some)
                .map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_old_short_keys_are_read() {
        let old = r#"{"prompt": 10, "completion": 5, "total": 15}"#;
        assert_eq!(
            serde_json::from_str::<TokenUsage>(old).unwrap(),
            TokenUsage::new(10, 5)
        );
    }

    #[test]
    fn a_missing_total_is_the_sum_and_a_stated_one_is_kept() {
        let stated = r#"{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 99}"#;
        let usage: TokenUsage = serde_json::from_str(stated).unwrap();
        assert_eq!(usage.total_tokens, 99);
        assert!(!usage.adds_up());
        let missing: TokenUsage =
            serde_json::from_str(r#"{"prompt": 1, "completion": 2}"#).unwrap();
        assert_eq!(missing, TokenUsage::new(1, 2));
    }

    #[test]
    fn negative_and_fractional_counts_are_refused() {
        assert!(serde_json::from_str::<TokenUsage>(r#"{"prompt_tokens": -1}"#).is_err());
        assert!(serde_json::from_str::<TokenUsage>(r#"{"prompt_tokens": 1.5}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_plain_usage_adds_up_and_round_trips(prompt in 0_u64..1 << 40, completion in 0_u64..1 << 40) {
            let usage = TokenUsage::new(prompt, completion);
            prop_assert!(usage.adds_up());
            let json = serde_json::to_string(&usage).unwrap();
            prop_assert_eq!(serde_json::from_str::<TokenUsage>(&json).unwrap(), usage);
        }
    }
}
