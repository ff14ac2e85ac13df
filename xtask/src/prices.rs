//! `cargo xtask prices update`: takes the price map from the pinned LiteLLM package, and says what changed.

mod changes;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cost_tracker::{PriceMapSource, generate};
use real_stack::workspace_root;
use sha2::{Digest as _, Sha256};

use self::changes::{changes, models};
use crate::parts;
use crate::steps::{note, step};

/// The map inside the package.
const MAP: &str = "litellm/model_prices_and_context_window_backup.json";
/// Where our compact form of it is.
const OURS: &str = "crates/cost-tracker/data/prices.json";
/// More changes than this are counted, not listed.
const MAX_LISTED: usize = 40;

/// The bundled price book
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Take the price map from the pinned LiteLLM package, and show what changed
    Update,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args.what {
        What::Update => update(),
    }
}

fn update() -> Result<()> {
    let package = Package::of(&parts::environments()?.litellm_python())?;
    step("take the price map", || {
        let raw = std::fs::read_to_string(package.site.join(MAP))
            .with_context(|| format!("cannot read {MAP} of {}", package.name))?;
        let path = workspace_root().join(OURS);
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let source = PriceMapSource {
            package: package.name.clone(),
            file: MAP.to_owned(),
            sha256: hex(&Sha256::digest(raw.as_bytes())),
            taken: package.taken(&before)?,
        };
        let after = generate(&raw, &source)?;
        show(&before, &after)?;
        std::fs::write(&path, after).with_context(|| format!("cannot write {}", path.display()))
    })
}

/// The installed package.
struct Package {
    name: String,
    site: PathBuf,
}

impl Package {
    /// Asks the interpreter where its packages are; nothing of LiteLLM is run.
    fn of(python: &Path) -> Result<Self> {
        let question = "import importlib.metadata as m; d = m.distribution('litellm'); print(d.version); print(d.locate_file(''))";
        let answer = std::process::Command::new(python)
            .args(["-c", question])
            .output()
            .with_context(|| format!("cannot run {}", python.display()))?;
        let text = String::from_utf8(answer.stdout)?;
        let Some((version, site)) = text.trim().split_once('\n') else {
            bail!("{} has no package litellm", python.display());
        };
        Ok(Self {
            name: format!("litellm {version}"),
            site: site.trim().into(),
        })
    }

    /// The day on which this package's map was taken: the one that stands there already if it is the
    /// same package, else today.
    fn taken(&self, before: &str) -> Result<String> {
        let same = before
            .lines()
            .next()
            .filter(|line| line.contains(&format!("\"{}\"", self.name)));
        if let Some((_, rest)) = same.and_then(|line| line.split_once("\"taken\":\"")) {
            return Ok(rest.chars().take(10).collect());
        }
        let today = std::process::Command::new("date")
            .args(["-u", "+%F"])
            .output()?;
        Ok(String::from_utf8(today.stdout)?.trim().to_owned())
    }
}

fn show(before: &str, after: &str) -> Result<()> {
    let (old, new) = (models(before)?, models(after)?);
    let changes = changes(&old, &new);
    for change in changes.iter().take(MAX_LISTED) {
        note(change);
    }
    if changes.len() > MAX_LISTED {
        note(format!("… and {} more", changes.len() - MAX_LISTED));
    }
    let count = |sign: char| {
        let with = changes.iter().filter(|change| change.starts_with(sign));
        with.count()
    };
    note(format!(
        "{} models: {} added, {} removed, {} with a price up, {} down, {} changed otherwise",
        new.len(),
        count('+'),
        count('-'),
        count('↑'),
        count('↓'),
        count('~'),
    ));
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
