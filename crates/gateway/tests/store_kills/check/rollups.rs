//! The sums that the API gives, against a recount of the events.

use std::collections::BTreeMap;

use serde_json::Value;

use super::recount::{DIMENSIONS, Recount, Sums, decimal};
use super::{Findings, Rule};
use crate::process::Running;

/// All sums, and those of a few tasks.
pub(crate) async fn rollups(
    octo: &Running,
    recount: &Recount,
    tasks: &[String],
    found: &mut Findings,
) {
    let all = DIMENSIONS.as_slice();
    let each = all.chunks(1);
    for group_by in each.chain([&[][..], all]) {
        let path = format!("/api/costs?group_by={}", group_by.join(","));
        let Some(report) = octo.ask(&path, found).await else {
            continue;
        };
        compare(&path, &report["total"], &recount.total(None), found);
        groups(&path, group_by, &report["rows"], recount, None, found);
    }
    for task_id in tasks {
        let path = format!("/api/tasks/{task_id}/cost");
        let Some(report) = octo.ask(&path, found).await else {
            continue;
        };
        let task = Some(task_id.as_str());
        compare(&path, &report["total"], &recount.total(task), found);
        groups(&path, &["model"], &report["by_model"], recount, task, found);
    }
}

fn groups(
    path: &str,
    group_by: &[&str],
    rows: &Value,
    recount: &Recount,
    task: Option<&str>,
    found: &mut Findings,
) {
    if group_by.is_empty() {
        return;
    }
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let key = |row: &Value| -> Vec<String> {
        let word = |name: &&str| row[*name].as_str().unwrap_or_default().to_owned();
        group_by.iter().map(word).collect()
    };
    let given: BTreeMap<Vec<String>, &Value> = rows.iter().map(|row| (key(row), row)).collect();
    let counted = recount.sums(group_by, task);
    let same_groups = given.keys().eq(counted.keys()) && given.len() == rows.len();
    found.unless(same_groups, Rule::Sums, || {
        format!(
            "{path} has the groups {:?}, the events {:?}",
            given.keys(),
            counted.keys()
        )
    });
    for (key, sums) in &counted {
        if let Some(row) = given.get(key) {
            compare(&format!("{path} {key:?}"), row, sums, found);
        }
    }
}

fn compare(place: &str, given: &Value, counted: &Sums, found: &mut Findings) {
    for (name, counted) in counted {
        let given = &given[*name];
        let same = given.is_number() && decimal(given) == *counted;
        found.unless(same, Rule::Sums, || {
            format!("{place}: {name} is {given}, the events add up to {counted}")
        });
    }
}
