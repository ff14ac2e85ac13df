//! What tarpaulin reports, as one line a crate.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The share of lines that has to be covered, in percent: in each crate, and in all.
const THRESHOLD: u64 = 90;

/// Lines of one crate.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Lines {
    name: String,
    covered: u64,
    coverable: u64,
}

impl Lines {
    fn suffice(&self) -> bool {
        self.covered * 100 >= self.coverable * THRESHOLD
    }

    /// With one digit, rounded down: 89.97 % is not 90.
    fn percent(&self) -> String {
        let tenths = (self.covered * 1000)
            .checked_div(self.coverable)
            .unwrap_or(0);
        format!("{}.{} %", tenths / 10, tenths % 10)
    }

    fn row(&self) -> String {
        let mark = if self.suffice() { "" } else { "  too low" };
        let lines = format!("{}/{}", self.covered, self.coverable);
        format!("{:<18} {lines:>12} {:>8}{mark}", self.name, self.percent())
    }
}

/// The coverage of every crate.
#[derive(Debug)]
pub(super) struct Coverage {
    crates: Vec<Lines>,
}

/// Reads tarpaulin's JSON. Only files below `crates/<name>/src/` count.
pub(super) fn read(report: &str, crates: &[&str]) -> Result<Coverage> {
    let report: Value = serde_json::from_str(report).context("tarpaulin's report is not JSON")?;
    let files = report.get("files").and_then(Value::as_array);
    let files = files.context("tarpaulin's report has no list of files")?;
    let mut lines: Vec<_> = crates
        .iter()
        .map(|name| Lines {
            name: (*name).to_owned(),
            ..Lines::default()
        })
        .collect();
    for file in files {
        let path = file
            .get("path")
            .and_then(Value::as_array)
            .context("a file without a path")?;
        let path: Vec<_> = path.iter().filter_map(Value::as_str).collect();
        let Some(lines) = lines
            .iter_mut()
            .find(|lines| is_source_of(&path, &lines.name))
        else {
            continue;
        };
        lines.covered += number(file, "covered")?;
        lines.coverable += number(file, "coverable")?;
    }
    for one in &lines {
        ensure!(one.coverable > 0, "no line of {} was measured", one.name);
    }
    Ok(Coverage { crates: lines })
}

fn is_source_of(path: &[&str], name: &str) -> bool {
    path.windows(3).any(|part| part == ["crates", name, "src"])
}

fn number(file: &Value, field: &str) -> Result<u64> {
    let number = file.get(field).and_then(Value::as_u64);
    number.with_context(|| format!("a file of tarpaulin's report has no {field}"))
}

impl Coverage {
    fn total(&self) -> Lines {
        Lines {
            name: "all".to_owned(),
            covered: self.crates.iter().map(|one| one.covered).sum(),
            coverable: self.crates.iter().map(|one| one.coverable).sum(),
        }
    }

    /// One row a crate, then all of them.
    pub(super) fn table(&self) -> Vec<String> {
        self.crates
            .iter()
            .chain([&self.total()])
            .map(Lines::row)
            .collect()
    }

    /// An error that names what is below the threshold.
    pub(super) fn hold(&self) -> Result<()> {
        let total = self.total();
        let low: Vec<_> = self
            .crates
            .iter()
            .chain([&total])
            .filter(|one| !one.suffice())
            .collect();
        if low.is_empty() {
            return Ok(());
        }
        let low: Vec<_> = low
            .iter()
            .map(|one| format!("{} {}", one.name, one.percent()))
            .collect();
        bail!("line coverage below {THRESHOLD} %: {}", low.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(files: &[(&str, u64, u64)]) -> String {
        let files = files.iter().map(|(path, covered, coverable)| {
            let path: Vec<_> = path.split('/').collect();
            json!({"path": path, "covered": covered, "coverable": coverable})
        });
        json!({"files": files.collect::<Vec<_>>()}).to_string()
    }

    #[test]
    fn only_the_sources_of_a_crate_count_for_it() {
        let report = report(&[
            ("x/crates/core/src/lib.rs", 45, 50),
            ("x/crates/core/src/sub/one.rs", 46, 50),
            ("x/crates/core/tests/it.rs", 0, 1000),
            ("x/crates/core-two/src/lib.rs", 0, 1000),
        ]);
        let coverage = read(&report, &["core"]).unwrap();
        let rows = [
            "core                     91/100   91.0 %",
            "all                      91/100   91.0 %",
        ];
        assert_eq!(coverage.table(), rows);
        coverage.hold().unwrap();
    }

    #[test]
    fn a_crate_just_below_the_threshold_is_named() {
        let report = report(&[
            ("crates/a/src/lib.rs", 8999, 10_000),
            ("crates/b/src/lib.rs", 90, 100),
        ]);
        let coverage = read(&report, &["a", "b"]).unwrap();
        let error = coverage.hold().unwrap_err().to_string();
        assert_eq!(error, "line coverage below 90 %: a 89.9 %, all 89.9 %");
    }

    #[test]
    fn a_crate_that_was_not_measured_is_an_error() {
        let report = report(&[("crates/a/src/lib.rs", 9, 10)]);
        let error = read(&report, &["a", "b"]).unwrap_err().to_string();
        assert_eq!(error, "no line of b was measured");
    }
}
