//! What is charged beside the tokens of a usage: units, searches, requests, time.

use rust_decimal::Decimal;

use super::charge::Bill;
use super::kind::Kind;
use super::price::{Dimension, Unpriced};
use super::rates::Rate;
use super::rule::Rule;

/// Providers whose rerank costs by tokens, whatever else the map says (LiteLLM's rerank calculators).
const RERANK_BY_TOKENS: [&str; 2] = ["jina_ai", "voyage"];

/// What Google publishes for a grounded prompt, where the map states no price of a search.
const GOOGLE_SEARCH: Decimal = Decimal::from_parts(35, 0, 0, false, 3);
/// What Google publishes for grounding with Google Maps, by query and by prompt.
const GOOGLE_MAPS_BY_QUERY: Decimal = Decimal::from_parts(14, 0, 0, false, 3);
const GOOGLE_MAPS_BY_PROMPT: Decimal = Decimal::from_parts(25, 0, 0, false, 3);
/// What xAI publishes for a call of its web search.
const XAI_SEARCH: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
/// What Groq publishes for a page that its browser opens.
const GROQ_PAGE: Decimal = Decimal::from_parts(1, 0, 0, false, 3);

impl Bill<'_> {
    /// Everything beside the tokens of a call that is charged by them.
    pub(super) fn beside_tokens(&mut self) -> Result<(), Unpriced> {
        let rule = self.found.rule(self.call);
        if matches!(rule, Rule::Generic | Rule::Xai | Rule::Stated) {
            units(self)?;
        }
        if matches!(rule, Rule::Perplexity | Rule::Stated) {
            citations(self)?;
        }
        if let Some(price) = self.found.entry().prices.flat(Kind::Request) {
            self.charge_flat(Kind::Request, Decimal::ONE, Rate::own(Some(price)))?;
        }
        web_searches(self)?;
        map_searches(self)?;
        pages(self)
    }

    /// A rerank: by search units, or by all of its tokens.
    pub(super) fn rerank(&mut self) -> Result<(), Unpriced> {
        let prices = &self.found.entry().prices;
        let by_tokens = RERANK_BY_TOKENS.contains(&self.found.provider().unwrap_or_default());
        let query = prices.flat(Kind::Query).filter(|_| !by_tokens);
        if let Some(price) = query {
            let queries = self.call.units.queries;
            if queries == 0 && !price.is_zero() {
                return Err(Unpriced::ChargedBesideTokens {
                    key: self.found.key().to_owned(),
                });
            }
            return self.charge_flat(Kind::Query, queries.max(1).into(), Rate::own(query));
        }
        let tokens = self.call.tokens.total_tokens;
        match prices.flat(Kind::Input) {
            Some(price) if tokens > 0 || price.is_zero() => {
                self.charge_flat(Kind::Input, tokens.max(1).into(), Rate::own(Some(price)))
            }
            Some(_) => Err(Unpriced::NoTokens),
            None => Err(self.no_price(Kind::Query)),
        }
    }

    /// A transcription that counts seconds and no tokens.
    pub(super) fn transcription_by_time(&mut self) -> Result<(), Unpriced> {
        let seconds = self.call.units.audio_seconds;
        let prices = &self.found.entry().prices;
        // Some entries state one price as that of the output, others as that of the input.
        let price = prices
            .flat(Kind::CallSecondOutput)
            .filter(|price| !price.is_zero())
            .or_else(|| prices.flat(Kind::CallSecondInput))
            .or_else(|| prices.flat(Kind::AudioSecond));
        if price.is_none() {
            return Err(self.no_price(Kind::AudioSecond));
        }
        self.charge_flat(Kind::AudioSecond, seconds, Rate::own(price))
    }

    /// True if the time of the call is all that this model is charged by.
    pub(super) fn is_by_time(&self) -> bool {
        let entry = self.found.entry();
        let by_time = [Kind::CallSecondInput, Kind::CallSecondOutput];
        // Bedrock's seconds are those of a committed capacity, not of a call.
        !self.call.units.call_seconds.is_zero()
            && !entry.provider.starts_with("bedrock")
            && entry.ranges.is_empty()
            && entry.prices.any_above_zero(&by_time)
            && !entry.prices.any_above_zero(&[Kind::Input, Kind::Output])
    }

    /// The time of the call.
    pub(super) fn call_time(&mut self) -> Result<(), Unpriced> {
        let seconds = self.call.units.call_seconds;
        for kind in [Kind::CallSecondInput, Kind::CallSecondOutput] {
            if let Some(price) = self.found.entry().prices.flat(kind) {
                self.charge_flat(kind, seconds, Rate::own(Some(price)))?;
            }
        }
        Ok(())
    }
}

