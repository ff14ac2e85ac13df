//! The figures for eyes.

use std::fmt::{Result, Write as _};

use super::report::{Appends, Growth, Rate};

pub(in crate::bench) fn write_appends(text: &mut String, levels: &[Appends]) -> Result {
    writeln!(
        text,
        "\nEvents recorded durably, beside the database by itself writing the same rows"
    )?;
    writeln!(
        text,
        "{:<10} {:>7} {:>7} {:>8} {:>24} {:>24} {:>24} {:>24} {:>7} {:>7} {:>7}",
        "",
        "writers",
        "a task",
        "a commit",
        "store /s (p50, p99 ms)",
        "raw, same batches",
        "raw, one by one",
        "raw, each its own",
        "of same",
        "of one",
        "of own"
    )?;
    for level in levels {
        let times = |raw: &Rate| format!("{:.1}x", level.store.per_s / raw.per_s);
        writeln!(
            text,
            "{:<10} {:>7} {:>7} {:>8} {:>24} {:>24} {:>24} {:>24} {:>6.0}% {:>7} {:>7}",
            level.database,
            level.writers,
            level
                .events_per_task
                .map_or_else(|| "all".to_owned(), |events| events.to_string()),
            level.events_per_commit,
            rate(&level.store),
            rate(&level.raw_same_batches),
            rate(&level.raw_one_by_one),
            rate(&level.raw_connections),
            100.0 * level.store.per_s / level.raw_same_batches.per_s,
            times(&level.raw_one_by_one),
            times(&level.raw_connections),
        )?;
    }
    writeln!(
        text,
        "a task: events before a writer goes on with a new task; raw: the database by itself with the same rows; same batches: one connection, what all writers commit at once a transaction; one by \
         one: one connection, an event a transaction; each its own: a connection a writer, an event a transaction"
    )?;
    Ok(())
}

fn rate(rate: &Rate) -> String {
    format!(
        "{:.0} ({:.2}, {:.2})",
        rate.per_s,
        rate.p50_us / 1_000.0,
        rate.p99_us / 1_000.0
    )
}

pub(in crate::bench) fn write_growth(text: &mut String, sizes: &[Growth]) -> Result {
    for sizes in sizes.chunk_by(|a, b| a.database == b.database) {
        write_sizes(text, sizes)?;
    }
    Ok(())
}

/// A store in its sizes.
fn write_sizes(text: &mut String, sizes: &[Growth]) -> Result {
    let Some(first) = sizes.first() else {
        return Ok(());
    };
    writeln!(text, "\nOne store, growing: p50 (slowest) in ms")?;
    write!(text, "{:<54}", first.database)?;
    for size in sizes {
        write!(text, "{:>22}", format!("{} events", size.events))?;
    }
    let row = |text: &mut String, name: &str, cell: &dyn Fn(&Growth) -> String| {
        write!(text, "\n{name:<54}")?;
        sizes
            .iter()
            .try_for_each(|size| write!(text, "{:>22}", cell(size)))
    };
    row(text, "size of the database, MB", &|size| {
        (size.bytes / 1_000_000).to_string()
    })?;
    row(text, "filled at, events/s", &|size| {
        format!("{:.0}", size.fill_events_per_s)
    })?;
    row(text, "open", &|size| format!("{:.1}", size.open_ms))?;
    for (index, question) in first.questions.iter().enumerate() {
        row(text, &question.what, &|size| {
            let Some(question) = size.questions.get(index) else {
                return String::new();
            };
            format!("{:.2} ({:.2})", question.p50_ms, question.max_ms)
        })?;
    }
    writeln!(text)
}
