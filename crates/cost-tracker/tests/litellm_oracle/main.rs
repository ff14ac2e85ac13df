//! The price book beside LiteLLM's own calculator, over every entry of the map that a usage can price.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helper functions of a test"
)]

mod asking;
mod classes;
mod questions;
mod report;
mod review;
mod usages;

use cost_tracker::{PriceBook, generate};
use questions::Extent;
use report::Report;
use review::{Case, judge};

const BUNDLED: &str = include_str!("../../data/prices.json");
/// `whole` asks everything (`cargo xtask oracle`); else the part that takes a quarter of the time.
const EXTENT: &str = "OCTO_ORACLE";
/// The seed of the random usages.
const SEED: &str = "OCTO_ORACLE_SEED";
/// Where to write the result as JSON.
const JSON: &str = "OCTO_ORACLE_JSON";

#[test]
fn every_entry_costs_what_litellm_says() {
    let extent = match std::env::var(EXTENT).as_deref() {
        Ok("whole") => Extent::Whole,
        _ => Extent::Subset,
    };
    let seed = std::env::var(SEED).map_or(0x5eed, |seed| seed.parse().expect("a whole number"));
    let (oracle, questions) = asking::ask(|map| questions::all(map, extent, seed));
    let book = PriceBook::builtin();
    assert_eq!(book.source().package, format!("litellm {}", oracle.version));

    let mut report = Report::new(extent, seed, &oracle.version);
    for (question, theirs) in questions.iter().zip(&oracle.answers) {
        let ours = question.ours(&book);
        let case = Case {
            question,
            book: &book,
            map: &oracle.map,
            ours: &ours,
            theirs: theirs["cost"].as_f64(),
        };
        report.add(&case, judge(&case), theirs);
    }
    println!("{report}");
    if let Ok(path) = std::env::var(JSON) {
        std::fs::write(path, report.json().to_string()).unwrap();
    }
    report.check();
}

#[test]
fn the_bundled_map_is_what_the_pinned_package_gives() {
    let (oracle, _) = asking::ask(|_| Vec::new());
    let anew = generate(&oracle.map_text, PriceBook::builtin().source()).unwrap();
    assert!(
        anew == BUNDLED,
        "data/prices.json is out of date: run `cargo xtask prices update`"
    );
}
