//! Counts out of JSON: whole, in range, and said once.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value};

use super::UsageError;
use crate::exact;
use crate::shown::shown;

/// 2^53: the largest count that survives every JSON reader. No call comes near it.
pub(super) const MAX_COUNT: u64 = 1 << 53;

pub(super) type Object = Map<String, Value>;

pub(super) fn object<'a>(
    field: &'static str,
    value: Option<&'a Value>,
) -> Result<Option<&'a Object>, UsageError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(other) => Err(UsageError::NotAnObject {
            field,
            found: shown(&other.to_string()),
        }),
    }
}

pub(super) fn required(count: Option<u64>, field: &'static str) -> Result<u64, UsageError> {
    count.ok_or(UsageError::MissingField { field })
}

/// One count; `path` is how messages call it.
pub(super) fn count(
    object: Option<&Object>,
    name: &str,
    path: &'static str,
) -> Result<Option<u64>, UsageError> {
    let number = match object.and_then(|object| object.get(name)) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(other) => {
            return Err(UsageError::NotACount {
                field: path,
                found: shown(&other.to_string()),
            });
        }
    };
    let text = number.as_str();
    let found = || shown(text);
    let Some(value) = exact::parse(text) else {
        // More digits or a larger exponent than a decimal holds: huge, or a fraction.
        let huge = text.parse::<f64>().is_ok_and(|value| value > 1e15);
        return Err(if huge {
            UsageError::TooLarge {
                field: path,
                found: found(),
            }
        } else {
            UsageError::NotACount {
                field: path,
                found: found(),
            }
        });
    };
    if value.is_sign_negative() && !value.is_zero() || !value.fract().is_zero() {
        return Err(UsageError::NotACount {
            field: path,
            found: found(),
        });
    }
    if value > Decimal::from(MAX_COUNT) {
        return Err(UsageError::TooLarge {
            field: path,
            found: found(),
        });
    }
    Ok(value.to_u64())
}

/// A number that may stand in several places: 0 if nowhere, refused if two places disagree.
///
/// A 0 beside a real count is how the absent one of two conventions is written; it is no contradiction.
pub(super) fn said_once(
    places: &[(Option<&Object>, &'static str, &'static str)],
) -> Result<u64, UsageError> {
    let mut said: Option<(u64, &str)> = None;
    for (object, name, path) in places {
        let Some(value) = count(*object, name, path)?.filter(|value| *value > 0) else {
            continue;
        };
        match said {
            Some((earlier, earlier_path)) if earlier != value => {
                return Err(UsageError::DoesNotAddUp {
                    reason: format!("`{earlier_path}` is {earlier}, `{path}` is {value}"),
                });
            }
            _ => said = Some((value, path)),
        }
    }
    Ok(said.map_or(0, |(value, _)| value))
}

/// A time in seconds, which may have a fraction; `None` if it is not there.
pub(super) fn seconds(
    object: Option<&Object>,
    name: &str,
    path: &'static str,
) -> Result<Option<Decimal>, UsageError> {
    let value = match object.and_then(|object| object.get(name)) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let stated = value
        .as_number()
        .and_then(|number| exact::parse(number.as_str()));
    stated
        .filter(|seconds| !seconds.is_sign_negative() && *seconds <= Decimal::from(MAX_COUNT))
        .map(Some)
        .ok_or_else(|| UsageError::NotSeconds {
            field: path,
            found: shown(&value.to_string()),
        })
}

/// A word; `None` if there is none or something else stands there.
pub(super) fn word<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}
