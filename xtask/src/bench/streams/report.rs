//! The figures of streams. Every field says its unit.

use serde::Serialize;

/// What the project aims at. Nothing is decided by it: timings differ from machine to machine.
pub(in crate::bench) const AIMS: Aims = Aims {
    streams: 64,
    added_first_token_p50_us: 300.0,
    idle_stream_kb: 30.0,
};

#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::bench) struct Aims {
    /// Streams at once for the first.
    pub(in crate::bench) streams: usize,
    /// Added by `octo` to the median time to the first token, at most.
    pub(in crate::bench) added_first_token_p50_us: f64,
    /// Memory of `octo` for each open stream, at most, in kB (1000 bytes).
    pub(in crate::bench) idle_stream_kb: f64,
}

/// The stand-in upstream by itself, behind `octo`, behind the proxy.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct Streams {
    pub(in crate::bench) aims: Aims,
    pub(in crate::bench) levels: Vec<StreamLevel>,
    pub(in crate::bench) memory: Vec<IdleMemory>,
}

#[derive(Debug, Serialize)]
pub(in crate::bench) struct StreamLevel {
    /// Streams open at once.
    pub(in crate::bench) streams: usize,
    /// Of a stream that comes at its own pace, and the time between two of them.
    pub(in crate::bench) paced_chunks: u32,
    pub(in crate::bench) paced_ms: u32,
    /// Of a stream that comes as fast as it can.
    pub(in crate::bench) fast_chunks: u32,
    pub(in crate::bench) ways: Vec<StreamWay>,
}

/// One way to the stand-in upstream, under one load.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct StreamWay {
    pub(in crate::bench) way: String,
    /// Chunks at their own pace: how long each takes.
    pub(in crate::bench) paced: StreamFigures,
    /// Chunks as fast as they come: how many get through.
    pub(in crate::bench) fast: StreamFigures,
    /// Medians of `paced` over those of the stand-in by itself; absent for itself.
    pub(in crate::bench) added: Option<Added>,
}

#[derive(Clone, Debug, Serialize)]
pub(in crate::bench) struct StreamFigures {
    pub(in crate::bench) streams: u64,
    pub(in crate::bench) chunks: u64,
    pub(in crate::bench) errors: u64,
    pub(in crate::bench) first_error: Option<String>,
    pub(in crate::bench) seconds: f64,
    pub(in crate::bench) streams_per_s: f64,
    pub(in crate::bench) chunks_per_s: f64,
    /// From sending the request to the first chunk with text.
    pub(in crate::bench) first_token: Latency,
    /// From the stand-in's writing of a chunk to its arrival at the client.
    pub(in crate::bench) chunk: Latency,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::bench) struct Latency {
    pub(in crate::bench) p50_us: f64,
    pub(in crate::bench) p99_us: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::bench) struct Added {
    pub(in crate::bench) first_token_p50_us: f64,
    pub(in crate::bench) chunk_p50_us: f64,
}

/// What a process takes for streams that are open and silent.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct IdleMemory {
    pub(in crate::bench) process: String,
    pub(in crate::bench) streams: usize,
    pub(in crate::bench) before_kib: u64,
    pub(in crate::bench) open_kib: u64,
    /// In kB (1000 bytes); absent if no stream could be opened.
    pub(in crate::bench) stream_kb: Option<f64>,
    /// Absent if all could be opened.
    pub(in crate::bench) error: Option<String>,
}

impl Streams {
    /// Streams that failed, and open ones that did not begin, in words.
    pub(super) fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        for level in &self.levels {
            for way in &level.ways {
                let failed = way.paced.errors + way.fast.errors;
                if failed > 0 {
                    let (name, streams) = (&way.way, level.streams);
                    errors.push(format!(
                        "ERRORS: {name} failed {failed} streams, with {streams} at once"
                    ));
                }
            }
        }
        for each in self.memory.iter().filter(|each| each.error.is_some()) {
            let name = &each.process;
            errors.push(format!("ERRORS: {name} did not open all silent streams"));
        }
        errors
    }
}
