//! LiteLLM's public price map as data of this crate: how it is made, and how it is read.

mod field;
mod generate;
mod read;

pub(crate) use generate::kept_prices;
pub use generate::{GenerateError, PriceMapSource, generate};
pub(crate) use read::read;
