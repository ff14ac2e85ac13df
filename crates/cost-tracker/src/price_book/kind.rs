//! What a price can be for, and what the map and people call it.

use super::price::Dimension;

/// What one stated price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Input,
    Output,
    CacheRead,
    CacheWrite5m,
    CacheWrite1h,
    AudioInput,
    AudioOutput,
    ImageInput,
    ImageOutput,
    VideoInput,
    VideoOutput,
    Reasoning,
    Citation,
    /// The call itself, once.
    Request,
    /// A query, or a search unit of a rerank.
    Query,
    /// A character of input.
    Character,
    /// An image that went in.
    Image,
    /// A second of video that went in.
    VideoSecond,
    /// A second of audio that went in.
    AudioSecond,
    /// A second that the call took, charged as input.
    CallSecondInput,
    /// A second that the call took, charged as output.
    CallSecondOutput,
    /// A web search with the usual amount of context.
    WebSearch,
    /// A web search with little context.
    WebSearchSmall,
    /// A query to a map service.
    MapSearch,
    /// A factor on every price: data stays in the European Union.
    FactorEu,
    /// A factor on every price: data stays in the United States.
    FactorUs,
    /// A factor on every price: an endpoint in a region.
    FactorRegion,
    /// A factor on every price: the provider says that it served the call in the United States.
    FactorServedUs,
    /// A factor on every price: the provider's fast mode.
    FactorFast,
}

/// The fields of LiteLLM's map that state a price of their own. What follows the name is a tier.
pub(crate) const MAP_FIELDS: [(&str, Kind); 26] = [
    ("input_cost_per_token", Kind::Input),
    ("output_cost_per_token", Kind::Output),
    ("cache_read_input_token_cost", Kind::CacheRead),
    (
        "cache_creation_input_token_cost_above_1hr",
        Kind::CacheWrite1h,
    ),
    ("cache_creation_input_token_cost", Kind::CacheWrite5m),
    ("input_cost_per_audio_token", Kind::AudioInput),
    ("output_cost_per_audio_token", Kind::AudioOutput),
    ("input_cost_per_image_token", Kind::ImageInput),
    ("output_cost_per_image_token", Kind::ImageOutput),
    ("input_cost_per_video_token", Kind::VideoInput),
    ("output_cost_per_video_token", Kind::VideoOutput),
    ("output_cost_per_reasoning_token", Kind::Reasoning),
    ("citation_cost_per_token", Kind::Citation),
    ("input_cost_per_request", Kind::Request),
    ("input_cost_per_query", Kind::Query),
    ("input_cost_per_character", Kind::Character),
    ("input_cost_per_image", Kind::Image),
    ("input_cost_per_video_per_second", Kind::VideoSecond),
    ("input_cost_per_audio_per_second", Kind::AudioSecond),
    ("input_cost_per_second", Kind::CallSecondInput),
    ("output_cost_per_second", Kind::CallSecondOutput),
    ("google_maps_grounding_cost_per_query", Kind::MapSearch),
    ("regional_processing_uplift_multiplier_eu", Kind::FactorEu),
    ("regional_processing_uplift_multiplier_us", Kind::FactorUs),
    ("regional_endpoint_uplift_multiplier", Kind::FactorRegion),
    ("search_queries_cost_per_query", Kind::WebSearchSmall),
];

impl Kind {
    /// The dimension that a price of this kind is shown under; `None` for a factor.
    pub(crate) const fn dimension(self) -> Option<Dimension> {
        Some(match self {
            Self::Input => Dimension::Input,
            Self::Output => Dimension::Output,
            Self::CacheRead => Dimension::CachedInput,
            Self::CacheWrite5m => Dimension::CacheWrite5m,
            Self::CacheWrite1h => Dimension::CacheWrite1h,
            Self::AudioInput => Dimension::AudioInput,
            Self::AudioOutput => Dimension::AudioOutput,
            Self::ImageInput => Dimension::ImageInput,
            Self::ImageOutput => Dimension::ImageOutput,
            Self::VideoInput => Dimension::VideoInput,
            Self::VideoOutput => Dimension::VideoOutput,
            Self::Reasoning => Dimension::Reasoning,
            Self::Citation => Dimension::Citation,
            Self::Request => Dimension::Request,
            Self::Query => Dimension::Query,
            Self::Character => Dimension::Character,
            Self::Image => Dimension::Image,
            Self::VideoSecond => Dimension::VideoSecond,
            Self::AudioSecond => Dimension::AudioSecond,
            Self::CallSecondInput | Self::CallSecondOutput => Dimension::CallSecond,
            Self::WebSearch | Self::WebSearchSmall => Dimension::WebSearch,
            Self::MapSearch => Dimension::MapSearch,
            Self::FactorEu
            | Self::FactorUs
            | Self::FactorRegion
            | Self::FactorServedUs
            | Self::FactorFast => return None,
        })
    }
}
