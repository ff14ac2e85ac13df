//! The price of each dimension for one call, as LiteLLM's calculators choose it.
//!
//! Taken from reading `litellm_core_utils/llm_cost_calc/utils.py` and the calculators under `llms/*` of
//! litellm 1.102.4, and held to them by `tests/litellm_oracle`.

use rust_decimal::Decimal;

use super::entry::{Entry, Prices, Range};
use super::price::Basis;

/// By whose rules a usage is divided and priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// What nearly every provider has.
    Generic,
    /// A tier begins *at* its bound, and output is one kind.
    Xai,
    /// Cached input and the rest; no tiers.
    Fireworks,
    /// No cache price; reasoning apart.
    Perplexity,
    /// What has no cache price costs as input; ranges.
    Dashscope,
    /// A price that a user stated: what it leaves out costs as input or output, never nothing.
    Stated,
}

impl Rule {
    /// The rule for an entry of LiteLLM's map.
    pub(super) fn of_provider(provider: &str) -> Self {
        match provider {
            "xai" => Self::Xai,
            "perplexity" => Self::Perplexity,
            "dashscope" | "qwencloud" | "qwen_ai_platform" => Self::Dashscope,
            _ if provider.starts_with("fireworks_ai") => Self::Fireworks,
            _ => Self::Generic,
        }
    }
}

/// The price of one token of one dimension, and why it is that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// `None`: nothing is stated, and nothing else stands in.
    pub(super) price: Option<Decimal>,
    pub(super) basis: Basis,
}

impl Rate {
    /// The dimension's own price, or none.
    fn own(price: Option<Decimal>) -> Self {
        let basis = if price.is_some() {
            Basis::Stated
        } else {
            Basis::NotStated
        };
        Self { price, basis }
    }

    /// The dimension's own price, or another's.
    fn or(price: Option<Decimal>, other: Self, basis: Basis) -> Self {
        if price.is_some() {
            return Self::own(price);
        }
        match other.price {
            Some(_) => Self {
                price: other.price,
                basis,
            },
            None => Self::own(None),
        }
    }

    fn or_input(price: Option<Decimal>, input: Self) -> Self {
        Self::or(price, input, Basis::AsInput)
    }

    fn or_output(price: Option<Decimal>, output: Self) -> Self {
        Self::or(price, output, Basis::AsOutput)
    }
}

pub(super) struct Rates {
    pub(super) input: Rate,
    pub(super) cache_read: Rate,
    pub(super) cache_write_5m: Rate,
    pub(super) cache_write_1h: Rate,
    pub(super) audio_input: Rate,
    pub(super) image_input: Rate,
    pub(super) output: Rate,
    pub(super) audio_output: Rate,
    pub(super) image_output: Rate,
    pub(super) reasoning: Rate,
}

impl Rates {
    /// The rates for a call with so many input tokens.
    pub(super) fn of(entry: &Entry, rule: Rule, prompt_tokens: u64) -> Self {
        match rule {
            // Without ranges and tiers; of what `Split` does not tell apart the rate does not matter.
            Rule::Stated | Rule::Fireworks | Rule::Perplexity => fall_back_to_text(&entry.prices),
            Rule::Dashscope => match range(entry, prompt_tokens) {
                Some(range) => dashscope_ranged(entry, &range.prices),
                None => dashscope_flat(&entry.prices),
            },
            Rule::Generic | Rule::Xai => match range(entry, prompt_tokens) {
                Some(range) if range.prices.input.is_some() => generic_ranged(entry, &range.prices),
                _ => generic(entry, prompt_tokens, rule == Rule::Xai),
            },
        }
    }
}

/// The range that holds so many input tokens, or the last one if there are more.
fn range(entry: &Entry, prompt_tokens: u64) -> Option<&Range> {
    if prompt_tokens == 0 {
        return None;
    }
    entry
        .ranges
        .iter()
        .find(|range| range.from < prompt_tokens && prompt_tokens <= range.to)
        .or_else(|| entry.ranges.last())
}

