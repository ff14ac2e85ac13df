//! Under which keys a model may stand in the book, and for which providers an entry counts.
//!
//! The plain cases of LiteLLM's `cost_per_token` and `get_model_info`. Names that differ from the key
//! (dated, regional, fine-tuned) do not match: the price of a similar name is a guess.

/// The keys to try, in this order.
pub(super) fn candidates(provider: Option<&str>, model: &str) -> Vec<Candidate> {
    let Some(provider) = provider.filter(|provider| !provider.is_empty()) else {
        return without_provider(model);
    };
    let provider = if provider == "vertex_ai_beta" {
        "vertex_ai"
    } else {
        provider
    };
    let of = |key: String| Candidate {
        key,
        provider: Some(provider.to_owned()),
    };
    match model
        .strip_prefix(provider)
        .and_then(|rest| rest.strip_prefix('/'))
    {
        // A provider whose own model ids begin with its name: `perplexity/perplexity/sonar`.
        Some(rest) => vec![
            of(model.to_owned()),
            of(rest.to_owned()),
            of(format!("{provider}/{model}")),
        ],
        None => vec![of(format!("{provider}/{model}")), of(model.to_owned())],
    }
}

fn without_provider(model: &str) -> Vec<Candidate> {
    let whole = Candidate {
        key: model.to_owned(),
        provider: None,
    };
    match model.split_once('/') {
        Some((provider, rest)) if !provider.is_empty() && !rest.is_empty() => vec![
            whole,
            Candidate {
                key: rest.to_owned(),
                provider: Some(provider.to_owned()),
            },
        ],
        _ => vec![whole],
    }
}

/// A key, and the provider that its entry has to be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) key: String,
    pub(super) provider: Option<String>,
}

impl Candidate {
    /// True if an entry of this provider counts for the provider that was asked for.
    ///
    /// Families that share a price list are LiteLLM's (`_check_provider_match`).
    pub(super) fn accepts(&self, entry_provider: &str) -> bool {
        let Some(asked) = self.provider.as_deref() else {
            return true;
        };
        if entry_provider.is_empty() || entry_provider == asked {
            return true;
        }
        match asked {
            "vertex_ai" | "fireworks_ai" => entry_provider.starts_with(asked),
            "azure_ai" => matches!(entry_provider, "azure" | "openai"),
            "github" | "litellm_proxy" => true,
            _ => asked.starts_with("bedrock") && entry_provider.starts_with("bedrock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(provider: Option<&str>, model: &str) -> Vec<String> {
        candidates(provider, model)
            .into_iter()
            .map(|candidate| candidate.key)
            .collect()
    }

    #[test]
    fn a_model_is_looked_for_with_its_provider_first() {
        assert_eq!(keys(Some("groq"), "llama"), ["groq/llama", "llama"]);
        assert_eq!(
            keys(Some("openai"), "openai/gpt"),
            ["openai/gpt", "gpt", "openai/openai/gpt"]
        );
        assert_eq!(keys(None, "openai/gpt"), ["openai/gpt", "gpt"]);
        assert_eq!(keys(Some(""), "gpt"), ["gpt"]);
        assert_eq!(keys(None, "/gpt"), ["/gpt"]);
        assert_eq!(keys(Some("vertex_ai_beta"), "g"), ["vertex_ai/g", "g"]);
        assert_eq!(
            keys(Some("openai"), "openaix/g"),
            ["openai/openaix/g", "openaix/g"]
        );
    }

    #[test]
    fn another_providers_price_counts_only_within_a_family() {
        let accepts = |asked: Option<&str>, entry: &str| {
            Candidate {
                key: String::new(),
                provider: asked.map(str::to_owned),
            }
            .accepts(entry)
        };
        assert!(accepts(None, "openai"));
        assert!(accepts(Some("openai"), "openai"));
        assert!(accepts(Some("openai"), ""));
        assert!(accepts(Some("vertex_ai"), "vertex_ai-language-models"));
        assert!(accepts(Some("bedrock"), "bedrock_converse"));
        assert!(accepts(Some("azure_ai"), "openai"));
        assert!(accepts(Some("litellm_proxy"), "openai"));
        assert!(!accepts(Some("azure"), "openai"));
        assert!(!accepts(Some("openai"), "text-completion-openai"));
        assert!(!accepts(Some("azure_ai"), "groq"));
    }
}
