//! The price book: which prices count for a model, and what a usage costs by them.

mod beside;
mod book;
mod breakdown;
mod charge;
mod deployments;
mod entry;
mod kind;
mod layer;
mod lookup;
mod names;
mod overrides;
mod price;
mod rates;
mod rule;
mod split;

pub use book::{Match, PriceBook, PriceOrigin};
pub use deployments::Deployment;
pub(crate) use entry::{Entry, Mode, Prices, Range, Stated};
pub(crate) use kind::{Kind, MAP_FIELDS};
pub use lookup::MatchedBy;
pub use overrides::OverrideError;
pub use price::{Basis, Dimension, Line, Priced, Unpriced};
