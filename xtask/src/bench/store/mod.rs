//! The event store: durable commits beside the raw database doing the same, and what ten million events
//! do to it.

mod appends;
mod fill;
mod growth;
mod raw_postgres;
mod raw_sqlite;
mod report;
mod rows;
mod table;
mod work;

use std::path::Path;

use anyhow::Result;
use real_stack::{Postgres, Servers};

use work::Load;

use crate::steps;

pub(super) use report::{Appends, Growth};
pub(super) use table::{write_appends, write_growth};

/// How many commit at once.
const WRITERS: [usize; 3] = [1, 16, 64];

fn loads() -> impl Iterator<Item = Load> {
    let with = |events_per_task, events_per_commit| {
        WRITERS.into_iter().map(move |writers| Load {
            writers,
            events_per_task,
            events_per_commit,
        })
    };
    with(Load::SHORT, 1)
        .chain(with(Load::ENDLESS, 1))
        .chain(with(Load::SHORT, Load::SHORT / 2))
}

/// Durable commits at each number of writers, with the raw database in turns.
pub(super) async fn appends(data: &Path, quick: bool) -> Result<Vec<Appends>> {
    let mut levels = Vec::new();
    for load in loads() {
        levels.push(appends::measure(data, load, quick).await?);
    }
    let mut server = start_postgres().await?;
    for load in loads() {
        levels.push(appends::on_postgres(&server, load, quick).await?);
    }
    server.stop().await?;
    Ok(levels)
}

/// The same questions to a store of each size.
pub(super) async fn growth(data: &Path, events: &[u64], quick: bool) -> Result<Vec<Growth>> {
    let mut sizes = Vec::new();
    for events in events {
        sizes.push(growth::on_sqlite(data, *events, quick).await?);
    }
    let mut server = start_postgres().await?;
    for events in events {
        sizes.push(growth::on_postgres(&server, *events, quick).await?);
    }
    server.stop().await?;
    Ok(sizes)
}

async fn start_postgres() -> Result<Postgres> {
    let ensure = || Servers::ensure(|line: &str| steps::note(line));
    let servers = tokio::task::spawn_blocking(ensure).await??;
    Ok(Postgres::start(&servers).await?)
}
