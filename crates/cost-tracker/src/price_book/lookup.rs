//! Under which keys a model may stand in the book, and for which providers an entry counts.
//!
//! The cases of LiteLLM's `cost_per_token` and `get_model_info` in which the other name means the same
//! model. Where LiteLLM guesses (a price class from the size in a name, a leading segment that it does
//! not know, a version number that it cuts off), we do not: a similar name is another model.

use super::names::{bedrock_base, bedrock_regional, fine_tuned_base, other_name, unversioned};

/// How the name that was asked for led to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MatchedBy {
    /// Provider and model, or the whole name, are the key.
    Name,
    /// The model without its provider is the key.
    ModelAlone,
    /// The key is another name of the same model, by a fixed table.
    Alias,
    /// Amazon Bedrock: the name without its route, region or throughput is the key.
    BedrockBase,
    /// Google, Databricks: the name without its release (`-002`, a date) is the key.
    Unversioned,
    /// OpenAI: the key is the model that was fine-tuned.
    FineTuned,
    /// The provider's own model ids begin with its name.
    NamedTwice,
}

impl MatchedBy {
    /// A sentence for people.
    #[must_use]
    pub const fn as_sentence(self) -> &'static str {
        match self {
            Self::Name => "the name is listed",
            Self::ModelAlone => "the model is listed without its provider",
            Self::Alias => "another name of the same model",
            Self::BedrockBase => "the Bedrock model without route, region or throughput",
            Self::Unversioned => "the model without its release",
            Self::FineTuned => "the price of a fine-tuned model of this base",
            Self::NamedTwice => "the provider's own ids begin with its name",
        }
    }
}

/// Asks `listed` for one key after another until it has one: the key, the provider that the entry has
/// to be of (`None` for any), and how the name led there.
pub(super) fn find<T>(
    provider: Option<&str>,
    model: &str,
    mut listed: impl FnMut(&str, Option<&str>, MatchedBy) -> Option<T>,
) -> Option<T> {
    let model = other_name(model).unwrap_or(model);
    if let Some(provider) = provider.filter(|provider| !provider.is_empty()) {
        return with_provider(provider, model, &mut listed);
    }
    if let Some(found) = listed(model, None, MatchedBy::Name) {
        return Some(found);
    }
    match model.split_once('/') {
        Some((provider, rest)) if !provider.is_empty() && !rest.is_empty() => {
            with_provider(provider, model, &mut listed)
        }
        _ => without_provider(model, &mut listed),
    }
}

type Listed<'a, T> = &'a mut dyn FnMut(&str, Option<&str>, MatchedBy) -> Option<T>;

fn with_provider<T>(provider: &str, model: &str, listed: Listed<'_, T>) -> Option<T> {
    let provider = if provider == "vertex_ai_beta" {
        "vertex_ai"
    } else {
        provider
    };
    let asked = Some(provider);
    let joined = |name: &str| format!("{provider}/{name}");
    let alone = without_prefix(provider, model);
    let whole = if alone.is_some() {
        model.to_owned()
    } else {
        joined(model)
    };
    if let Some(found) = listed(&whole, asked, MatchedBy::Name) {
        return Some(found);
    }
    if alone.is_none()
        && let Some(found) = listed(model, asked, MatchedBy::ModelAlone)
    {
        return Some(found);
    }
    let mut alone = alone.unwrap_or(model);
    while let Some(rest) = without_prefix(provider, alone) {
        alone = rest;
    }
    let (base, by) = base_of(provider, alone);
    listed(alone, asked, MatchedBy::ModelAlone)
        .or_else(|| {
            // With its region first: a region has a price of its own.
            let regional = bedrock_regional(provider, alone)?;
            listed(&joined(regional), asked, MatchedBy::BedrockBase)
                .or_else(|| listed(regional, asked, MatchedBy::BedrockBase))
        })
        .or_else(|| aliases(provider, alone, listed))
        .or_else(|| {
            let base = base?;
            listed(&joined(base), asked, by).or_else(|| listed(base, asked, by))
        })
        .or_else(|| {
            let twice = joined(&joined(alone));
            listed(&twice, asked, MatchedBy::NamedTwice)
        })
}

