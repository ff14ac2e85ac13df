//! Where the output of a process goes, and its last lines for an error.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::StackError;

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 25;

/// The log of one process.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// A new, empty log `<folder>/<name>-<our process id>-<count>.log`.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self, StackError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{name}-{}-{count}.log", process::id()));
        let file = File::create(&path)
            .map_err(StackError::io(format!("make the log {}", path.display())))?;
        Ok(Self { path, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A handle for a child's standard output or error.
    pub(crate) fn stdio(&self) -> Result<Stdio, StackError> {
        let file = self.file.try_clone();
        Ok(file
            .map_err(StackError::io(format!(
                "share the log {}",
                self.path.display()
            )))?
            .into())
    }

    /// The last lines, or a note why they cannot be read: it is for an error that must not hide behind another.
    pub(crate) fn tail(&self) -> String {
        match fs::read(&self.path) {
            Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), TAIL_LINES),
            Err(error) => format!("(the log cannot be read: {error})"),
        }
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let skip = lines.len().saturating_sub(count);
    lines.into_iter().skip(skip).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_that_say_something() {
        assert_eq!(last_lines("a\n\nb\nc\n\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
