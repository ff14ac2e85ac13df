//! The files that ship with the project say the truth.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use std::path::{Path, PathBuf};

use cost_tracker::PriceBook;
use gateway::config::{Config, Environment, Overrides};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

fn load(file: Option<PathBuf>) -> Config {
    Config::load(
        &Environment::default(),
        &Overrides {
            config: file,
            listen: None,
        },
    )
    .unwrap()
}

/// Lines that look like a commented-out setting, with the comment sign taken away.
fn uncommented(text: &str) -> String {
    let is_setting = |line: &str| {
        line.starts_with("[[")
            || line
                .split_once(" = ")
                .is_some_and(|(key, _)| !key.contains(' '))
    };
    let lines = text
        .lines()
        .filter_map(|line| match line.strip_prefix("# ") {
            Some(setting) if is_setting(setting) => Some(setting),
            Some(_) => None,
            None => Some(line),
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_setting_in_octo_toml_shows_its_default() {
    let defaults = format!("{:?}", load(None));
    assert_eq!(
        format!("{:?}", load(Some(shipped("config/octo.toml")))),
        defaults
    );
    let text = std::fs::read_to_string(shipped("config/octo.toml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let all = dir.path().join("all.toml");
    let mut all_set = uncommented(&text);
    // Its default is a file only if that exists, and in the folder of this test it does not.
    all_set = all_set.replace("prices = \"config/prices.toml\"", "");
    assert!(all_set.matches(" = ").count() >= 40, "{all_set}");
    std::fs::write(&all, all_set).unwrap();
    assert_eq!(format!("{:?}", load(Some(all))), defaults);
}

#[test]
fn the_shipped_prices_change_nothing_and_their_example_is_valid() {
    let text = std::fs::read_to_string(shipped("config/prices.toml")).unwrap();
    let book = PriceBook::builtin().with_overrides(&text).unwrap();
    assert!(book.lookup(Some("openai"), "my-fine-tune").is_none());
    let example = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .skip_while(|line| !line.starts_with('['));
    let example = example.collect::<Vec<_>>().join("\n");
    let book = PriceBook::builtin().with_overrides(&example).unwrap();
    assert!(
        book.lookup(Some("openai"), "my-fine-tune")
            .unwrap()
            .is_override()
    );
}

#[test]
fn the_examples_of_env_files_hold_no_key_and_only_names_that_are_read() {
    for (file, keys) in [(".env.example", false), (".env.litellm.example", true)] {
        let text = std::fs::read_to_string(shipped(file)).unwrap();
        for line in text.lines() {
            let setting = line.trim_start_matches("# ");
            let Some((name, value)) = setting.split_once('=') else {
                continue;
            };
            if name.ends_with("_KEY") {
                assert!(value.trim().is_empty(), "{file}: {line}");
            }
            assert_eq!(
                name.starts_with("OPENAI") || name.starts_with("ANTHROPIC"),
                keys,
                "{file}: {line}"
            );
        }
    }
}
