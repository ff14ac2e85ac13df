//! The book itself: a user's prices over LiteLLM's map.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use event_payloads::TokenUsage;

use super::entry::{Entry, Mode};
use super::lookup::{Candidate, candidates};
use super::overrides::{OverrideError, parse_overrides};
use super::price::{Priced, Unpriced, price};
use super::rates::Rule;
use crate::price_map::{self, PriceMapSource};

const BUILTIN: &str = include_str!("../../data/prices.json");

/// Prices per model, from several sources, none of which changes once it is loaded.
///
/// **Precedence**, first match wins: what the user states (`config/prices.toml`), then LiteLLM's map.
/// A user's entry replaces the map's for that key as a whole; nothing of the two is mixed.
///
/// Cloning shares the prices.
#[derive(Clone, Debug)]
pub struct PriceBook {
    overrides: Arc<Layer>,
    builtin: Arc<Layer>,
    source: Arc<PriceMapSource>,
}

/// Who stated a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PriceOrigin {
    /// LiteLLM's public price map, as bundled with this crate.
    Builtin,
    /// The user, in `config/prices.toml`.
    Override,
}

/// An entry of the book that counts for a model.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    key: &'a str,
    entry: &'a Entry,
    origin: PriceOrigin,
}

impl<'a> Match<'a> {
    /// The key under which the prices stand: what a user would override.
    #[must_use]
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// Who stated the prices.
    #[must_use]
    pub const fn origin(&self) -> PriceOrigin {
        self.origin
    }

    /// True if the user stated them.
    #[must_use]
    pub const fn is_override(&self) -> bool {
        matches!(self.origin, PriceOrigin::Override)
    }

    /// LiteLLM's word for what the model is for: `chat`, `embedding`, `image_generation`, …
    #[must_use]
    pub fn mode(&self) -> &'a str {
        self.entry.mode.as_str()
    }

    /// LiteLLM's name of the provider; `None` if the entry counts for any.
    #[must_use]
    pub fn provider(&self) -> Option<&'a str> {
        Some(&*self.entry.provider).filter(|provider| !provider.is_empty())
    }

    pub(super) const fn entry(&self) -> &'a Entry {
        self.entry
    }

    pub(super) fn rule(&self) -> Rule {
        match self.origin {
            PriceOrigin::Builtin => Rule::of_provider(&self.entry.provider),
            PriceOrigin::Override => Rule::Stated,
        }
    }
}

