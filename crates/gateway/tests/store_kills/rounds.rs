//! Kills, one data folder after the other.

use std::sync::Arc;
use std::time::Instant;

use crate::counts::Counts;
use crate::dice::Dice;
use crate::folder::Folder;
use crate::process::Place;
use crate::psql::Cluster;
use crate::store::Store;
use crate::upstream::Upstream;

/// What is to be done.
pub(crate) struct Plan {
    pub victim: Victim,
    pub kills: u64,
    pub seed: u64,
}

/// Who is killed.
#[derive(Clone, Debug)]
pub(crate) enum Victim {
    /// octo, with its books in one of the stores.
    Octo(Store),
    /// The database server under an octo that goes on.
    Server(Arc<Cluster>),
}

impl Victim {
    pub(crate) fn store(&self) -> Store {
        match self {
            Self::Octo(store) => store.clone(),
            Self::Server(cluster) => Store::Postgres(Arc::clone(cluster)),
        }
    }

    /// Kills of one data folder. Every round checks all of its books, so that they must not grow without end.
    const fn kills_a_folder(&self) -> u64 {
        match self {
            Self::Octo(_) => 20,
            Self::Server(_) => 10,
        }
    }
}

/// On a machine so busy that nobody is answered between two kills, it goes on up to so many times as long.
const LONGEST: u64 = 10;

/// Kills as often as planned, and until some work was done. Panics at the first folder whose books break a rule,
/// and keeps it.
pub(crate) async fn run(plan: &Plan) -> Counts {
    eprintln!("seed {} (the same choices again: --seed {0})", plan.seed);
    let mut dice = Dice::new(plan.seed);
    let upstream = Upstream::start().await;
    let mut counts = Counts::default();
    let start = Instant::now();
    while counts.kills < plan.kills || (!counts.show_work() && counts.kills < LONGEST * plan.kills)
    {
        let left = plan.kills.saturating_sub(counts.kills);
        let left = if left > 0 { left } else { plan.kills };
        let kills = plan.victim.kills_a_folder().min(left);
        let place = Place::new(plan.victim.store().fresh(), upstream.url());
        let folder = Folder::new(place, plan.victim.clone(), dice.fork(), kills);
        folder.run(&mut counts).await;
        eprintln!(
            "{:>4} s: {} of {} kills, {} checks of the books, no rule broken",
            start.elapsed().as_secs(),
            counts.kills,
            plan.kills,
            counts.checks
        );
    }
    eprintln!("{counts}; no rule broken");
    counts
}
