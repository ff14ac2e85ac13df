//! Streamed answers: the stand-in upstream by itself, behind `octo`, and behind the LiteLLM Proxy.
//!
//! These are processes of their own, apart from those of the other sections: the memory of an open stream
//! is measured on a process that has held none.

mod cast;
mod idle;
mod load;
mod report;
mod script;
pub(super) mod stamp;
mod table;
mod way;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use cast::Cast;
use load::Load;
pub(super) use report::Streams;
use report::{AIMS, Added, StreamFigures, StreamLevel, StreamWay};
pub(super) use script::Script;
pub(super) use table::write_all;
use way::Way;

use super::build::Built;
use super::proxy;
use super::report::Recorded;
use crate::steps;

/// Open files of a process that holds all streams of a run, with both of its sides and room to spare.
const OPEN_FILES: u64 = 4096;

/// What is measured, and for how long.
struct Plan {
    levels: Vec<Level>,
    idle_streams: usize,
}

/// One number of streams at once.
struct Level {
    streams: usize,
    paced: Load,
    fast: Load,
}

impl Plan {
    fn new(quick: bool) -> Self {
        if quick {
            let paced = Script::paced(3, 20);
            return Self {
                levels: [1, 16, 64]
                    .map(|streams| Level::new(streams, paced, 40, Script::fast(10), 50))
                    .into(),
                idle_streams: 32,
            };
        }
        Self {
            levels: vec![
                Level::new(1, Script::paced(20, 5), 1000, Script::fast(100), 500),
                // At such distances the proxy can about keep up on half a machine.
                Level::new(64, Script::paced(25, 100), 2400, Script::fast(50), 500),
                Level::new(512, Script::paced(8, 250), 1750, Script::fast(10), 500),
            ],
            idle_streams: 512,
        }
    }
}

impl Level {
    fn new(streams: usize, paced: Script, paced_ms: u64, fast: Script, fast_ms: u64) -> Self {
        let load = |script, ms| Load {
            clients: streams,
            script,
            length: Duration::from_millis(ms),
        };
        Self {
            streams,
            paced: load(paced, paced_ms),
            fast: load(fast, fast_ms),
        }
    }
}

/// What was measured. Empty where this part was left out.
#[derive(Default)]
pub(super) struct Streamed {
    pub(super) streams: Option<Streams>,
    pub(super) recorded: Option<Recorded>,
    /// Which version the proxy is, if there was one.
    pub(super) litellm: Option<String>,
    /// Failed streams, in words.
    pub(super) errors: Vec<String>,
}

/// Starts what is measured, measures it, and ends it.
pub(super) async fn measure(
    built: &Built,
    data: &Path,
    with_proxy: bool,
    quick: bool,
) -> Result<Streamed> {
    allow_open_files()?;
    let cast = Cast::start(built, data, with_proxy).await?;
    let litellm = match cast.litellm() {
        Some(proxy) => proxy::version(proxy).await?,
        None => None,
    };
    let (streams, recorded) = Box::pin(measure_all(&cast, &Plan::new(quick))).await?;
    cast.stop().await?;
    Ok(Streamed {
        errors: streams.errors(),
        streams: Some(streams),
        recorded: Some(recorded),
        litellm,
    })
}

/// The files that this process and those that it starts may open.
fn allow_open_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < OPEN_FILES) {
        let most = limit.maximum.unwrap_or(OPEN_FILES);
        let raised = Rlimit {
            current: Some(most.min(OPEN_FILES)),
            ..limit
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(())
}

async fn measure_all(cast: &Cast, plan: &Plan) -> Result<(Streams, Recorded)> {
    let (mut direct, mut octo, mut proxy) = (cast.direct()?, cast.octo()?, cast.proxy()?);
    let mut memory = Vec::new();
    for way in [Some(&mut octo), proxy.as_mut()].into_iter().flatten() {
        let name = format!("memory of {} open streams: {}", plan.idle_streams, way.name);
        let step = steps::Step::begin(&name);
        let measured = idle::measure(way, plan.idle_streams).await;
        step.end(&measured);
        memory.push(measured?);
    }
    let mut levels = Vec::new();
    for level in &plan.levels {
        let name = format!("streams at once: {}", level.streams);
        let step = steps::Step::begin(&name);
        let behind = [Some(&mut octo), proxy.as_mut()];
        let measured = level.measure(&mut direct, behind.into_iter().flatten());
        let measured = Box::pin(measured).await;
        step.end(&measured);
        levels.push(measured?);
    }
    let streams = Streams {
        aims: AIMS,
        levels,
        memory,
    };
    Ok((streams, octo.books().await?))
}

impl Level {
    /// All ways in turns.
    async fn measure<'a>(
        &self,
        direct: &mut Way,
        behind: impl Iterator<Item = &'a mut Way>,
    ) -> Result<StreamLevel> {
        let itself = self.of_way(direct, None).await?;
        let mut ways = Vec::new();
        for way in behind {
            ways.push(self.of_way(way, Some(&itself.paced)).await?);
        }
        ways.insert(0, itself);
        Ok(StreamLevel {
            streams: self.streams,
            paced_chunks: self.paced.script.chunks,
            paced_ms: self.paced.script.between_ms,
            fast_chunks: self.fast.script.chunks,
            ways,
        })
    }

    /// First as fast as it can, which also opens the connections behind the way.
    async fn of_way(&self, way: &mut Way, direct: Option<&StreamFigures>) -> Result<StreamWay> {
        let fast = way.round(self.fast).await?;
        let paced = way.round(self.paced).await?;
        let added = direct.map(|direct| Added {
            first_token_p50_us: paced.first_token.p50_us - direct.first_token.p50_us,
            chunk_p50_us: paced.chunk.p50_us - direct.chunk.p50_us,
        });
        Ok(StreamWay {
            way: way.name.clone(),
            paced,
            fast,
            added,
        })
    }
}
