"""Validates events against the committed JSON Schemas, as a worker in another language would.

Reads a JSON array of events on stdin. Each is checked against `event.json`, and its payload against the
schema of its type; of a type without a schema only the envelope is checked. One line per failure; exit
code 1 if there is any, 2 if the input is not a JSON array. Needs the package `jsonschema`.

    python validate_events.py < events.json
"""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "crates" / "event-payloads" / "schemas"


def load_validators(folder):
    """The validator of every schema, by the stem of its file name."""
    validators = {}
    for path in sorted(folder.glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        validators[path.stem] = Draft202012Validator(schema)
    if "event" not in validators:
        sys.exit(f"no event.json in {folder}: run `cargo xtask schema`")
    return validators


def failures(event, validators):
    """Why this event does not pass, one sentence each."""
    for error in validators["event"].iter_errors(event):
        yield f"event{error.json_path[1:]}: {error.message}"
    if not isinstance(event, dict):
        return
    validator = validators.get(str(event.get("type", "")).lower())
    if validator is None or event["type"] == "EVENT":
        return
    for error in validator.iter_errors(event.get("payload", {})):
        yield f"payload{error.json_path[1:]}: {error.message}"


def main():
    validators = load_validators(SCHEMAS)
    try:
        events = json.load(sys.stdin)
    except ValueError as error:
        print(f"stdin is not JSON: {error}", file=sys.stderr)
        return 2
    if not isinstance(events, list):
        print("stdin is not a JSON array of events", file=sys.stderr)
        return 2

    failed = 0
    for position, event in enumerate(events):
        found = list(failures(event, validators))
        failed += bool(found)
        name = event.get("event_id", "?") if isinstance(event, dict) else "?"
        for failure in found:
            print(f"event {position} ({name}): {failure}")
    print(f"{len(events)} events, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
