//! `cargo xtask schema`: the JSON Schemas of the events, as files for workers in any language.

mod compatibility;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::steps::{note, step};

/// Where the files are, under the workspace's root.
const FOLDER: &str = "crates/event-payloads/schemas";

/// Write the JSON Schemas of the event envelope and of every payload
///
/// They go to `crates/event-payloads/schemas/`, one file each, and are committed: workers in other
/// languages read them. A change that events already in a log would not pass is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a committed file is not what the types say, or would refuse old events
    #[arg(long)]
    check: bool,
    /// Overwrite even if old events no longer pass (then give the payload a new schema version)
    #[arg(long, conflicts_with = "check")]
    force: bool,
}

/// `cargo xtask schema --check`.
pub(crate) fn check() -> Result<()> {
    run(&Args {
        check: true,
        force: false,
    })
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    let name = if args.check {
        "schemas are current"
    } else {
        "write the schemas"
    };
    step(name, || {
        let files = files(&real_stack::workspace_root().join(FOLDER))?;
        if !args.force {
            refuse_breaking(&files)?;
        }
        if args.check {
            compare(&files)
        } else {
            write(&files)
        }
    })
}

/// A schema as it is committed and as the types say it is now.
struct SchemaFile {
    path: PathBuf,
    committed: Option<String>,
    /// `None` if no type stands behind the file: a payload that was renamed or dropped.
    current: Option<Value>,
}

impl SchemaFile {
    fn text(&self) -> Result<Option<String>> {
        let text = self.current.as_ref().map(serde_json::to_string_pretty);
        Ok(text.transpose()?.map(|text| text + "\n"))
    }

    fn is_current(&self) -> Result<bool> {
        Ok(self.committed == self.text()?)
    }

    /// What old events would stumble over.
    fn breaks(&self) -> Result<Vec<String>> {
        let Some(committed) = &self.committed else {
            return Ok(Vec::new());
        };
        let Some(current) = &self.current else {
            return Ok(vec!["its payload is gone".to_owned()]);
        };
        let committed = serde_json::from_str(committed)
            .with_context(|| format!("{} is not JSON", self.path.display()))?;
        Ok(compatibility::breaks(&committed, current))
    }
}

fn files(folder: &Path) -> Result<Vec<SchemaFile>> {
    let schemas = event_payloads::schema::all();
    let mut files = Vec::new();
    for (stem, schema) in schemas {
        let path = folder.join(format!("{stem}.json"));
        let committed = read(&path)?;
        files.push(SchemaFile {
            path,
            committed,
            current: Some(schema.into()),
        });
    }
    for path in strangers(folder, &files)? {
        let committed = read(&path)?;
        files.push(SchemaFile {
            path,
            committed,
            current: None,
        });
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn refuse_breaking(files: &[SchemaFile]) -> Result<()> {
    let mut breaks = Vec::new();
    for file in files {
        let name = name(&file.path);
        let found = file.breaks()?;
        breaks.extend(found.iter().map(|found| format!("{name}: {found}")));
    }
    ensure!(
        breaks.is_empty(),
        "events already written would not pass the new schemas:\n  {}\n\
         give a new field a default, keep a removed or changed one readable, or, if no log holds such \
         events, run `cargo xtask schema --force`",
        breaks.join("\n  ")
    );
    Ok(())
}

fn compare(files: &[SchemaFile]) -> Result<()> {
    let mut stale = Vec::new();
    for file in files {
        if !file.is_current()? {
            stale.push(name(&file.path));
        }
    }
    if !stale.is_empty() {
        bail!(
            "not what the types say: {}; run `cargo xtask schema` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

/// Schema files beside those of `files`.
fn strangers(folder: &Path, files: &[SchemaFile]) -> Result<Vec<PathBuf>> {
    let mut strangers = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(strangers),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot list {}", folder.display()));
        }
    };
    for entry in entries {
        let path = entry?.path();
        let is_schema = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_schema && !files.iter().any(|file| file.path == path) {
            strangers.push(path);
        }
    }
    Ok(strangers)
}

fn write(files: &[SchemaFile]) -> Result<()> {
    for file in files {
        if file.is_current()? {
            continue;
        }
        let path = &file.path;
        if let Some(text) = file.text()? {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make {}", folder.display()))?;
            }
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            note(format!("wrote {}", name(path)));
        } else {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            note(format!("removed {}", name(path)));
        }
    }
    Ok(())
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!("{FOLDER}/{}", name.to_string_lossy())
}
