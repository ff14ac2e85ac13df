//! The book itself: a user's prices over LiteLLM's map.

use std::sync::{Arc, LazyLock};

use event_payloads::{CostSource, TokenUsage};

use super::charge::price;
use super::entry::Entry;
use super::layer::Layer;
use super::lookup::MatchedBy;
use super::overrides::{OverrideError, parse_overrides};
use super::price::{Priced, Unpriced};
use super::rule::Rule;
use crate::billable::Billable;
use crate::price_map::{self, PriceMapSource};

const BUILTIN: &str = include_str!("../../data/prices.json");

/// Prices per model, from several sources, none of which changes once it is loaded.
///
/// **Precedence**, first match wins: what the user states (`config/prices.toml`), then what was set at the
/// proxy for its own models ([`with_deployments`](Self::with_deployments)), then LiteLLM's map. A user's entry replaces the map's for that key as a whole; nothing of the two is mixed.
///
/// Cloning shares the prices.
#[derive(Clone, Debug)]
pub struct PriceBook {
    overrides: Arc<Layer>,
    deployments: Arc<Layer>,
    builtin: Arc<Layer>,
    source: Arc<PriceMapSource>,
}

/// Who stated a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PriceOrigin {
    /// LiteLLM's public price map, as bundled with this crate.
    Builtin,
    /// Whoever runs the proxy, for this model of it.
    Proxy,
    /// The user, in `config/prices.toml`.
    Override,
}

impl PriceOrigin {
    /// What an event calls a cost by such a price.
    #[must_use]
    pub const fn cost_source(self) -> CostSource {
        match self {
            Self::Builtin | Self::Proxy => CostSource::PriceBook,
            Self::Override => CostSource::Override,
        }
    }
}

/// An entry of the book that counts for a model.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    key: &'a str,
    entry: &'a Entry,
    origin: PriceOrigin,
    by: MatchedBy,
}

impl<'a> Match<'a> {
    pub(super) const fn new(
        key: &'a str,
        entry: &'a Entry,
        origin: PriceOrigin,
        by: MatchedBy,
    ) -> Self {
        Self {
            key,
            entry,
            origin,
            by,
        }
    }

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

    /// How the name that was asked for led to the key.
    #[must_use]
    pub const fn by(&self) -> MatchedBy {
        self.by
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

    pub(super) fn rule(&self, call: &Billable) -> Rule {
        match self.origin {
            PriceOrigin::Builtin | PriceOrigin::Proxy => Rule::of(&self.entry.provider, call),
            PriceOrigin::Override => Rule::Stated,
        }
    }
}

impl PriceBook {
    /// LiteLLM's public price map as bundled; loaded on the first call, shared from then on.
    #[must_use]
    pub fn builtin() -> Arc<Self> {
        static BOOK: LazyLock<Arc<PriceBook>> = LazyLock::new(|| Arc::new(PriceBook::load()));
        Arc::clone(&BOOK)
    }

    /// Reads the bundled map anew, whoever has loaded it before: for measuring. A program uses
    /// [`builtin`](Self::builtin).
    #[must_use]
    pub fn load() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the data is part of the crate, and tests read it"
        )]
        Self::from_map(BUILTIN).expect("the bundled price map can be read")
    }

    /// A book over the text that [`generate`](crate::generate) writes.
    pub(crate) fn from_map(compact: &str) -> serde_json::Result<Self> {
        let map = price_map::read(compact)?;
        Ok(Self {
            overrides: Arc::new(Layer::default()),
            deployments: Arc::new(Layer::default()),
            builtin: Arc::new(Layer::new(map.models)),
            source: Arc::new(map.source),
        })
    }

    /// This book with a user's prices over it: the text of `config/prices.toml`.
    ///
    /// Prices are USD per 1 million tokens, as people write them; what is not a token has the unit in its
    /// name. A kind of token that is left out counts as `input_per_million` or `output_per_million`, so
    /// that nothing is free by omission.
    ///
    /// ```toml
    /// [models."openai/my-model"]
    /// input_per_million = 0.25
    /// cached_input_per_million = 0.025          # optional, as all below
    /// cache_write_5m_per_million = 0.3125
    /// cache_write_1h_per_million = 0.5
    /// audio_input_per_million = 2.0
    /// image_input_per_million = 0.25
    /// video_input_per_million = 0.25
    /// output_per_million = 1.0
    /// audio_output_per_million = 4.0
    /// image_output_per_million = 4.0
    /// video_output_per_million = 4.0
    /// reasoning_per_million = 1.0
    /// citation_per_million = 0.25
    /// characters_per_million = 0.25
    /// web_search_per_thousand = 10.0
    /// map_search_per_thousand = 14.0
    /// query_per_thousand = 2.0                  # search units of a rerank
    /// per_request = 0.005
    /// per_image = 0.0001
    /// per_audio_second = 0.0001
    /// per_video_second = 0.0007
    /// per_call_second = 0.0002
    ///
    /// [models."openai/my-model".flex]           # also priority, ultrafast, batch: the same keys
    /// input_per_million = 0.125
    ///
    /// [[models."openai/my-model".tiers]]        # the whole call, from the next token on
    /// above_tokens = 200000
    /// input_per_million = 0.5
    /// flex.input_per_million = 0.25
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

    /// This book with other entries for the proxy's own models.
    pub(super) fn with_layer_of_proxy(&self, layer: Layer) -> Self {
        Self {
            deployments: Arc::new(layer),
            ..self.clone()
        }
    }

    /// The entry that counts for a model.
    ///
    /// `provider` is LiteLLM's name of it (`openai`, `anthropic`, …); `model` may begin with it. Tried
    /// are `provider/model` and `model`, exactly and then without regard to case, then the name that a
    /// dated, regional or fine-tuned one is made from ([`MatchedBy`]); an entry of another provider does
    /// not count. A model that is not listed is unknown, however similar another name is.
    #[must_use]
    pub fn lookup(&self, provider: Option<&str>, model: &str) -> Option<Match<'_>> {
        self.overrides
            .first(provider, model, PriceOrigin::Override)
            .or_else(|| self.deployments.first(provider, model, PriceOrigin::Proxy))
            .or_else(|| self.builtin.first(provider, model, PriceOrigin::Builtin))
    }

    /// What the tokens of a call cost at the standard rate; [`price_call`](Self::price_call) with nothing
    /// else counted.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub fn price(
        &self,
        provider: Option<&str>,
        model: &str,
        usage: &TokenUsage,
    ) -> Result<Priced, Unpriced> {
        self.price_call(provider, model, &Billable::from(*usage))
    }

    /// What a call of a model costs.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub fn price_call(
        &self,
        provider: Option<&str>,
        model: &str,
        call: &Billable,
    ) -> Result<Priced, Unpriced> {
        let found = self
            .lookup(provider, model)
            .ok_or_else(|| Unpriced::UnknownModel {
                model: full_name(provider, model),
            })?;
        price(&found, call)
    }

    /// Where the bundled map was taken from.
    #[must_use]
    pub fn source(&self) -> &PriceMapSource {
        &self.source
    }

    /// Every key of a user's and of the map, in no particular order, with its entry; a user's first.
    pub fn entries(&self) -> impl Iterator<Item = Match<'_>> {
        self.overrides
            .models
            .iter()
            .map(|(key, entry)| Match::new(key, entry, PriceOrigin::Override, MatchedBy::Name))
            .chain(
                self.builtin.models.iter().map(|(key, entry)| {
                    Match::new(key, entry, PriceOrigin::Builtin, MatchedBy::Name)
                }),
            )
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
