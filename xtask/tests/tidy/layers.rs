//! Dependencies point down only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Which crates of the workspace each may be built from: the table of the architecture, one line a crate.
const LAYERS: [(&str, &[&str]); 13] = [
    ("event-payloads", &[]),
    ("sse-reader", &[]),
    ("provider-core", &["event-payloads"]),
    ("alias-registry", &["event-payloads"]),
    ("cost-tracker", &["event-payloads"]),
    ("provider-echo", &["provider-core", "event-payloads"]),
    (
        "provider-litellm",
        &[
            "provider-core",
            "cost-tracker",
            "event-payloads",
            "sse-reader",
        ],
    ),
    ("event-store", &["event-payloads"]),
    ("event-relay", &["event-payloads", "event-store"]),
    ("provider-service", &PROVIDER_PLANE),
    ("gateway", &BELOW_GATEWAY),
    ("real-stack", &[]),
    ("xtask", &TASKS),
];

const PROVIDER_PLANE: [&str; 7] = [
    "event-payloads",
    "provider-core",
    "alias-registry",
    "cost-tracker",
    "provider-echo",
    "provider-litellm",
    "event-store",
];
const BELOW_GATEWAY: [&str; 10] = [
    "event-payloads",
    "provider-core",
    "alias-registry",
    "cost-tracker",
    "provider-echo",
    "provider-litellm",
    "event-store",
    "event-relay",
    "provider-service",
    "sse-reader",
];

/// Schemas, the real parts, and what `cargo xtask bench` measures by itself.
const TASKS: [&str; 8] = [
    "event-payloads",
    "event-relay",
    "real-stack",
    "cost-tracker",
    "event-store",
    "provider-core",
    "provider-litellm",
    "sse-reader",
];

/// What a worker must not be made to build: a runtime, an HTTP stack, a database.
const NOT_FOR_WORKERS: [&str; 12] = [
    "async-trait",
    "axum",
    "futures-util",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "reqwest",
    "rusqlite",
    "rustls",
    "sqlx",
    "tokio",
    "tower",
];

/// For the machine that this runs on: elsewhere, above all on wasm, other crates take the place of ours.
fn metadata() -> Value {
    let compiler = super::output_of("rustc", &["-vV"]);
    let host = compiler
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let arguments = [
        "metadata",
        "--format-version=1",
        "--offline",
        "--locked",
        "--filter-platform",
        host,
    ];
    let text = super::output_of(env!("CARGO"), &arguments);
    serde_json::from_str(&text).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

/// The crates of the workspace, with what each is built from inside it.
fn members(metadata: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let packages = list(&metadata["packages"]).filter(|package| package["source"].is_null());
    packages
        .map(|package| {
            let inside = list(&package["dependencies"]).filter(|dependency| {
                // `null` is a normal dependency; a path is one inside the workspace.
                dependency["kind"].as_str() != Some("dev") && !dependency["path"].is_null()
            });
            (
                text(&package["name"]),
                inside.map(|dependency| text(&dependency["name"])).collect(),
            )
        })
        .collect()
}

#[test]
fn dependencies_between_the_crates_point_down_only() {
    let metadata = metadata();
    let members = members(&metadata);
    let allowed = BTreeMap::from(LAYERS);
    let known: BTreeSet<_> = allowed.keys().collect();
    assert_eq!(
        members.keys().collect::<BTreeSet<_>>(),
        known,
        "a crate without a place in the layers"
    );
    for (name, used) in members {
        let may = BTreeSet::from_iter(allowed[name].iter().copied());
        let beyond: Vec<_> = used.difference(&may).collect();
        assert!(beyond.is_empty(), "{name} must not depend on {beyond:?}");
    }
}

#[test]
fn a_worker_that_reads_events_builds_no_runtime_no_http_and_no_database() {
    let metadata = metadata();
    let names: BTreeMap<_, _> = list(&metadata["packages"])
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let normal: BTreeMap<_, Vec<_>> = list(&metadata["resolve"]["nodes"])
        .map(|node| {
            let normal = list(&node["deps"]).filter(|dependency| {
                list(&dependency["dep_kinds"]).any(|kind| kind["kind"].as_str() != Some("dev"))
            });
            (
                text(&node["id"]),
                normal.map(|dependency| text(&dependency["pkg"])).collect(),
            )
        })
        .collect();

    let start = names
        .iter()
        .find(|(_, name)| **name == "event-payloads")
        .unwrap()
        .0;
    // The example worker could use what the tests of the crate use: that counts too.
    let example = list(&metadata["resolve"]["nodes"])
        .find(|node| text(&node["id"]) == *start)
        .unwrap();
    let mut open: Vec<_> = list(&example["deps"])
        .map(|dependency| text(&dependency["pkg"]))
        .chain([*start])
        .collect();
    let mut tree = BTreeSet::new();
    while let Some(id) = open.pop() {
        if tree.insert(names[id]) {
            open.extend(&normal[id]);
        }
    }
    assert!(
        tree.contains("serde"),
        "the tree was not followed: {tree:?}"
    );
    let unwanted: Vec<_> = NOT_FOR_WORKERS
        .iter()
        .filter(|name| tree.contains(*name))
        .collect();
    assert!(unwanted.is_empty(), "event-payloads brings {unwanted:?}");
}
