//! One entry of the registry.

use event_payloads::{Category, InvalidName, RuntimeGroup};
use serde::{Deserialize, Serialize};

/// What a caller may ask for, and what that means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// What a caller asks for.
    pub name: String,
    /// What its costs are attributed to.
    pub category: Category,
    /// What the proxy calls `model_name`.
    pub runtime_group: RuntimeGroup,
    /// What it is for, for people.
    #[serde(default)]
    pub description: String,
}

/// A field of an alias that can not be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("alias `{alias}`: {source}")]
pub struct InvalidAlias {
    alias: String,
    #[source]
    source: InvalidName,
}

impl Alias {
    /// An alias from its parts.
    ///
    /// # Errors
    /// A part is empty, too long or has control characters.
    pub fn new(
        name: &str,
        category: &str,
        group: &str,
        description: &str,
    ) -> Result<Self, InvalidAlias> {
        let invalid = |source| InvalidAlias {
            alias: name.to_owned(),
            source,
        };
        // An alias obeys the same rule as the group it stands for.
        let checked: RuntimeGroup = name.parse().map_err(invalid)?;
        Ok(Self {
            name: checked.into(),
            category: category.parse().map_err(invalid)?,
            runtime_group: group.parse().map_err(invalid)?,
            description: description.to_owned(),
        })
    }
}
