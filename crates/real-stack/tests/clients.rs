//! The clients of other people: installed once, and each of them runs.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use std::process::Command;

use real_stack::Clients;

fn answer(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_clients_are_there_at_the_locked_versions() {
    let clients = Clients::ensure(|step| println!("{step}")).unwrap();

    let script = "import openai, pydantic_ai; print(openai.__version__, pydantic_ai.__name__)";
    let python = answer(Command::new(clients.python()).args(["-c", script]));
    assert_eq!(python.trim(), "3.57.0 pydantic_ai");

    let package = clients.node_modules().join("openai/package.json");
    let script =
        "console.log(require(process.argv[1]).version, parseInt(process.versions.node) >= 22)";
    let node = answer(
        Command::new(clients.node())
            .args(["-e", script])
            .arg(package),
    );
    assert_eq!(node.trim(), "7.57.0 true");

    // The second time nothing is done, so nothing is said.
    Clients::ensure(|step| assert!(step.contains("waiting"), "{step}")).unwrap();
}
