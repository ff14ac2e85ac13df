//! What a usage costs, dimension by dimension.

use std::fmt;

use event_payloads::{TokenUsage, Usd};
use rust_decimal::Decimal;

use super::book::{Match, PriceOrigin};
use super::entry::BesideTokens;
use super::rates::{Rate, Rates};
use super::split::Split;
use crate::exact;

/// A kind of token that can have a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// Input that is nothing more special.
    Input,
    /// Input read from the provider's cache.
    CachedInput,
    /// Input written to a cache that lives 5 minutes.
    CacheWrite5m,
    /// Input written to a cache that lives 1 hour.
    CacheWrite1h,
    /// Audio in.
    AudioInput,
    /// Images in.
    ImageInput,
    /// Output that is nothing more special.
    Output,
    /// Audio out.
    AudioOutput,
    /// Images out.
    ImageOutput,
    /// Reasoning, which is output that nobody sees.
    Reasoning,
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::CachedInput => "cached input",
            Self::CacheWrite5m => "5-minute cache writing",
            Self::CacheWrite1h => "1-hour cache writing",
            Self::AudioInput => "audio input",
            Self::ImageInput => "image input",
            Self::Output => "output",
            Self::AudioOutput => "audio output",
            Self::ImageOutput => "image output",
            Self::Reasoning => "reasoning",
        })
    }
}

/// Why a dimension has the unit price that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Basis {
    /// The model's entry states it.
    Stated,
    /// None is stated; the input price stands in.
    AsInput,
    /// None is stated; the output price stands in.
    AsOutput,
    /// None is stated; the image output price stands in.
    AsImageOutput,
    /// None is stated; LiteLLM's rule is not to charge these tokens, and we follow it visibly.
    NotStated,
}

/// One dimension of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which tokens.
    pub dimension: Dimension,
    /// How many; never 0.
    pub tokens: u64,
    /// USD for one of them.
    pub unit_price: Usd,
    /// USD for all of them: exactly `tokens × unit_price`.
    pub amount: Usd,
    /// Where the unit price comes from.
    pub basis: Basis,
}

/// What a usage costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The exact sum of the lines.
    pub total: Usd,
    /// The key whose prices these are.
    pub key: String,
    /// Who stated them.
    pub origin: PriceOrigin,
    /// The parts; a dimension without tokens has no line.
    pub lines: Vec<Line>,
}

/// Why a usage has no price. Every message says what to do where something can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unpriced {
    /// Nobody states a price for the model. A similar name's price would be a guess.
    #[error(
        "no price is known for `{model}`; add one as [models.\"{model}\"] in config/prices.toml"
    )]
    UnknownModel {
        /// The model as asked, with its provider.
        model: String,
    },
    /// The model is listed, but not with a price for tokens that were used.
    #[error(
        "`{key}` is listed without a price for its {dimension} tokens; add one as [models.\"{key}\"] in config/prices.toml"
    )]
    NoPriceForTokens {
        /// The key that matched.
        key: String,
        /// The first dimension without a price.
        dimension: Dimension,
    },
    /// The model is of a kind that is not charged by the tokens of a usage.
    #[error(
        "`{key}` is of mode {mode}, this version prices chat, completion, responses and embedding"
    )]
    Mode {
        /// The key that matched.
        key: String,
        /// Its mode.
        mode: String,
    },
    /// The model is charged by something that no usage counts, so its tokens are not the whole price.
    #[error(
        "`{key}` is not charged by tokens alone, and the usage does not count the rest (requests, media, time)"
    )]
    ChargedBesideTokens {
        /// The key that matched.
        key: String,
    },
    /// The counts contradict each other.
    #[error(
        "the usage does not add up: {prompt} tokens in and {completion} out, {total} in total, or a part larger than its whole"
    )]
    DoesNotAddUp {
        /// All input tokens.
        prompt: u64,
        /// All output tokens.
        completion: u64,
        /// The stated total.
        total: u64,
    },
    /// A completed call that used nothing: the counts were lost on the way.
    #[error("the usage counts no tokens at all")]
    NoTokens,
    /// More than an amount can be, or more digits than can be kept.
    #[error("the cost of {tokens} tokens of `{key}` is beyond what can be computed exactly")]
    Overflow {
        /// The key that matched.
        key: String,
        /// The usage's total.
        tokens: u64,
    },
}

