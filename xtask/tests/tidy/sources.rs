//! What stands in the files.

use std::path::Path;

/// A source file longer than this has more than one subject.
const MAX_LINES: usize = 500;

/// Every tracked or new file that is not ignored, with its text; binary files are left out.
fn files() -> Vec<(String, String)> {
    let list = super::output_of(
        "git",
        &[
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
    );
    let root = super::root();
    let names = list.split('\0').filter(|name| !name.is_empty());
    // A tracked file that was just deleted is still listed, and has no text.
    let files: Vec<_> = names
        .filter_map(|name| {
            Some((
                name.to_owned(),
                std::fs::read_to_string(root.join(name)).ok()?,
            ))
        })
        .collect();
    assert!(files.len() > 50, "the files were not listed");
    files
}

fn is_rust(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// Every place where one of `needles` stands, as `file:line: needle`.
fn places(files: &[(String, String)], needles: &[String]) -> Vec<String> {
    let mut places = Vec::new();
    for (name, text) in files {
        for (number, line) in (1..).zip(text.lines()) {
            let found = needles
                .iter()
                .filter(|needle| line.contains(needle.as_str()));
            places.extend(found.map(|needle| format!("{name}:{number}: {needle}")));
        }
    }
    places
}

/// Needles are put together from parts, or this file would find itself.
fn joined(parts: &[[&str; 2]]) -> Vec<String> {
    parts.iter().map(|parts| parts.concat()).collect()
}

#[test]
fn no_source_file_is_too_long() {
    let sources = files()
        .into_iter()
        .filter(|(name, _)| is_rust(name) && name.contains("src/"));
    let long: Vec<_> = sources
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "split these by subject: {long:#?}");
}

#[test]
fn nothing_names_one_machine_or_its_registries() {
    let needles = joined(&[
        ["/wo", "rk/"],
        ["/tmp/", "lab"],
        ["/ro", "ot/"],
        ["/home", "/"],
        ["artif", "actory"],
        ["extra-index", "-url"],
        ["[source", ".crates-io]"],
        ["replace", "-with ="],
    ]);
    let found = places(&files(), &needles);
    assert!(
        found.is_empty(),
        "paths and hosts of one machine: {found:#?}"
    );
}

#[test]
fn the_lock_file_knows_one_registry_only() {
    let lock = std::fs::read_to_string(super::root().join("Cargo.lock")).unwrap();
    let sources: std::collections::BTreeSet<_> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .collect();
    let crates_io = r#""registry+https://github.com/rust-lang/crates.io-index""#;
    assert_eq!(sources.into_iter().collect::<Vec<_>>(), [crates_io]);
}

#[test]
fn nothing_is_left_for_later() {
    let needles = joined(&[
        ["#[ign", "ore"],
        ["tod", "o!("],
        ["unimple", "mented!("],
        ["// TO", "DO"],
        ["// FIX", "ME"],
    ]);
    let sources: Vec<_> = files()
        .into_iter()
        .filter(|(name, _)| is_rust(name))
        .collect();
    let found = places(&sources, &needles);
    assert!(found.is_empty(), "finish these: {found:#?}");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests: Vec<_> = files()
        .into_iter()
        .filter(|(name, _)| name.ends_with("Cargo.toml") && name != "Cargo.toml")
        .collect();
    assert!(manifests.len() > 9, "the manifests were not found");
    for (name, text) in manifests {
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{name} has no `[lints] workspace = true`"
        );
    }
}
