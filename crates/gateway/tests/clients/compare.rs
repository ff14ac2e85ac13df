//! Two views side by side, and the differences between them that are meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::meant::MEANT;

/// One place where octo is not as the proxy is.
struct Difference {
    /// The case, and where in what it saw: `chat_plain/usage/cost`.
    place: String,
    direct: Value,
    octo: Value,
}

/// The differences that are meant, and which of them were found.
#[derive(Default)]
pub(crate) struct Comparison {
    used: BTreeSet<&'static str>,
}

impl Comparison {
    /// Every difference, below the reason why it is meant, as text to be reviewed. One without a reason is an
    /// error: octo is not as the proxy is, and nobody meant that.
    pub(crate) fn differences(&mut self, program: &str, direct: &Value, octo: &Value) -> String {
        let mut found = Vec::new();
        compare("", direct, octo, &mut found);

        let mut by_reason = BTreeMap::<&str, String>::new();
        let mut unmeant = String::new();
        for difference in &found {
            let Some(meant) = MEANT
                .iter()
                .find(|meant| matches(meant.place, &difference.place))
            else {
                unmeant += &difference.lines();
                continue;
            };
            self.used.insert(meant.place);
            *by_reason.entry(meant.why).or_default() += &difference.lines();
        }
        assert!(
            unmeant.is_empty(),
            "{program} sees other things through octo than from the proxy itself:\n{unmeant}"
        );
        let mut text = String::new();
        for (why, lines) in by_reason {
            writeln!(text, "# {why}\n{lines}").unwrap();
        }
        text
    }

    /// A difference that is gone is to be taken out of the list.
    pub(crate) fn end(self) {
        let gone: Vec<_> = MEANT
            .iter()
            .map(|meant| meant.place)
            .filter(|place| !self.used.contains(place))
            .collect();
        assert!(gone.is_empty(), "meant, but not there any more: {gone:?}");
    }
}

impl Difference {
    fn lines(&self) -> String {
        let Self {
            place,
            direct,
            octo,
        } = self;
        format!("{place}\n    proxy: {direct}\n    octo:  {octo}\n")
    }
}

fn compare(place: &str, direct: &Value, octo: &Value, found: &mut Vec<Difference>) {
    if direct == octo {
        return;
    }
    let inner: Vec<(String, &Value, &Value)> = match (direct, octo) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            let of = |name: &String| (name.clone(), field(direct, name), field(octo, name));
            names.into_iter().map(of).collect()
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs
                .map(|(index, (left, right))| (index.to_string(), left, right))
                .collect()
        }
        _ => {
            found.push(Difference {
                place: place.trim_start_matches('/').to_owned(),
                direct: direct.clone(),
                octo: octo.clone(),
            });
            return;
        }
    };
    for (name, left, right) in inner {
        compare(&format!("{place}/{name}"), left, right, found);
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// Whether a pattern names a place: part by part, `*` is any one part, and what follows the pattern is in it.
fn matches(pattern: &str, place: &str) -> bool {
    let mut parts = place.split('/');
    pattern.split('/').all(|wanted| {
        parts
            .next()
            .is_some_and(|part| wanted == "*" || wanted == part)
    })
}
