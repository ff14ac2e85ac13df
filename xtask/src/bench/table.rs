//! The report for eyes.

use std::fmt::Write as _;

use super::report::{ClientLevel, CommitLevel, Figures, GatewayLevel, Memory, Prices, Report};
use super::{store, streams};

/// The whole report as plain text.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a `String` can not fail.
    let _infallible = write_all(&mut text, report);
    text
}

fn write_all(text: &mut String, report: &Report) -> std::fmt::Result {
    head(text, report)?;
    if let Some(measured) = &report.prices {
        prices(text, measured)?;
    }
    if report.has_calls() {
        client(text, &report.client)?;
        gateway(text, &report.gateway)?;
        commits(text, &report.commits)?;
        memory(text, &report.memory)?;
    }
    if let Some(streams) = &report.streams {
        streams::write_all(text, streams)?;
    }
    if !report.appends.is_empty() {
        store::write_appends(text, &report.appends)?;
    }
    store::write_growth(text, &report.growth)?;
    writeln!(text, "\nBooks against answers")?;
    for each in &report.recorded {
        writeln!(
            text,
            "{:<28} {} answered, {} left by their callers, {} failed, {} in the books, {} of them open",
            each.process,
            each.answered,
            each.hung_up,
            each.failed,
            each.calls_in_the_books,
            each.open_calls
        )?;
    }
    writeln!(text, "\nNotes")?;
    for note in &report.notes {
        writeln!(text, "- {note}")?;
    }
    if !report.clean {
        writeln!(
            text,
            "\nNOT CLEAN: calls failed or are missing in the books, see above"
        )?;
    }
    writeln!(text, "\n{:.0} s in all", report.duration_s)
}

fn head(text: &mut String, report: &Report) -> std::fmt::Result {
    let (machine, versions, plan) = (&report.machine, &report.versions, &report.plan);
    writeln!(
        text,
        "{}, {} cores, {} MiB, Linux {}, load before {}",
        machine.cpu,
        machine.cores,
        machine.memory_kib.map_or_else(|| "?".to_owned(), mib),
        machine.kernel,
        machine.load_before.as_deref().unwrap_or("?"),
    )?;
    writeln!(
        text,
        "{} ({}), {}, LiteLLM Proxy {}",
        versions.octo,
        versions.profile,
        versions.rustc,
        versions.litellm.as_deref().unwrap_or("left out"),
    )?;
    writeln!(
        text,
        "client: {} rounds of {} s; gateway: {} rounds of {} s, in turns; request {} bytes, answer {} bytes",
        plan.client_rounds,
        plan.client_round_s,
        plan.gateway_rounds,
        plan.gateway_round_s,
        plan.request_bytes,
        plan.answer_bytes,
    )?;
    let disk = &report.disk;
    for (what, syncs) in [("append", &disk.appends), ("overwrite", &disk.overwrites)] {
        writeln!(
            text,
            "disk ({}): {what} {} bytes and fdatasync, {} times: p50 {} µs, p99 {} µs",
            disk.file_system,
            disk.block_bytes,
            syncs.syncs,
            digits(syncs.p50_us),
            digits(syncs.p99_us),
        )?;
    }
    Ok(())
}

/// The part about the price book.
fn prices(text: &mut String, prices: &Prices) -> std::fmt::Result {
    let theirs = prices.litellm_completion_cost_us;
    writeln!(
        text,
        "\nPrice book: {} entries, loaded in {:.1} ms, {} MiB",
        prices.entries,
        prices.load_ms,
        mib(prices.memory_kib)
    )?;
    writeln!(
        text,
        "pricing one usage ({} models): {:.0} ns; LiteLLM's completion_cost: {}",
        prices.models,
        prices.price_ns,
        theirs.map_or_else(|| "left out".to_owned(), |us| format!("{us:.1} µs")),
    )
}