pub(super) fn price(found: &Match<'_>, usage: &TokenUsage) -> Result<Priced, Unpriced> {
    let entry = found.entry();
    if !entry.mode.is_by_tokens() {
        return Err(Unpriced::Mode {
            key: found.key().to_owned(),
            mode: found.mode().to_owned(),
        });
    }
    check(usage)?;
    let lines = lines(found, usage)?;
    let total = total(&lines).ok_or_else(|| overflow(found, usage))?;
    // A model that makes songs or images may state its tokens as free; its calls are not.
    let hides_charges = match entry.beside_tokens {
        BesideTokens::Nothing => false,
        BesideTokens::Media => total.is_zero(),
        BesideTokens::EachRequest => true,
    };
    if hides_charges {
        return Err(Unpriced::ChargedBesideTokens {
            key: found.key().to_owned(),
        });
    }
    Ok(Priced {
        total,
        key: found.key().to_owned(),
        origin: found.origin(),
        lines,
    })
}

fn lines(found: &Match<'_>, usage: &TokenUsage) -> Result<Vec<Line>, Unpriced> {
    let rule = found.rule();
    let split = Split::of(usage, rule);
    let rates = Rates::of(found.entry(), rule, usage.prompt_tokens);
    let no_price = |dimension| Unpriced::NoPriceForTokens {
        key: found.key().to_owned(),
        dimension,
    };
    let mut lines = Vec::with_capacity(4);
    for (dimension, tokens, rate) in dimensions(&split, &rates) {
        if tokens == 0 {
            continue;
        }
        if rate.price.is_none() && matches!(dimension, Dimension::Input | Dimension::Output) {
            return Err(no_price(dimension));
        }
        lines.push(line(dimension, tokens, rate).ok_or_else(|| overflow(found, usage))?);
    }
    // Nothing but dimensions that have no price: a zero that nobody has stated.
    match lines.first() {
        Some(first) if lines.iter().all(|line| line.basis == Basis::NotStated) => {
            Err(no_price(first.dimension))
        }
        _ => Ok(lines),
    }
}

fn total(lines: &[Line]) -> Option<Usd> {
    let sum = lines.iter().try_fold(Decimal::ZERO, |sum, line| {
        exact::plus(sum, line.amount.as_decimal())
    })?;
    Usd::new(sum).ok()
}

fn overflow(found: &Match<'_>, usage: &TokenUsage) -> Unpriced {
    Unpriced::Overflow {
        key: found.key().to_owned(),
        tokens: usage.total_tokens,
    }
}

fn check(usage: &TokenUsage) -> Result<(), Unpriced> {
    let contradiction = Unpriced::DoesNotAddUp {
        prompt: usage.prompt_tokens,
        completion: usage.completion_tokens,
        total: usage.total_tokens,
    };
    let kinds_out = usage
        .reasoning_tokens
        .checked_add(usage.audio_completion_tokens)
        .and_then(|sum| sum.checked_add(usage.image_completion_tokens));
    if !usage.adds_up() || kinds_out.is_none_or(|sum| sum > usage.completion_tokens) {
        return Err(contradiction);
    }
    if usage.total_tokens == 0 {
        return Err(Unpriced::NoTokens);
    }
    Ok(())
}

fn dimensions(split: &Split, rates: &Rates) -> [(Dimension, u64, Rate); 10] {
    [
        (Dimension::Input, split.input, rates.input),
        (Dimension::CachedInput, split.cache_read, rates.cache_read),
        (
            Dimension::CacheWrite5m,
            split.cache_write_5m,
            rates.cache_write_5m,
        ),
        (
            Dimension::CacheWrite1h,
            split.cache_write_1h,
            rates.cache_write_1h,
        ),
        (Dimension::AudioInput, split.audio_input, rates.audio_input),
        (Dimension::ImageInput, split.image_input, rates.image_input),
        (Dimension::Output, split.output, rates.output),
        (
            Dimension::AudioOutput,
            split.audio_output,
            rates.audio_output,
        ),
        (
            Dimension::ImageOutput,
            split.image_output,
            rates.image_output,
        ),
        (Dimension::Reasoning, split.reasoning, rates.reasoning),
    ]
}

fn line(dimension: Dimension, tokens: u64, rate: Rate) -> Option<Line> {
    let unit_price = rate.price.unwrap_or(Decimal::ZERO);
    Some(Line {
        dimension,
        tokens,
        unit_price: Usd::new(unit_price).ok()?,
        amount: Usd::new(exact::times(unit_price, tokens)?).ok()?,
        basis: rate.basis,
    })
}