fn units(bill: &mut Bill<'_>) -> Result<(), Unpriced> {
    let units = &bill.call.units;
    if units.is_empty() {
        return Ok(());
    }
    let counted = [
        (Kind::Character, units.characters.into()),
        (Kind::Image, units.images.into()),
        (Kind::VideoSecond, units.video_seconds),
        (Kind::AudioSecond, units.audio_seconds),
        (Kind::Query, units.queries.into()),
    ];
    for (kind, quantity) in counted {
        if !quantity.is_zero() {
            let price = bill.found.entry().prices.flat(kind);
            bill.charge(kind, quantity, Rate::own(price))?;
        }
    }
    Ok(())
}

fn citations(bill: &mut Bill<'_>) -> Result<(), Unpriced> {
    let tokens = bill.call.units.citation_tokens;
    if tokens == 0 {
        return Ok(());
    }
    let price = bill.found.entry().prices.flat(Kind::Citation);
    bill.charge(Kind::Citation, tokens.into(), Rate::own(price))
}

/// Who makes the searches, and so how they are counted and charged.
fn web_searches(bill: &mut Bill<'_>) -> Result<(), Unpriced> {
    let searches = bill.call.units.web_searches;
    if searches == 0 {
        return Ok(());
    }
    let entry = bill.found.entry();
    let usual = entry.prices.flat(Kind::WebSearch);
    let small = entry.prices.flat(Kind::WebSearchSmall);
    let (count, rate) = match &*entry.provider {
        "perplexity" => (searches, Rate::own(small)),
        "xai" => match usual.or(small).filter(|price| !price.is_zero()) {
            None => (searches, Rate::customary(XAI_SEARCH)),
            stated => (searches, Rate::own(stated)),
        },
        provider if is_gemini(provider, bill.found.key()) => {
            let count = if entry.each_search_counts {
                searches
            } else {
                1
            };
            match usual {
                None => (count, Rate::customary(GOOGLE_SEARCH)),
                stated => (count, Rate::own(stated)),
            }
        }
        _ => (searches, Rate::own(usual)),
    };
    bill.charge_flat(Kind::WebSearch, count.into(), rate)
}

fn map_searches(bill: &mut Bill<'_>) -> Result<(), Unpriced> {
    let searches = bill.call.units.map_searches;
    let entry = bill.found.entry();
    if searches == 0 {
        return Ok(());
    }
    let is_google = &*entry.provider == "gemini" || entry.provider.starts_with("vertex_ai");
    let (count, customary) = if entry.each_search_counts {
        (searches, GOOGLE_MAPS_BY_QUERY)
    } else {
        (1, GOOGLE_MAPS_BY_PROMPT)
    };
    let rate = match entry.prices.flat(Kind::MapSearch) {
        None if is_google => Rate::customary(customary),
        stated => Rate::own(stated),
    };
    bill.charge_flat(Kind::MapSearch, count.into(), rate)
}

fn pages(bill: &mut Bill<'_>) -> Result<(), Unpriced> {
    let pages = bill.call.units.pages_opened;
    if pages == 0 {
        return Ok(());
    }
    let rate = if &*bill.found.entry().provider == "groq" {
        Rate::customary(GROQ_PAGE)
    } else {
        Rate::own(None)
    };
    bill.charge_as(Dimension::PageOpened, pages.into(), rate)
}

/// Google's own models: on Vertex AI there are others too.
fn is_gemini(provider: &str, key: &str) -> bool {
    provider == "gemini"
        || provider.starts_with("vertex_ai") && !key.to_lowercase().contains("claude")
}