fn fall_back_to_text(prices: &Prices) -> Rates {
    let input = Rate::own(prices.input);
    let output = Rate::own(prices.output);
    let cache_write_5m = Rate::or_input(prices.cache_write_5m, input);
    Rates {
        input,
        cache_read: Rate::or_input(prices.cache_read, input),
        cache_write_5m,
        cache_write_1h: match prices.cache_write_1h {
            None => cache_write_5m,
            stated => Rate::own(stated),
        },
        audio_input: Rate::or_input(prices.audio_input, input),
        image_input: Rate::or_input(prices.image_input, input),
        output,
        audio_output: Rate::or_output(prices.audio_output, output),
        image_output: Rate::or_output(prices.image_output, output),
        reasoning: Rate::or_output(prices.reasoning, output),
    }
}

/// Tiers change the text and cache prices of the whole call; media and reasoning prices have no tiers.
fn generic(entry: &Entry, prompt_tokens: u64, inclusive: bool) -> Rates {
    let tier = entry
        .tiers
        .iter()
        .find(|tier| prompt_tokens > tier.above || inclusive && prompt_tokens == tier.above);
    let flat = &entry.prices;
    let tiered = |price: fn(&Prices) -> Option<Decimal>| {
        tier.and_then(|tier| price(&tier.prices))
            .or_else(|| price(flat))
    };
    let output = match tier.and_then(|tier| tier.prices.output) {
        None => text_output(flat),
        stated => Rate::own(stated),
    };
    Rates {
        input: Rate::own(tiered(|prices| prices.input)),
        cache_read: Rate::own(tiered(|prices| prices.cache_read)),
        cache_write_5m: Rate::own(tiered(|prices| prices.cache_write_5m)),
        cache_write_1h: Rate::own(tiered(|prices| prices.cache_write_1h)),
        output,
        reasoning: Rate::or_output(flat.reasoning, output),
        ..media(flat, output)
    }
}

/// A model that makes images may state no text price, or 0; its image price counts for text too.
fn text_output(flat: &Prices) -> Rate {
    match flat.output {
        Some(price) if !price.is_zero() => Rate::own(flat.output),
        _ => match flat.image_output {
            Some(_) => Rate {
                price: flat.image_output,
                basis: Basis::AsImageOutput,
            },
            None => Rate::own(flat.output),
        },
    }
}

/// The media prices, with everything else as for plain text.
fn media(flat: &Prices, output: Rate) -> Rates {
    Rates {
        audio_input: Rate::own(flat.audio_input),
        image_input: Rate::or_input(flat.image_input, Rate::own(flat.input)),
        audio_output: Rate::or_output(flat.audio_output, output),
        image_output: Rate::or_output(flat.image_output, output),
        ..fall_back_to_text(flat)
    }
}

fn generic_ranged(entry: &Entry, range: &Prices) -> Rates {
    let flat = &entry.prices;
    let input = Rate::own(range.input);
    let output = Rate::own(range.output.or(flat.output));
    let cache_write_5m = Rate::or_input(range.cache_write_5m, input);
    let one_hour = range.cache_write_1h.filter(|price| !price.is_zero());
    Rates {
        input,
        cache_read: Rate::or_input(range.cache_read, input),
        cache_write_5m,
        cache_write_1h: match one_hour {
            None => cache_write_5m,
            stated => Rate::own(stated),
        },
        output,
        reasoning: match range.reasoning.or(range.output) {
            Some(_) => Rate::or_output(range.reasoning, output),
            None => Rate::or_output(flat.reasoning, output),
        },
        ..media(flat, output)
    }
}

fn dashscope_flat(flat: &Prices) -> Rates {
    let rates = fall_back_to_text(flat);
    Rates {
        // One price for both lives of a cache.
        cache_write_1h: rates.cache_write_5m,
        ..rates
    }
}

fn dashscope_ranged(entry: &Entry, range: &Prices) -> Rates {
    let stated = Prices {
        output: range.output.or(entry.prices.output),
        reasoning: match range.reasoning.or(range.output) {
            Some(_) => range.reasoning,
            None => entry.prices.reasoning,
        },
        ..range.clone()
    };
    dashscope_flat(&stated)
}