fn client(text: &mut String, levels: &[ClientLevel]) -> std::fmt::Result {
    writeln!(
        text,
        "\nTime added by provider-litellm over a bare hyper client (same upstream)"
    )?;
    columns(text, "cpu µs/call")?;
    for level in levels {
        let rows = [
            ("bare hyper client", &level.bare, level.bare_cpu_us_per_call),
            (
                "provider-litellm",
                &level.provider_litellm,
                level.provider_litellm_cpu_us_per_call,
            ),
        ];
        for (name, figures, cpu_us) in rows {
            row(text, level.in_flight, name, figures, Some(cpu_us))?;
            writeln!(text)?;
        }
        let [least, most] = level.added_p50_us_of_rounds;
        writeln!(
            text,
            "{:>5} {:<28} p50 {:+.1} µs (rounds {least:+.1} … {most:+.1}), p99 {:+.1} µs",
            level.in_flight, "added", level.added_p50_us, level.added_p99_us
        )?;
    }
    Ok(())
}

fn gateway(text: &mut String, levels: &[GatewayLevel]) -> std::fmt::Result {
    writeln!(
        text,
        "\nGateway: POST /v1/chat/completions, kept-alive connections, a call in flight on each"
    )?;
    columns(text, "cpu µs/call  commits/s")?;
    for level in levels {
        for target in &level.targets {
            let cpu_us = target.server_cpu_us_per_call;
            row(
                text,
                level.connections,
                &target.target,
                &target.figures,
                cpu_us,
            )?;
            let commits = target
                .durable_commits_per_s
                .map_or_else(|| "-".to_owned(), digits);
            writeln!(text, "{commits:>11}")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn commits(text: &mut String, levels: &[CommitLevel]) -> std::fmt::Result {
    writeln!(text, "Commits of octo (apart, with its trace log on)")?;
    writeln!(
        text,
        "{:>5} {:>10}{:>16}{:>12}{:>16}",
        "conns", "req/s", "transactions/s", "commits", "commits/trans."
    )?;
    for level in levels {
        writeln!(
            text,
            "{:>5} {:>10}{:>16}{:>12}{:>16.2}",
            level.connections,
            digits(level.figures.requests_per_s),
            digits(level.transactions_per_s),
            level.commits,
            level.commits_per_transaction,
        )?;
    }
    Ok(())
}

fn memory(text: &mut String, processes: &[Memory]) -> std::fmt::Result {
    writeln!(text, "\nMemory after the load (a process and its children)")?;
    writeln!(
        text,
        "{:<28}{:>10}{:>12}{:>12}",
        "", "processes", "RSS MiB", "peak MiB"
    )?;
    for each in processes {
        let (rss, peak) = (mib(each.rss_kib), mib(each.peak_kib));
        writeln!(
            text,
            "{:<28}{:>10}{rss:>12}{peak:>12}",
            each.process, each.processes
        )?;
    }
    Ok(())
}

fn columns(text: &mut String, last: &str) -> std::fmt::Result {
    writeln!(
        text,
        "{:>5} {:<28}{:>9}{:>10}{:>17}{:>10}{:>10}{:>10}{:>7}  {last}",
        "conns", "", "calls", "req/s", "(of rounds)", "p50 µs", "p99 µs", "max µs", "errors"
    )
}

/// Without the end of the line.
fn row(
    text: &mut String,
    conns: usize,
    name: &str,
    figures: &Figures,
    cpu_us: Option<f64>,
) -> std::fmt::Result {
    let [slowest, fastest] = figures.round_requests_per_s;
    write!(
        text,
        "{conns:>5} {name:<28}{:>9}{:>10}{:>17}{:>10}{:>10}{:>10}{:>7}  {:>11}",
        figures.calls,
        digits(figures.requests_per_s),
        format!("{slowest:.0} … {fastest:.0}"),
        digits(figures.p50_us),
        digits(figures.p99_us),
        digits(figures.max_us),
        figures.errors,
        cpu_us.map_or_else(|| "-".to_owned(), digits),
    )?;
    match &figures.first_error {
        Some(error) => write!(text, "  first error: {error} "),
        None => Ok(()),
    }
}

/// Three digits and more: what is behind them is noise.
pub(super) fn digits(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn mib(kib: u64) -> String {
    format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024)
}