impl PriceBook {
    /// LiteLLM's public price map as bundled; loaded on the first call, shared from then on.
    #[must_use]
    pub fn builtin() -> Arc<Self> {
        static BOOK: LazyLock<Arc<PriceBook>> = LazyLock::new(|| {
            #[expect(
                clippy::expect_used,
                reason = "the data is part of the crate, and tests read it"
            )]
            let book = PriceBook::from_map(BUILTIN).expect("the bundled price map can be read");
            Arc::new(book)
        });
        Arc::clone(&BOOK)
    }

    /// A book over the text that [`generate`](crate::generate) writes.
    pub(crate) fn from_map(compact: &str) -> serde_json::Result<Self> {
        let map = price_map::read(compact)?;
        Ok(Self {
            overrides: Arc::new(Layer::default()),
            builtin: Arc::new(Layer::new(map.models)),
            source: Arc::new(map.source),
        })
    }

    /// This book with a user's prices over it: the text of `config/prices.toml`.
    ///
    /// Prices are USD per 1 million tokens, as people write them. A price that is left out counts as
    /// `input_per_million` or `output_per_million`, so that nothing is free by omission.
    ///
    /// ```toml
    /// [models."openai/my-model"]
    /// input_per_million = 0.25
    /// cached_input_per_million = 0.025          # optional, as all below
    /// cache_write_5m_per_million = 0.3125
    /// cache_write_1h_per_million = 0.5
    /// audio_input_per_million = 2.0
    /// image_input_per_million = 0.25
    /// output_per_million = 1.0
    /// audio_output_per_million = 4.0
    /// image_output_per_million = 4.0
    /// reasoning_per_million = 1.0
    /// ```
    ///
    /// A key with a provider counts for that provider, one without for any.
    ///
    /// # Errors
    /// Text that is not TOML, an unknown key, or a price that is none; with the line.
    pub fn with_overrides(&self, toml: &str) -> Result<Self, OverrideError> {
        let mut models = self.overrides.models.clone();
        models.extend(parse_overrides(toml)?);
        Ok(Self {
            overrides: Arc::new(Layer::new(models)),
            ..self.clone()
        })
    }

    /// The entry that counts for a model.
    ///
    /// `provider` is LiteLLM's name of it (`openai`, `anthropic`, …); `model` may begin with it. Tried
    /// are `provider/model` and `model`, exactly and then without regard to case; an entry of another
    /// provider does not count. A model that is not listed is unknown, however similar another name is.
    #[must_use]
    pub fn lookup(&self, provider: Option<&str>, model: &str) -> Option<Match<'_>> {
        let candidates = candidates(provider, model);
        self.overrides
            .first(&candidates, PriceOrigin::Override)
            .or_else(|| self.builtin.first(&candidates, PriceOrigin::Builtin))
    }

    /// What a usage of a model costs.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub fn price(
        &self,
        provider: Option<&str>,
        model: &str,
        usage: &TokenUsage,
    ) -> Result<Priced, Unpriced> {
        let found = self
            .lookup(provider, model)
            .ok_or_else(|| Unpriced::UnknownModel {
                model: full_name(provider, model),
            })?;
        price(&found, usage)
    }

    /// Where the bundled map was taken from.
    #[must_use]
    pub fn source(&self) -> &PriceMapSource {
        &self.source
    }

    /// Every key of the book in no particular order, with its entry; a user's first.
    pub fn entries(&self) -> impl Iterator<Item = Match<'_>> {
        self.overrides
            .matches(PriceOrigin::Override)
            .chain(self.builtin.matches(PriceOrigin::Builtin))
    }
}

/// `provider/model`, with the provider once.
fn full_name(provider: Option<&str>, model: &str) -> String {
    match provider.filter(|provider| !provider.is_empty()) {
        Some(provider) if !model.starts_with(&format!("{provider}/")) => {
            format!("{provider}/{model}")
        }
        _ => model.to_owned(),
    }
}

/// The entries of one source.
#[derive(Debug, Default)]
struct Layer {
    models: HashMap<String, Entry>,
    /// The keys that are not in lower case, by what they are in it.
    by_lower_case: HashMap<String, String>,
}

impl Layer {
    fn new(models: HashMap<String, Entry>) -> Self {
        let by_lower_case = models
            .keys()
            .map(|key| (key.to_lowercase(), key))
            .filter(|(lower, key)| lower != *key)
            .map(|(lower, key)| (lower, key.clone()))
            .collect();
        Self {
            models,
            by_lower_case,
        }
    }

    fn first(&self, candidates: &[Candidate], origin: PriceOrigin) -> Option<Match<'_>> {
        candidates.iter().find_map(|candidate| {
            let (key, entry) = self.get(&candidate.key)?;
            candidate
                .accepts(&entry.provider)
                .then_some(Match { key, entry, origin })
        })
    }

    fn get(&self, key: &str) -> Option<(&str, &Entry)> {
        if let Some((key, entry)) = self.models.get_key_value(key) {
            return Some((key, entry));
        }
        let lower = key.to_lowercase();
        let key = self.by_lower_case.get(&lower).unwrap_or(&lower);
        self.models
            .get_key_value(key)
            .map(|(key, entry)| (key.as_str(), entry))
    }

    fn matches(&self, origin: PriceOrigin) -> impl Iterator<Item = Match<'_>> {
        self.models
            .iter()
            .map(move |(key, entry)| Match { key, entry, origin })
    }
}

impl Entry {
    /// An entry with a user's prices: for any provider, by tokens.
    pub(super) fn stated(prices: super::entry::Prices) -> Self {
        Self {
            mode: Mode::ByTokens,
            prices,
            ..Self::default()
        }
    }
}
