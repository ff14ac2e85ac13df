//! One Python environment with exactly the packages of a lock file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::StackError;
use crate::python::Tool;
use crate::setup::{self, Step};

const MAKING: Step = Step {
    name: "making a Python environment",
    way_out: "install Python's venv module (Debian and Ubuntu: the package python3-venv), or uv",
};

const NETWORK: &str = "check the network and the package index (pip's and uv's own settings are used), then run it again";

/// What belongs into an environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) lock: &'static str,
    pub(crate) installing: &'static str,
}

/// A complete environment.
#[derive(Debug, Clone)]
pub(crate) struct Venv {
    folder: PathBuf,
}

impl Venv {
    pub(crate) fn python(&self) -> PathBuf {
        self.program("python")
    }

    /// A program that one of its packages brings.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Where its packages are: `lib/pythonX.Y/site-packages`.
    pub(crate) fn packages(&self) -> Result<PathBuf, StackError> {
        let lib = self.folder.join("lib");
        let look = || {
            for entry in fs::read_dir(&lib)? {
                let packages = entry?.path().join("site-packages");
                if packages.is_dir() {
                    return Ok(packages);
                }
            }
            Err(std::io::Error::from(std::io::ErrorKind::NotFound))
        };
        look().map_err(StackError::io(format!(
            "find site-packages in {}",
            lib.display()
        )))
    }

    /// The environment under `root`, made when it is not there or its lock has changed.
    pub(crate) fn ensure(
        spec: Spec,
        root: &Path,
        logs: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Self, StackError> {
        let venv = Self {
            folder: root.join(spec.name),
        };
        let stamp = venv.folder.join("lock.sha256");
        let wanted = fingerprint(spec.lock);
        let made = fs::read_to_string(&stamp).is_ok_and(|found| found == wanted);
        if made && venv.python().exists() {
            return Ok(venv);
        }

        remove(&venv.folder)?;
        let tool = Tool::find()?;
        setup::run(create(&tool, &venv.folder), MAKING, logs, progress)?;
        let lock = venv.folder.join("requirements.lock");
        fs::write(&lock, spec.lock).map_err(StackError::io(format!("write {}", lock.display())))?;
        let step = Step {
            name: spec.installing,
            way_out: NETWORK,
        };
        setup::run(install(&tool, &venv.python(), &lock), step, logs, progress)?;
        // Last, so that an environment that was only half made is made again.
        fs::write(&stamp, wanted).map_err(StackError::io(format!("write {}", stamp.display())))?;
        Ok(venv)
    }
}

fn create(tool: &Tool, folder: &Path) -> Command {
    let mut command;
    match tool {
        Tool::Uv { python } => {
            command = Command::new("uv");
            command
                .args(["venv", "--quiet", "--no-project", "--python", python])
                .arg(folder);
        }
        Tool::Venv { python } => {
            command = Command::new(python);
            command.args(["-m", "venv"]).arg(folder);
        }
    }
    command
}

/// The lock names every package with its hashes, so nothing is resolved, and nothing is built.
fn install(tool: &Tool, python: &Path, lock: &Path) -> Command {
    let mut command;
    match tool {
        Tool::Uv { .. } => {
            command = Command::new("uv");
            command.args(["pip", "install", "--python"]).arg(python);
        }
        Tool::Venv { .. } => {
            command = Command::new(python);
            command.args([
                "-m",
                "pip",
                "install",
                "--no-input",
                "--disable-pip-version-check",
            ]);
        }
    }
    command
        .args([
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-r",
        ])
        .arg(lock);
    command
}

pub(crate) fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn remove(folder: &Path) -> Result<(), StackError> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StackError::io(format!("remove {}", folder.display()))(
            error,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_changes_with_the_lock() {
        assert_eq!(
            fingerprint("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_ne!(fingerprint("a==1"), fingerprint("a==2"));
    }

    #[test]
    fn nothing_is_installed_without_a_hash_or_built_from_source() {
        let tools = [
            Tool::Uv { python: "p".into() },
            Tool::Venv { python: "p".into() },
        ];
        for tool in tools {
            let command = format!(
                "{:?}",
                install(&tool, Path::new("python"), Path::new("lock"))
            );
            for option in ["--require-hashes", "--no-deps", "--only-binary"] {
                assert!(command.contains(option), "{command}");
            }
        }
    }
}
