//! A recorded call as something that can be priced again.

use event_payloads::{CostBreakdown, CostLine, TokenUsage};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::billable::{Billable, ServiceTier};

impl Billable {
    /// What an event says that a call used: its tokens, and by the breakdown that it may carry its class
    /// of service, its units beside tokens, and what the place of the call made its prices times.
    ///
    /// Without a breakdown nothing but the tokens is known: they are priced at the usual rate.
    #[must_use]
    pub fn recorded(tokens: TokenUsage, breakdown: Option<&CostBreakdown>) -> Self {
        let mut call = Self::from(tokens);
        let Some(breakdown) = breakdown else {
            return call;
        };
        call.service_tier = ServiceTier::of_answer(&breakdown.service_tier);
        call.call_type = breakdown.call_type.parse().unwrap_or_default();
        call.place.known_factor = breakdown.factor.map(event_payloads::Quantity::as_decimal);
        let of = |dimension: &str| quantity(&breakdown.lines, dimension);
        let whole = |dimension: &str| of(dimension).to_u64().unwrap_or_default();
        let units = &mut call.units;
        units.video_prompt_tokens = whole("video_input");
        units.video_completion_tokens = whole("video_output");
        units.citation_tokens = whole("citation");
        units.web_searches = whole("web_search");
        units.map_searches = whole("map_search");
        units.pages_opened = whole("page_opened");
        units.queries = whole("query");
        units.characters = whole("character");
        units.images = whole("image");
        units.video_seconds = of("video_second");
        units.audio_seconds = of("audio_second");
        units.call_seconds = of("call_second");
        units.images_only = units.images > 0 && whole("input") == 0;
        call
    }
}

fn quantity(lines: &[CostLine], dimension: &str) -> Decimal {
    lines
        .iter()
        .find(|line| line.dimension == dimension)
        .map(|line| line.quantity.as_decimal())
        .unwrap_or_default()
}
