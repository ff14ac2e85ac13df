//! Finding a Python that the locked packages support, and uv if it is there.

use std::process::Command;

use crate::StackError;

/// Versions for which all locked packages have wheels.
const SUPPORTED: std::ops::RangeInclusive<u32> = 10..=13;

/// Commands that may be one, best first.
const NAMES: &[&str] = &[
    "python3",
    "python3.12",
    "python3.11",
    "python3.13",
    "python3.10",
    "python",
];

/// The tool that makes the environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tool {
    /// uv, which brings a Python along when it is given a version number.
    Uv {
        /// A Python's path, or a version.
        python: String,
    },
    /// The standard library's `venv`, and pip.
    Venv {
        /// The Python's path.
        python: String,
    },
}

impl Tool {
    /// uv when it is on the PATH (much faster), else the Python's own tools.
    pub(crate) fn find() -> Result<Self, StackError> {
        let python = find_python();
        let uv = answer("uv", &["--version"]).is_ok();
        match (uv, python) {
            (true, Ok(python)) => Ok(Self::Uv { python }),
            (true, Err(_)) => Ok(Self::Uv {
                python: "3.12".to_owned(),
            }),
            (false, Ok(python)) => Ok(Self::Venv { python }),
            (false, Err(tried)) => Err(StackError::NoPython { tried }),
        }
    }
}

/// The path of a supported Python, or what every candidate answered.
fn find_python() -> Result<String, String> {
    let chosen = std::env::var("OCTO_PYTHON")
        .ok()
        .filter(|name| !name.is_empty());
    let names = chosen
        .as_deref()
        .map_or_else(|| NAMES.to_vec(), |name| vec![name]);
    let mut tried = Vec::new();
    for name in names {
        match answer(
            name,
            &[
                "-c",
                "import sys; print(*sys.version_info[:2], sys.executable)",
            ],
        ) {
            Ok(text) => match supported(&text) {
                Some(path) => return Ok(path),
                None => tried.push(format!("{name}: {text}")),
            },
            Err(reason) => tried.push(format!("{name}: {reason}")),
        }
    }
    Err(tried.join(", "))
}

/// The path out of `3 11 /usr/bin/python3`, if that version will do.
fn supported(text: &str) -> Option<String> {
    let (major, rest) = text.split_once(' ')?;
    let (minor, path) = rest.split_once(' ')?;
    let fits = major == "3"
        && minor
            .parse()
            .is_ok_and(|minor: u32| SUPPORTED.contains(&minor));
    (fits && !path.is_empty()).then(|| path.to_owned())
}

fn answer(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_with_wheels_are_taken() {
        assert_eq!(
            supported("3 11 /usr/bin/python3").as_deref(),
            Some("/usr/bin/python3")
        );
        assert_eq!(
            supported("3 13 /opt/my python").as_deref(),
            Some("/opt/my python")
        );
        for other in [
            "3 9 /usr/bin/python3",
            "3 14 /usr/bin/python3",
            "2 7 /usr/bin/python",
            "3 11 ",
            "",
            "x",
        ] {
            assert_eq!(supported(other), None, "{other}");
        }
    }

    #[test]
    fn a_command_that_is_not_there_is_an_answer_too() {
        assert!(answer("octo-no-such-command", &[]).is_err());
    }
}
