//! `cargo xtask bench` gives a complete report. No figure decides anything here.

#![expect(clippy::unwrap_used, reason = "a helper of tests")]

use std::process::Command;

use serde_json::Value;

/// Numbers above zero at these places of a value.
fn assert_measured(value: &Value, places: &[&str]) {
    for place in places {
        let number = value.pointer(place).and_then(Value::as_f64);
        assert!(
            number.is_some_and(|number| number > 0.0),
            "{place} in {value:#}"
        );
    }
}

fn list<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report[name].as_array().unwrap()
}

/// The figures and the table of one part.
fn quick_run_without_proxy(part: &str) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["bench", "--quick", "--without-proxy", "--debug-build"])
        .args(["--only", part, "--json"])
        .arg(&path)
        .output()
        .unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{table}\n{progress}");
    let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(report.get("clean"), Some(&Value::Bool(true)), "{report:#}");
    (report, table.into_owned())
}

#[test]
fn a_quick_run_of_calls_without_the_proxy_reports_everything_else() {
    let (report, table) = quick_run_without_proxy("calls");
    assert_eq!(report["streams"], Value::Null);
    assert_eq!(report["prices"], Value::Null);
    assert_eq!(report["versions"]["litellm"], Value::Null);
    assert_measured(
        &report,
        &[
            "/machine/cores",
            "/disk/appends/p50_us",
            "/disk/overwrites/syncs",
            "/duration_s",
        ],
    );

    let client = list(&report, "client");
    assert_eq!(client.len(), 2);
    for level in client {
        assert_measured(
            level,
            &["/in_flight", "/bare/p50_us", "/provider_litellm/p99_us"],
        );
        assert!(level["added_p50_us"].is_number());
        assert!(level["added_p99_us"].is_number());
    }

    let gateway = list(&report, "gateway");
    let connections: Vec<u64> = gateway
        .iter()
        .map(|level| level["connections"].as_u64().unwrap())
        .collect();
    assert_eq!(connections, [1, 16, 64]);
    for level in gateway {
        let targets = list(level, "targets");
        assert_eq!(targets.len(), 3, "the upstream, octo, octo that logs");
        for target in targets {
            let places = [
                "/figures/requests_per_s",
                "/figures/p50_us",
                "/figures/p99_us",
            ];
            assert_measured(target, &places);
            assert_eq!(target["figures"]["errors"], 0, "{target:#}");
        }
    }

    let commits = list(&report, "commits");
    assert_eq!(commits.len(), 3);
    for level in commits {
        assert_measured(level, &["/transactions", "/commits_per_transaction"]);
    }
    for process in list(&report, "memory") {
        assert_measured(process, &["/processes", "/rss_kib", "/peak_kib"]);
    }
    for books in list(&report, "recorded") {
        assert_eq!(books["answered"], books["calls_in_the_books"], "{books:#}");
        assert_eq!(books["open_calls"], 0);
    }
    assert!(table.contains("WITHOUT THE LITELLM PROXY"), "{table}");
}

#[test]
fn a_quick_run_of_streams_without_the_proxy_reports_them() {
    let (report, table) = quick_run_without_proxy("streams");
    assert_eq!(list(&report, "gateway").len(), 0);

    let levels = list(&report["streams"], "levels");
    assert_eq!(levels.len(), 3);
    for level in levels {
        let ways = list(level, "ways");
        assert_eq!(ways.len(), 2, "the upstream, octo");
        for way in ways {
            let places = [
                "/paced/first_token/p50_us",
                "/paced/chunk/p99_us",
                "/fast/streams_per_s",
                "/fast/chunks_per_s",
            ];
            assert_measured(way, &places);
        }
        assert!(ways[1]["added"]["first_token_p50_us"].is_number());
    }
    let memory = list(&report["streams"], "memory");
    assert_eq!(memory.len(), 1);
    assert_measured(&memory[0], &["/streams", "/before_kib", "/open_kib"]);

    let books = &list(&report, "recorded")[0];
    assert_measured(books, &["/answered", "/hung_up"]);
    assert!(table.contains("(aim: 300 at most)"), "{table}");
}

#[test]
fn a_quick_run_of_prices_without_the_proxy_reports_the_price_book() {
    let (report, _table) = quick_run_without_proxy("prices");
    assert_measured(
        &report,
        &["/prices/load_ms", "/prices/price_ns", "/prices/memory_kib"],
    );
    assert_eq!(report["streams"], Value::Null);
    assert_eq!(list(&report, "gateway").len(), 0);
}
