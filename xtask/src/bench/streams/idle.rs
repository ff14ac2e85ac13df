//! What an open stream takes in memory while nothing comes.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::load::Load;
use super::report::IdleMemory;
use super::script::Script;
use super::way::Way;
use crate::bench::load::float;
use crate::bench::system;

/// A first chunk, and then nothing for far longer than this looks.
const SILENT: Script = Script {
    chunks: 2,
    first_ms: 0,
    between_ms: 600_000,
};

/// What a process does once and keeps is not part of a stream, nor are the pages of its database that it
/// keeps at hand: many calls go before, a few at a time.
const WARM_UP: Load = Load {
    clients: 8,
    script: Script {
        chunks: 1,
        first_ms: 0,
        between_ms: 0,
    },
    length: Duration::from_millis(1500),
};

/// For the process to come to rest.
const REST: Duration = Duration::from_millis(500);

/// On a process that has held few streams so far.
pub(super) async fn measure(way: &mut Way, streams: usize) -> Result<IdleMemory> {
    way.round(WARM_UP).await?;
    sleep(REST).await;
    let before_kib = system::memory(&way.name, way.process)?.rss_kib;
    let (open, error) = way.open(streams, SILENT).await?;
    sleep(REST).await;
    let open_kib = system::memory(&way.name, way.process)?.rss_kib;
    let added_kb = float(open_kib.saturating_sub(before_kib)) * 1.024;
    let opened = u64::try_from(open.len())?;
    drop(open);
    sleep(REST).await;
    Ok(IdleMemory {
        process: way.name.clone(),
        streams: usize::try_from(opened)?,
        before_kib,
        open_kib,
        stream_kb: (opened > 0).then(|| added_kb / float(opened)),
        error: error.map(|error| format!("{error:#}")),
    })
}
