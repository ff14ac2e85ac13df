//! Clients of the OpenAI API that nobody here wrote, for Python and for Node.js.

use std::path::{Path, PathBuf};

use crate::StackError;
use crate::environments::lock;
use crate::layout::Layout;
use crate::node::Node;
use crate::venv::{Spec, Venv};

pub(crate) const CLIENTS: Spec = Spec {
    name: "clients",
    lock: include_str!("../locks/clients.lock"),
    installing: "installing the clients for Python, and Node.js",
};

/// The official `openai` libraries and an agent framework, ready to be run.
///
/// Apart from [`Environments`](crate::Environments): only tests need them.
#[derive(Debug, Clone)]
pub struct Clients {
    python: Venv,
    node: Node,
}

impl Clients {
    /// Makes what is missing under `target/real-stack/`; takes a minute the first time and nothing later.
    ///
    /// It blocks, tells its progress, and waits for another set-up, as
    /// [`Environments::ensure`](crate::Environments::ensure) does. Node.js and npm come with the Python
    /// packages: the machine needs none of its own.
    ///
    /// # Errors
    ///
    /// [`StackError::NoPython`], [`StackError::SetUp`] or [`StackError::Io`], each with the way out.
    pub fn ensure(progress: impl Fn(&str)) -> Result<Self, StackError> {
        let layout = Layout::create()?;
        let _held_to_the_end = lock(&layout.root().join("lock"), &progress)?;
        let python = Venv::ensure(CLIENTS, layout.root(), &layout.logs(), &progress)?;
        let node = Node::ensure(&python, layout.root(), &layout.logs(), &progress)?;
        Ok(Self { python, node })
    }

    /// The Python that has `openai` and `pydantic_ai`.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.python.python()
    }

    /// The `node` program.
    #[must_use]
    pub fn node(&self) -> &Path {
        self.node.program()
    }

    /// The `node_modules` folder that has `openai` and `zod`.
    #[must_use]
    pub fn node_modules(&self) -> PathBuf {
        self.node.modules()
    }
}
