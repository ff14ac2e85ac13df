//! The proxy's configuration files, as data: pinned, on loopback, and without a key in them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where something is missing"
)]

use std::process::Command;

use real_stack::workspace_root;
use serde_json::{Value, json};

/// A YAML file as JSON, read by the parser that the proxy itself uses.
fn yaml(file: &str) -> Value {
    let python = std::env::var("OCTO_TEST_LITELLM_PYTHON").unwrap_or_else(|_| {
        panic!("OCTO_TEST_LITELLM_PYTHON is not set: run `cargo xtask test`, which sets it up")
    });
    let program =
        "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new(python)
        .args(["-c", program])
        .arg(workspace_root().join(file))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{file}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_container_is_pinned_on_loopback_and_has_its_keys_from_one_file() {
    let compose = yaml("docker-compose.litellm.yml");
    let proxy = &compose["services"]["litellm"];
    let locked =
        std::fs::read_to_string(workspace_root().join("crates/real-stack/locks/litellm.in"))
            .unwrap();
    let version = locked.rsplit_once("==").unwrap().1.trim();
    assert_eq!(
        proxy["image"],
        format!("ghcr.io/berriai/litellm:v{version}"),
        "the same as in the tests"
    );
    for port in proxy["ports"].as_array().unwrap() {
        assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port}");
    }
    assert_eq!(proxy["env_file"], json!([".env.litellm"]));
    for (name, value) in proxy["environment"].as_object().unwrap() {
        assert!(
            !name.ends_with("_API_KEY"),
            "{name} belongs into .env.litellm"
        );
        assert!(!value.as_str().unwrap().contains("sk-"), "{name}");
    }
    assert!(
        proxy["healthcheck"]["test"]
            .to_string()
            .contains("/health/liveliness")
    );
}

#[test]
fn both_proxy_configurations_serve_every_group_and_hold_no_key() {
    for file in ["config/litellm-config.yaml", "config/litellm-local.yaml"] {
        let config = yaml(file);
        let models = config["model_list"].as_array().unwrap();
        for group in ["cheap", "main", "fallback"] {
            assert!(
                models.iter().any(|model| model["model_name"] == group),
                "{file}: {group}"
            );
        }
        for model in models {
            let key = model["litellm_params"]["api_key"].as_str().unwrap();
            assert!(
                key.starts_with("os.environ/") || key == "not-needed",
                "{file}: {model}"
            );
        }
        assert_eq!(
            config["general_settings"]["master_key"],
            "os.environ/LITELLM_MASTER_KEY"
        );
    }
}
