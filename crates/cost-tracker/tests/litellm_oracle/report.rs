//! What the two calculators agree on, counted.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::classes::{REVIEWED, SILENT_ZEROS};
use crate::questions::Extent;
use crate::review::{Case, Class, Verdict};

/// How many of the unexplained are shown.
const SHOWN: usize = 60;
/// What has to agree of the cases that both price.
const AGREEMENT: f64 = 0.999;

/// What both price; the silent zeros are counted apart.
#[derive(Default, Clone, Copy)]
struct Compared {
    agree: usize,
    differ: usize,
}

impl Compared {
    fn agreement(self) -> f64 {
        let share = |count: usize| f64::from(u32::try_from(count).unwrap());
        share(self.agree) / share(self.agree + self.differ)
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.agreement();
        let both = self.agree + self.differ;
        write!(f, "{percent:.4} % ({} of {both})", self.agree)
    }
}

#[derive(Default, Clone, Copy)]
struct Count {
    agree: usize,
    neither: usize,
    reviewed: usize,
    silent_zero: usize,
    unexplained: usize,
}

pub(crate) struct Report {
    extent: Extent,
    seed: u64,
    version: String,
    total: Count,
    /// By the names of the map.
    usages: Compared,
    /// By other names.
    names: Compared,
    by_shape: BTreeMap<String, Count>,
    classes: BTreeMap<&'static str, (usize, std::collections::BTreeSet<String>)>,
    unexplained: Vec<Value>,
}

impl Report {
    pub(crate) fn new(extent: Extent, seed: u64, version: &str) -> Self {
        Self {
            extent,
            seed,
            version: version.to_owned(),
            total: Count::default(),
            usages: Compared::default(),
            names: Compared::default(),
            by_shape: BTreeMap::new(),
            classes: BTreeMap::new(),
            unexplained: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, case: &Case<'_>, verdict: Verdict, theirs: &Value) {
        let question = case.question;
        let row = match (question.name, question.service) {
            ("key and provider", "") => format!("usage: {}", question.shape.name),
            ("key and provider", service) => format!("class of service: {service}"),
            (name, _) => format!("name: {name}"),
        };
        let mut counts = [&mut self.total, self.by_shape.entry(row).or_default()];
        for count in &mut counts {
            match verdict {
                Verdict::Agree => count.agree += 1,
                Verdict::NeitherPrices => count.neither += 1,
                Verdict::Reviewed(name) if is_silent(name) => count.silent_zero += 1,
                Verdict::Reviewed(_) => count.reviewed += 1,
                Verdict::Unexplained => count.unexplained += 1,
            }
        }
        let is_counted_apart = matches!(verdict, Verdict::Reviewed(name) if is_silent(name));
        let compared = if case.is_named_otherwise() {
            &mut self.names
        } else {
            &mut self.usages
        };
        if verdict == Verdict::Agree {
            compared.agree += 1;
        } else if !is_counted_apart && case.ours.is_ok() && case.theirs.is_some() {
            compared.differ += 1;
        }
        if let Verdict::Reviewed(name) = verdict {
            let (count, models) = self.classes.entry(name).or_default();
            *count += 1;
            models.insert(question.entry.clone());
        }
        if verdict == Verdict::Unexplained {
            let ours = match case.ours {
                Ok(priced) => priced.total.to_string(),
                Err(reason) => reason.to_string(),
            };
            let asked: Value = serde_json::from_str(&question.line()).unwrap();
            self.unexplained.push(json!({"name": question.name, "shape": question.shape.name, "ours": ours, "theirs": theirs, "asked": asked}));
        }
    }

    pub(crate) fn json(&self) -> Value {
        let classes = classes().map(|class| {
            let (cases, models) = self.classes.get(class.name).cloned().unwrap_or_default();
            json!({"class": class.name, "silent_zero": is_silent(class.name), "reason": class.reason,
                   "cases": cases, "models": models})
        });
        json!({
            "litellm": self.version, "whole": self.extent == Extent::Whole, "seed": self.seed,
            "both_price": {"agree": self.usages.agree, "differ": self.usages.differ, "agreement": self.usages.agreement()},
            "both_price_other_names": {"agree": self.names.agree, "differ": self.names.differ, "agreement": self.names.agreement()},
            "agree": self.total.agree, "neither_prices": self.total.neither, "reviewed": self.total.reviewed,
            "silent_zeros": self.total.silent_zero, "unexplained": self.unexplained,
            "reviewed_table": classes.collect::<Vec<_>>(),
        })
    }

    pub(crate) fn check(&self) {
        assert!(
            self.unexplained.is_empty(),
            "{} answers differ from LiteLLM's without a reviewed reason",
            self.unexplained.len()
        );
        assert!(
            self.usages.agreement() >= AGREEMENT,
            "only {} agree where both price",
            self.usages
        );
        assert!(
            self.total.agree > 50_000,
            "only {} questions were comparable",
            self.total.agree
        );
        for class in classes() {
            assert!(
                self.extent == Extent::Subset || self.classes.contains_key(class.name),
                "nothing is in the class `{}` any more: {}",
                class.name,
                class.reason
            );
        }
    }
}

fn is_silent(name: &str) -> bool {
    SILENT_ZEROS.iter().any(|class| class.name == name)
}

fn classes() -> impl Iterator<Item = &'static Class> {
    SILENT_ZEROS.iter().chain(&REVIEWED)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<44} {:>8} {:>9} {:>9} {:>7} {:>12}",
            "", "agree", "reviewed", "silent 0", "neither", "unexplained"
        )?;
        let rows = self
            .by_shape
            .iter()
            .map(|(name, count)| (name.as_str(), count));
        for (name, count) in rows.chain([("all", &self.total)]) {
            writeln!(
                f,
                "{name:<44} {:>8} {:>9} {:>9} {:>7} {:>12}",
                count.agree, count.reviewed, count.silent_zero, count.neither, count.unexplained
            )?;
        }
        writeln!(f, "\nreviewed:")?;
        for class in classes() {
            let (cases, models) = self.classes.get(class.name).cloned().unwrap_or_default();
            let kind = if is_silent(class.name) {
                " (silent zero)"
            } else {
                ""
            };
            writeln!(
                f,
                "- {}{kind}: {cases} answers of {} models; {}",
                class.name,
                models.len(),
                class.reason
            )?;
        }
        for difference in self.unexplained.iter().take(SHOWN) {
            writeln!(f, "unexplained: {difference}")?;
        }
        write!(
            f,
            "\nwhere both price, within 1e-9: {} agree by the names of the map, {} by other names; \
             litellm {}, seed {}",
            self.usages, self.names, self.version, self.seed
        )
    }
}
