//! Where everything is kept: `target/real-stack/` of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::StackError;

/// Runs a program so that it ends with its owner, see the script itself.
pub(crate) const OWNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/owned.py");

/// The workspace's root: the nearest folder above this crate that holds a `Cargo.lock`.
///
/// Found from where the crate was compiled, so that a test or a task finds it from any working folder.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file());
    root.unwrap_or(manifest).to_path_buf()
}

/// The folders of the real parts.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout under the workspace's `target`, with its folders made.
    pub(crate) fn create() -> Result<Self, StackError> {
        let layout = Self {
            root: workspace_root().join("target").join("real-stack"),
        };
        for folder in [layout.logs(), layout.run()] {
            fs::create_dir_all(&folder)
                .map_err(StackError::io(format!("make {}", folder.display())))?;
        }
        Ok(layout)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the output of every started process goes.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Working folder of the processes, and their configuration files.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }
}
