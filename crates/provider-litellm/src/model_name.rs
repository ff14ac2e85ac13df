//! `openai/gpt-4o-mini` → provider and model.

use crate::providers::is_provider;

/// No model's name is longer, and it ends up in events.
const MAX_NAME_CHARS: usize = 200;

/// A model as the proxy names it, told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelName {
    /// `openai`; none if the name does not say.
    pub(crate) provider: Option<String>,
    /// `gpt-4o-mini`; everything after the provider (`openrouter/anthropic/claude-…` is OpenRouter's
    /// `anthropic/claude-…`), and the whole where what stands before the slash is no provider
    /// (`meta-llama/Llama-3`).
    pub(crate) model: String,
}

impl ModelName {
    /// Reads `provider/model`, or a model that comes without its provider.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = event_payloads::first_chars(text.trim(), MAX_NAME_CHARS);
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return None;
        }
        Some(match text.split_once('/') {
            Some((provider, model)) if is_provider(provider) && !model.is_empty() => Self {
                provider: Some(provider.to_owned()),
                model: model.to_owned(),
            },
            _ => Self {
                provider: None,
                model: text.to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_what_stands_before_the_first_slash() {
        let parse = |text| ModelName::parse(text).map(|name| (name.provider, name.model));
        assert_eq!(
            parse("openai/gemma-3-270m"),
            Some((Some("openai".into()), "gemma-3-270m".into()))
        );
        assert_eq!(parse("gpt-4o-mini"), Some((None, "gpt-4o-mini".into())));
        assert_eq!(
            parse("openrouter/anthropic/claude-sonnet"),
            Some((Some("openrouter".into()), "anthropic/claude-sonnet".into()))
        );
        assert_eq!(parse("/odd"), Some((None, "/odd".into())));
        assert_eq!(parse("None"), None);
        assert_eq!(parse("  "), None);
    }
}
