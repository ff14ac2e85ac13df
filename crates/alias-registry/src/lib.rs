//! Semantic alias → category and runtime group.
//!
//! Agents ask for what they need (`planner`, `summarizer`); the proxy knows groups of deployments
//! (`main`, `cheap`). The registry is the map between, and it never says no: what it does not know
//! goes to the group `main`, with a warning.
//!
//! ```
//! use alias_registry::{AliasRegistry, Matched};
//!
//! let registry = AliasRegistry::default();
//! let planner = registry.resolve("planner");
//! assert_eq!(planner.runtime_group.as_str(), "main");
//! assert_eq!(planner.category.as_str(), "main");
//! assert_eq!(registry.resolve("gpt-17").matched, Matched::Nothing);
//! ```

mod alias;
mod registry;

pub use alias::{Alias, InvalidAlias};
pub use registry::{AliasRegistry, Matched, RegistryError, Resolution};
