//! What can be wrong with a user's prices.

/// What is wrong with a file of prices. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// The text is not TOML.
    #[error("line {line} of the prices: {message}")]
    Syntax {
        /// Where.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A key that has no meaning here: a slip would leave a price out.
    #[error("line {line} of the prices: unknown key `{key}`, expected {expected}")]
    UnknownKey {
        /// Where.
        line: usize,
        /// The key.
        key: String,
        /// What may stand there.
        expected: String,
    },
    /// Something else than a table.
    #[error(
        "line {line} of the prices: `{key}` must be a table, as in [models.\"openai/my-model\"]"
    )]
    NotATable {
        /// Where.
        line: usize,
        /// The key.
        key: String,
    },
    /// Not a decimal number of USD, 0 or more.
    #[error(
        "line {line} of the prices: `{key}` of `{model}` is {found}, expected {unit}, a number from 0 to 1000000"
    )]
    NotAPrice {
        /// Where.
        line: usize,
        /// The model.
        model: String,
        /// The key.
        key: String,
        /// What the price is for.
        unit: &'static str,
        /// What stands there (shortened).
        found: String,
    },
    /// A model that would be priced by nothing: `query_per_thousand`, `per_audio_second` and
    /// `per_call_second` stand alone too, for the models that are charged so.
    #[error(
        "line {line} of the prices: `{model}` has neither `input_per_million` nor `output_per_million`"
    )]
    NoPrice {
        /// Where.
        line: usize,
        /// The model.
        model: String,
    },
    /// `tiers` is not a list of tables.
    #[error(
        "line {line} of the prices: `tiers` of `{model}` must be a list of tables, as in [[models.\"{model}\".tiers]]"
    )]
    NotAListOfTiers {
        /// Where.
        line: usize,
        /// The model.
        model: String,
    },
    /// A tier without a bound, or with one that is none or that another tier has.
    #[error(
        "line {line} of the prices: a tier of `{model}` needs `above_tokens`, a whole number of input tokens above 0 that no other tier has"
    )]
    NotABound {
        /// Where.
        line: usize,
        /// The model.
        model: String,
    },
    /// A tier that does not say what input costs in it.
    #[error(
        "line {line} of the prices: the tier of `{model}` above {above} tokens has no `input_per_million`"
    )]
    TierWithoutInput {
        /// Where.
        line: usize,
        /// The model.
        model: String,
        /// The tier's bound.
        above: u64,
    },
    /// A price by tier or class of service of something that has one price.
    #[error(
        "line {line} of the prices: `{key}` of `{model}` has one price: only tokens have tiers and classes of service"
    )]
    NoTierFor {
        /// Where.
        line: usize,
        /// The model.
        model: String,
        /// The key.
        key: String,
    },
}
