//! Why a usage is not used.

/// Why an answer has no usage that can be relied on.
///
/// There is no repair: a call with such a usage is priced by the proxy, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// There is no usage: the field is absent or `null`.
    #[error("the answer has no `usage`")]
    Missing,
    /// There is no usage, and what was asked or answered is more than text, or nothing of it came: nobody but
    /// the provider can count that.
    #[error(
        "the answer has no `usage`, and what was asked and answered is not text that can be counted here"
    )]
    Uncountable,
    /// Something else stands where an object must be.
    #[error("`{field}` is {found}, expected an object")]
    NotAnObject {
        /// Where.
        field: &'static str,
        /// What was found there (shortened).
        found: String,
    },
    /// A count is not there, and nothing says that it is 0.
    #[error("the usage has no `{field}`")]
    MissingField {
        /// Which.
        field: &'static str,
    },
    /// A count that is negative, has a fraction, or is no number.
    #[error("`{field}` is {found}, expected a whole number of tokens, 0 or more")]
    NotACount {
        /// Which.
        field: &'static str,
        /// What was found there (shortened).
        found: String,
    },
    /// A count beyond 2^53.
    #[error("`{field}` is {found}, more than the largest count, {max}", max = super::read::MAX_COUNT)]
    TooLarge {
        /// Which.
        field: &'static str,
        /// What was found there (shortened).
        found: String,
    },
    /// A time that is negative or no number.
    #[error("`{field}` is {found}, expected a number of seconds, 0 or more")]
    NotSeconds {
        /// Which.
        field: &'static str,
        /// What was found there (shortened).
        found: String,
    },
    /// The counts contradict each other.
    #[error("the usage contradicts itself: {reason}")]
    DoesNotAddUp {
        /// Which counts, and how.
        reason: String,
    },
}
