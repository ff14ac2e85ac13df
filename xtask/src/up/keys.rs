//! Keys: the provider keys of `.env.litellm`, and the proxy's own key of this run.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result};

/// What the file sets, without what is empty there. They go to the proxy's environment and nowhere else.
pub(super) fn of_providers(file: &Path) -> Result<Vec<(String, String)>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(settings(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Whether one of them is a provider's key.
pub(super) fn has_provider_key(settings: &[(String, String)]) -> bool {
    settings.iter().any(|(name, _)| name.ends_with("_API_KEY"))
}

/// 24 random bytes as hexadecimal digits.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0_u8; 24];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.context("cannot read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `NAME=value` lines, as Docker's `env_file` reads them: comments, `export`, quotes around a value.
fn settings(text: &str) -> Vec<(String, String)> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| {
        let name = name.trim();
        (
            name.strip_prefix("export ").unwrap_or(name).trim(),
            unquoted(value.trim()),
        )
    });
    let set = pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    set.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        let inside = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inside) = inside {
            return inside;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_as_it_is_holds_no_key() {
        let example = include_str!("../../../.env.litellm.example");
        assert!(!has_provider_key(&settings(example)));
    }

    #[test]
    fn a_filled_in_line_counts_with_or_without_quotes() {
        let text = "# OPENAI_API_KEY=a\nexport OPENAI_API_KEY = \"b\"\nANTHROPIC_API_KEY='c'\nX=\n";
        let pairs = [("OPENAI_API_KEY", "b"), ("ANTHROPIC_API_KEY", "c")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings(text), pairs);
        assert!(has_provider_key(&settings(text)));
    }

    #[test]
    fn two_runs_have_two_keys() {
        let (one, two) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), 48);
        assert_ne!(one, two);
    }
}
