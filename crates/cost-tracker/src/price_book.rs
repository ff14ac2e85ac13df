//! The price book: which prices count for a model, and what a usage costs by them.

mod book;
mod entry;
mod lookup;
mod overrides;
mod price;
mod rates;
mod split;

pub use book::{Match, PriceBook, PriceOrigin};
pub(crate) use entry::{BesideTokens, Entry, Kind, Mode, Prices, Range, Tier};
pub use overrides::OverrideError;
pub use price::{Basis, Dimension, Line, Priced, Unpriced};