/// The name that a dated, regional or fine-tuned one is made from.
fn base_of<'a>(provider: &str, model: &'a str) -> (Option<&'a str>, MatchedBy) {
    match provider {
        _ if provider.starts_with("bedrock") => (bedrock_base(model), MatchedBy::BedrockBase),
        "vertex_ai" | "gemini" | "databricks" => (unversioned(model), MatchedBy::Unversioned),
        _ => (fine_tuned_base(model), MatchedBy::FineTuned),
    }
}

/// Vertex AI lists models of others under a longer name.
fn aliases<T>(provider: &str, model: &str, listed: Listed<'_, T>) -> Option<T> {
    if provider != "vertex_ai" {
        return None;
    }
    let asked = Some(provider);
    [
        format!("vertex_ai/meta/{model}"),
        format!("vertex_ai/{model}@latest"),
    ]
    .iter()
    .find_map(|key| listed(key, asked, MatchedBy::Alias))
}

fn without_provider<T>(model: &str, listed: Listed<'_, T>) -> Option<T> {
    if let Some(base) = fine_tuned_base(model) {
        return listed(base, Some("openai"), MatchedBy::FineTuned);
    }
    bedrock_base(model)
        .and_then(|base| listed(base, Some("bedrock"), MatchedBy::BedrockBase))
        .or_else(|| {
            let base = unversioned(model)?;
            listed(base, Some("vertex_ai"), MatchedBy::Unversioned)
        })
}

fn without_prefix<'a>(provider: &str, model: &'a str) -> Option<&'a str> {
    model.strip_prefix(provider)?.strip_prefix('/')
}

/// True if an entry of this provider counts for the provider that was asked for.
///
/// Families that share a price list are LiteLLM's (`_check_provider_match`).
pub(super) fn accepts(asked: Option<&str>, entry_provider: &str) -> bool {
    let Some(asked) = asked else {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(provider: Option<&str>, model: &str) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        let nothing = find(provider, model, |key, _, _| -> Option<()> {
            if keys.last().is_none_or(|last| last != key) {
                keys.push(key.to_owned());
            }
            None
        });
        assert!(nothing.is_none());
        keys
    }

    #[test]
    fn a_model_is_looked_for_with_its_provider_first() {
        assert_eq!(
            keys(Some("groq"), "llama"),
            ["groq/llama", "llama", "groq/groq/llama"]
        );
        assert_eq!(
            keys(Some("openai"), "openai/gpt"),
            ["openai/gpt", "gpt", "openai/openai/gpt"]
        );
        assert_eq!(
            keys(None, "openai/gpt"),
            ["openai/gpt", "gpt", "openai/openai/gpt"]
        );
        assert_eq!(keys(Some(""), "gpt"), ["gpt"]);
        assert_eq!(keys(None, "/gpt"), ["/gpt"]);
        assert_eq!(
            keys(Some("openai"), "openaix/g"),
            ["openai/openaix/g", "openaix/g", "openai/openai/openaix/g"]
        );
    }

    #[test]
    fn other_names_of_the_same_model_come_after_its_own() {
        assert_eq!(
            keys(Some("vertex_ai_beta"), "g-002"),
            [
                "vertex_ai/g-002",
                "g-002",
                "vertex_ai/meta/g-002",
                "vertex_ai/g-002@latest",
                "vertex_ai/g",
                "g",
                "vertex_ai/vertex_ai/g-002"
            ]
        );
        assert!(
            keys(Some("bedrock"), "converse/us.anthropic.claude:0:18k")
                .contains(&"anthropic.claude:0".to_owned())
        );
        assert!(keys(Some("openai"), "ft:gpt-4o:me::id").contains(&"ft:gpt-4o".to_owned()));
        assert!(keys(None, "ft:gpt-4o:me::id").contains(&"ft:gpt-4o".to_owned()));
        assert_eq!(keys(Some("azure"), "azure/gpt-41")[0], "azure/gpt-4.1");
        assert!(keys(Some("x"), "x/x/y").contains(&"y".to_owned()));
    }

    #[test]
    fn another_providers_price_counts_only_within_a_family() {
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
