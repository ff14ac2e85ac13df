//! All aliases, and how a name is resolved.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use event_payloads::{Category, RuntimeGroup};

use crate::{Alias, InvalidAlias};

/// Where a name that nobody registered goes.
const DEFAULT_GROUP: &str = "main";

/// The aliases that an installation has without configuring any: name, category and group, purpose.
const DEFAULT_ALIASES: [(&str, &str, &str); 6] = [
    ("router", "cheap", "decide where a message goes"),
    ("extractor", "cheap", "pull facts out of a text"),
    ("summarizer", "cheap", "shorten a text"),
    ("planner", "main", "reason about what to do"),
    ("executor", "main", "do it"),
    ("fallback", "fallback", "the spare"),
];

/// All aliases. Immutable: a changed configuration makes a new one.
#[derive(Clone, Debug)]
pub struct AliasRegistry {
    aliases: BTreeMap<String, Alias>,
    default_group: RuntimeGroup,
    default_category: Category,
}

/// Why a list of aliases is not a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The name stands twice.
    #[error("the alias `{0}` is configured twice, each name may stand once")]
    Duplicate(String),
    /// A name that can not be one.
    #[error(transparent)]
    Invalid(#[from] InvalidAlias),
}

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The proxy's model group.
    pub runtime_group: RuntimeGroup,
    /// What the cost is attributed to.
    pub category: Category,
    /// How the name was understood.
    pub matched: Matched,
}

/// How a name was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// As a registered alias.
    Alias,
    /// As a group that some alias stands for.
    Group,
    /// Not at all: it went to the default group.
    Nothing,
}

impl AliasRegistry {
    /// A registry of these aliases.
    ///
    /// # Errors
    /// A name stands twice, or can not be a name.
    pub fn new(aliases: impl IntoIterator<Item = Alias>) -> Result<Self, RegistryError> {
        let mut by_name = BTreeMap::new();
        for alias in aliases {
            let Alias {
                name,
                category,
                runtime_group,
                description,
            } = alias;
            let alias = Alias::new(
                &name,
                category.as_str(),
                runtime_group.as_str(),
                &description,
            )?;
            match by_name.entry(alias.name.clone()) {
                Entry::Vacant(free) => free.insert(alias),
                Entry::Occupied(taken) => {
                    return Err(RegistryError::Duplicate(taken.key().clone()));
                }
            };
        }
        Ok(Self::of(by_name))
    }

    #[expect(
        clippy::expect_used,
        reason = "the default group is a constant and a name"
    )]
    fn of(aliases: BTreeMap<String, Alias>) -> Self {
        Self {
            aliases,
            default_group: DEFAULT_GROUP.parse().expect("a name"),
            default_category: DEFAULT_GROUP.parse().expect("a name"),
        }
    }

    /// What a name means: an alias its group, a known group itself, anything else `main`.
    #[must_use]
    pub fn resolve(&self, asked: &str) -> Resolution {
        let asked = asked.trim();
        if let Some(alias) = self.aliases.get(asked) {
            return resolution(alias, Matched::Alias);
        }
        if let Some(alias) = self.by_group(asked).next() {
            return resolution(alias, Matched::Group);
        }
        let asked = event_payloads::first_chars(asked, 80);
        tracing::warn!(
            asked,
            group = DEFAULT_GROUP,
            "unknown model alias, using the default group"
        );
        Resolution {
            runtime_group: self.default_group.clone(),
            category: self.default_category.clone(),
            matched: Matched::Nothing,
        }
    }

    /// The alias of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Alias> {
        self.aliases.get(name)
    }

    /// The aliases whose costs go to this category, sorted by name.
    pub fn by_category(&self, category: &str) -> impl Iterator<Item = &Alias> {
        self.all()
            .filter(move |alias| alias.category.as_str() == category)
    }

    /// The aliases that stand for this group, sorted by name.
    pub fn by_group(&self, group: &str) -> impl Iterator<Item = &Alias> {
        self.all()
            .filter(move |alias| alias.runtime_group.as_str() == group)
    }

    /// Every alias, sorted by name.
    pub fn all(&self) -> impl Iterator<Item = &Alias> {
        self.aliases.values()
    }

    /// Every group that some alias stands for, sorted, each once.
    #[must_use]
    pub fn groups(&self) -> Vec<&RuntimeGroup> {
        let mut groups: Vec<_> = self.all().map(|alias| &alias.runtime_group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}

impl Default for AliasRegistry {
    /// `router`, `extractor`, `summarizer` (cheap); `planner`, `executor` (main); `fallback`.
    #[expect(clippy::expect_used, reason = "constants, covered by a test")]
    fn default() -> Self {
        Self::new(
            DEFAULT_ALIASES.map(|(name, group, purpose)| {
                Alias::new(name, group, group, purpose).expect("a name")
            }),
        )
        .expect("each name once")
    }
}

fn resolution(alias: &Alias, matched: Matched) -> Resolution {
    Resolution {
        runtime_group: alias.runtime_group.clone(),
        category: alias.category.clone(),
        matched,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names<'a>(aliases: impl Iterator<Item = &'a Alias>) -> Vec<&'a str> {
        aliases.map(|alias| alias.name.as_str()).collect()
    }

    #[test]
    fn the_default_table_is_the_specified_one() {
        let registry = AliasRegistry::default();
        let all = [
            "executor",
            "extractor",
            "fallback",
            "planner",
            "router",
            "summarizer",
        ];
        assert_eq!(names(registry.all()), all);
        assert_eq!(
            names(registry.by_category("cheap")),
            ["extractor", "router", "summarizer"]
        );
        assert_eq!(names(registry.by_group("main")), ["executor", "planner"]);
        assert_eq!(
            registry.by_name("fallback").unwrap().runtime_group.as_str(),
            "fallback"
        );
        assert_eq!(registry.by_name("nobody"), None);
        let groups: Vec<_> = registry
            .groups()
            .into_iter()
            .map(RuntimeGroup::as_str)
            .collect();
        assert_eq!(groups, ["cheap", "fallback", "main"]);
    }

    #[test]
    fn an_alias_wins_over_a_group_and_a_group_passes_through() {
        let registry = AliasRegistry::new([
            Alias::new("cheap", "special", "dear", "").unwrap(),
            Alias::new("router", "light", "cheap", "").unwrap(),
        ])
        .unwrap();
        let alias = registry.resolve("cheap");
        assert_eq!(
            (alias.runtime_group.as_str(), alias.matched),
            ("dear", Matched::Alias)
        );
        let group = registry.resolve("dear");
        assert_eq!(
            (group.category.as_str(), group.matched),
            ("special", Matched::Group)
        );
    }

    #[test]
    fn a_name_that_stands_twice_is_an_error_that_names_it() {
        let twice =
            ["planner", " planner "].map(|name| Alias::new(name, "main", "main", "").unwrap());
        let error = AliasRegistry::new(twice).unwrap_err();
        assert_eq!(error, RegistryError::Duplicate("planner".into()));
        assert!(Alias::new("", "main", "main", "").is_err());
        assert!(Alias::new("a", "main", "", "").is_err());
    }

    proptest! {
        #[test]
        fn resolving_never_fails_and_is_never_empty(asked in ".{0,300}") {
            for registry in [AliasRegistry::default(), AliasRegistry::new([]).unwrap()] {
                let found = registry.resolve(&asked);
                prop_assert!(!found.runtime_group.as_str().is_empty());
                prop_assert!(!found.category.as_str().is_empty());
            }
        }
    }
}
