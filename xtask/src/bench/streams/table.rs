//! The figures of streams for eyes.

use std::fmt::Write as _;

use super::report::{StreamLevel, StreamWay, Streams};
use crate::bench::table::digits;

pub(in crate::bench) fn write_all(text: &mut String, streams: &Streams) -> std::fmt::Result {
    writeln!(
        text,
        "\nStreams: so many at once; chunks of 250 bytes at their own pace, then as fast as they come"
    )?;
    writeln!(
        text,
        "{:>7} {:<26}{:>12}{:>10}{:>12}{:>10}{:>11}{:>11}{:>7}",
        "streams",
        "",
        "1st p50 µs",
        "p99 µs",
        "chunk p50",
        "p99 µs",
        "streams/s",
        "chunks/s",
        "errors"
    )?;
    for level in &streams.levels {
        for way in &level.ways {
            row(text, level, way)?;
        }
        for way in &level.ways {
            added(text, streams, level, way)?;
        }
        writeln!(text)?;
    }
    memory(text, streams)
}

fn row(text: &mut String, level: &StreamLevel, way: &StreamWay) -> std::fmt::Result {
    let (paced, fast) = (&way.paced, &way.fast);
    write!(
        text,
        "{:>7} {:<26}{:>12}{:>10}{:>12}{:>10}{:>11}{:>11}{:>7}",
        level.streams,
        way.way,
        digits(paced.first_token.p50_us),
        digits(paced.first_token.p99_us),
        digits(paced.chunk.p50_us),
        digits(paced.chunk.p99_us),
        digits(fast.streams_per_s),
        digits(fast.chunks_per_s),
        paced.errors + fast.errors,
    )?;
    match paced.first_error.as_ref().or(fast.first_error.as_ref()) {
        Some(error) => writeln!(text, "  first error: {error}"),
        None => writeln!(text),
    }
}

fn added(
    text: &mut String,
    streams: &Streams,
    level: &StreamLevel,
    way: &StreamWay,
) -> std::fmt::Result {
    let Some(added) = way.added.filter(|_| way.paced.streams > 0) else {
        return Ok(());
    };
    let aims = streams.aims;
    let has_aim = level.streams == aims.streams && way.way.starts_with("octo");
    let aim = if has_aim {
        format!(" (aim: {:.0} at most)", aims.added_first_token_p50_us)
    } else {
        String::new()
    };
    writeln!(
        text,
        "{:>7} added by {}: first token p50 {:+.0} µs{aim}, chunk p50 {:+.0} µs",
        level.streams,
        way.way.split(" →").next().unwrap_or_default(),
        added.first_token_p50_us,
        added.chunk_p50_us,
    )
}

fn memory(text: &mut String, streams: &Streams) -> std::fmt::Result {
    writeln!(text, "Memory of a stream that is open and silent")?;
    for each in &streams.memory {
        let kb = each.stream_kb.map_or_else(|| "-".to_owned(), digits);
        write!(
            text,
            "{:<28}{kb:>7} kB, {} streams, RSS {} → {} KiB",
            each.process, each.streams, each.before_kib, each.open_kib
        )?;
        if each.process.starts_with("octo") {
            write!(
                text,
                " (aim: {:.0} kB at most)",
                streams.aims.idle_stream_kb
            )?;
        }
        match &each.error {
            Some(error) => writeln!(text, "  first error: {error}")?,
            None => writeln!(text)?,
        }
    }
    Ok(())
}
