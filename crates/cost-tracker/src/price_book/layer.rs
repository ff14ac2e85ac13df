//! The entries of one source.

use std::borrow::Cow;
use std::collections::HashMap;

use super::book::{Match, PriceOrigin};
use super::entry::Entry;
use super::lookup::{accepts, find};

#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) models: HashMap<String, Entry>,
    /// The keys that are not in lower case, by what they are in it.
    by_lower_case: HashMap<String, String>,
}

impl Layer {
    pub(super) fn new(models: HashMap<String, Entry>) -> Self {
        let by_lower_case = models
            .keys()
            .map(|key| (key.to_lowercase(), key))
            .filter(|(lower, key)| lower != *key)
            .map(|(lower, key)| (lower, key.clone()))
            .collect();
        Self {
            models,
            by_lower_case,
        }
    }

    /// The entry that counts for a model.
    pub(super) fn first(
        &self,
        provider: Option<&str>,
        model: &str,
        origin: PriceOrigin,
    ) -> Option<Match<'_>> {
        if self.models.is_empty() {
            return None;
        }
        find(provider, model, |key, asked, by| {
            let (key, entry) = self.get(key)?;
            accepts(asked, &entry.provider).then(|| Match::new(key, entry, origin, by))
        })
    }

    fn get(&self, key: &str) -> Option<(&str, &Entry)> {
        if let Some((key, entry)) = self.models.get_key_value(key) {
            return Some((key, entry));
        }
        let lower = if key.chars().any(char::is_uppercase) {
            Cow::Owned(key.to_lowercase())
        } else {
            Cow::Borrowed(key)
        };
        let key = match self.by_lower_case.get(&*lower) {
            Some(key) => key,
            None => &*lower,
        };
        self.models
            .get_key_value(key)
            .map(|(key, entry)| (key.as_str(), entry))
    }
}
