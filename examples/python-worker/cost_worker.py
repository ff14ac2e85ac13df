"""A worker that totals what model calls cost, by alias and by day, from the event log of octo.

It needs Python's standard library and the JSON Schemas of the events, nothing else of ours. The schemas say
which fields an old event may lack and what they count as; if the package `jsonschema` is installed, every
event is checked against them before it is counted.

The log comes as Server-Sent Events. The id of an event is its cursor: it is kept in a small SQLite file, in
the same transaction as the sums, and sent back as `Last-Event-ID`. Killed at any moment, the worker goes on
from there: an event may come twice, and is counted once. Of a task whose events were removed
(`octo store prune`) the log keeps the sums: they take the place of what the worker saw of it, all or a part.

    python cost_worker.py --state costs.db

`--url` says where the gateway is, `--show` prints the sums and ends, OCTO_GATEWAY_KEY is the gateway's key if
it has one. Exit code 1 if the worker can not go on: the log is another, an event does not fit its schema.
"""

import argparse
import http.client
import json
import os
import pathlib
import queue
import sqlite3
import sys
import threading
import time
import urllib.parse
from decimal import ROUND_HALF_EVEN, Decimal

try:
    from jsonschema import Draft202012Validator
except ImportError:
    Draft202012Validator = None

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "crates" / "event-payloads" / "schemas"
TYPES = ("MODEL_CALL_STARTED", "MODEL_CALL_COMPLETED", "MODEL_CALL_FAILED", "COST_CORRECTED", "TASK_PRUNED")
PICODOLLAR = Decimal("1e-12")
BATCH = 500  # events in one transaction, at most
QUIET_S = 60  # the gateway sends a heartbeat every 15 s
PAUSE_S = 1  # between two connections

LAYOUT = """
CREATE TABLE IF NOT EXISTS log (cursor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY, task_id TEXT NOT NULL, day TEXT NOT NULL, alias TEXT NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0, cost_usd TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_of_tasks ON calls (task_id);
CREATE INDEX IF NOT EXISTS open_calls ON calls (task_id, call_id) WHERE ended = 0;
CREATE TABLE IF NOT EXISTS sums (
    day TEXT NOT NULL, alias TEXT NOT NULL, calls INTEGER NOT NULL, unavailable INTEGER NOT NULL,
    cost_usd TEXT NOT NULL, PRIMARY KEY (day, alias)
) WITHOUT ROWID;
"""


class Stop(Exception):
    """Going on would count wrongly, or not at all."""


class Schemas:
    """What the schemas say about events and their payloads."""

    def __init__(self, folder):
        names = ["event"] + [word.lower() for word in TYPES]
        self.schemas = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names}
        self.validators = {}
        if Draft202012Validator is not None:
            self.validators = {name: Draft202012Validator(schema) for name, schema in self.schemas.items()}

    def check(self, event):
        """Stops at an event that is not what its schema says."""
        for name, value in (("event", event), (event["type"].lower(), event["payload"])):
            schema, validator = self.schemas[name], self.validators.get(name)
            wrong = next(validator.iter_errors(value), None) if validator else None
            missing = [field for field in schema["required"] if field not in value]
            if wrong is not None or missing:
                said = f"{wrong.json_path}: {wrong.message}" if wrong else f"it lacks {', '.join(missing)}"
                raise Stop(f"event {event.get('event_id')} does not fit {name}.json: {said}")

    def default(self, event, field):
        """A field of a payload, or what counts if it is not there."""
        properties = self.schemas[event["type"].lower()]["properties"]
        return event["payload"].get(field, properties[field].get("default"))


class Books:
    """The cursor and what was added up until there, in one file."""

    def __init__(self, path, schemas):
        self.schemas = schemas
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.executescript(LAYOUT)

    def cursor(self):
        row = self.db.execute("SELECT cursor FROM log").fetchone()
        return row[0] if row else 0

    def take(self, batch):
        """Counts events and moves the cursor: both or neither."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            # Another worker on the same file may have been here before.
            done = self.cursor()
            for cursor, event in batch:
                if event is not None and cursor > done:
                    self.add(event)
            self.db.execute("DELETE FROM log")
            self.db.execute("INSERT INTO log VALUES (?)", (max(cursor, done),))
            self.db.execute("COMMIT")
        except BaseException:
            self.db.execute("ROLLBACK")
            raise

    def add(self, event):
        self.schemas.check(event)
        {
            "MODEL_CALL_STARTED": self.start,
            "MODEL_CALL_COMPLETED": self.end,
            "MODEL_CALL_FAILED": self.end,
            "COST_CORRECTED": self.correct,
            "TASK_PRUNED": self.prune,
        }[event["type"]](event)

    def start(self, event):
        alias, day = event["payload"]["model_alias"], event["ts"][:10]
        row = (event["event_id"], event["task_id"], day, alias)
        self.db.execute("INSERT INTO calls (call_id, task_id, day, alias) VALUES (?, ?, ?, ?)", row)

    def end(self, event):
        call_id = self.call_of(event)
        payload = event["payload"]
        # Answers from before costs were recorded state none: their default is no statement.
        stated = event["type"] == "MODEL_CALL_FAILED" or "cost_usd" in payload or "cost_unavailable" in payload
        known = stated and not self.schemas.default(event, "cost_unavailable")
        self.settle(call_id, usd(self.schemas.default(event, "cost_usd")) if known else None)

    def settle(self, call_id, cost):
        """Counts a call that has ended, at what it cost; none if nobody knows."""
        kept = None if cost is None else str(cost)
        self.db.execute("UPDATE calls SET ended = 1, cost_usd = ? WHERE call_id = ?", (kept, call_id))
        place = self.db.execute("SELECT day, alias FROM calls WHERE call_id = ?", (call_id,)).fetchone()
        self.change(place, calls=1, unavailable=int(cost is None), cost=cost or Decimal(0))

    def take_back(self, where, value):
        """Calls that were counted are so no more."""
        found = self.db.execute(f"SELECT day, alias, cost_usd FROM calls WHERE {where} AND ended", (value,))
        for day, alias, cost in found.fetchall():
            self.change((day, alias), calls=-1, unavailable=-int(cost is None), cost=-Decimal(cost or 0))

    def call_of(self, event):
        """The call that an event ends: the one that it names, else the one of its task that began first. A call
        without a start begins with its end."""
        open_call = "SELECT call_id FROM calls WHERE ended = 0 AND "
        named = event.get("causality", {}).get("parent_event_id")
        row = self.db.execute(open_call + "call_id = ?", (named,)).fetchone()
        if row is None:
            oldest = open_call + "task_id = ? ORDER BY call_id LIMIT 1"
            row = self.db.execute(oldest, (event["task_id"],)).fetchone()
        if row is None:
            self.start(event)
            return event["event_id"]
        return row[0]

    def correct(self, event):
        """Counts a call anew. One that was not counted here stays so."""
        call_id = event["payload"]["call_id"]
        if self.db.execute("SELECT 1 FROM calls WHERE call_id = ? AND ended", (call_id,)).fetchone() is None:
            return
        self.take_back("call_id = ?", call_id)
        self.settle(call_id, usd(event["payload"]["cost_usd"]))

    def prune(self, event):
        """The sums of a task whose calls are in the log no more. How many of them came here before depends on
        when the worker ran: what was counted of them gives way."""
        self.take_back("task_id = ?", event["task_id"])
        self.db.execute("DELETE FROM calls WHERE task_id = ?", (event["task_id"],))
        for sums in self.schemas.default(event, "calls"):
            place = (sums.get("hour", "")[:10], sums.get("alias", ""))
            unavailable, cost = sums.get("calls_without_cost", 0), usd(sums.get("cost_usd", 0))
            self.change(place, calls=sums.get("calls", 0), unavailable=unavailable, cost=cost)

    def change(self, place, calls, unavailable, cost):
        where = "WHERE day = ? AND alias = ?"
        row = self.db.execute(f"SELECT calls, unavailable, cost_usd FROM sums {where}", place).fetchone()
        old = row or (0, 0, "0")
        new = (old[0] + calls, old[1] + unavailable, str(Decimal(old[2]) + cost))
        self.db.execute("INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?, ?)", place + new)

    def report(self):
        """Sums by alias and by day, as lines."""
        for column, dimension in enumerate(("day", "alias")):
            added = {}
            for row in self.db.execute("SELECT day, alias, calls, unavailable, cost_usd FROM sums"):
                calls, unavailable, cost = added.get(row[column], (0, 0, Decimal(0)))
                added[row[column]] = (calls + row[2], unavailable + row[3], cost + Decimal(row[4]))
            for name, (calls, unavailable, cost) in sorted(added.items()):
                yield f"{dimension} {name}: {plain(cost)} USD, {calls} calls, {unavailable} of unknown cost"
        yield f"cursor {self.cursor()}"


def usd(number):
    """Money is decimal and settled to picodollars, as in the gateway's own sums."""
    return Decimal(number).quantize(PICODOLLAR, rounding=ROUND_HALF_EVEN)


def plain(amount):
    """Without an exponent and without zeros at the end."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def frames(lines):
    """The frames of an event stream, as fields; comments are left out."""
    fields = {}
    for line in lines:
        line = line.decode("utf-8").rstrip("\r\n")
        if not line:
            yield fields
            fields = {}
            continue
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")


def follow(url, after, key):
    """What comes after a cursor: pairs of a cursor and an event, or none where only the cursor moves."""
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=QUIET_S)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request("GET", "/api/events?types=" + ",".join(TYPES), headers=headers)
        answer = connection.getresponse()
        if answer.status in (408, 429) or answer.status >= 500:
            raise OSError(f"the gateway is busy: {answer.status}")
        if answer.status != 200:
            # Among them 409 CURSOR_AHEAD: these books were made from another log.
            raise Stop(f"{answer.status}: {answer.read(10_000).decode('utf-8', 'replace')}")
        for frame in frames(answer):
            data = frame.get("data")
            # Decimal from the text on: a float would have lost digits already.
            logged = json.loads(data, parse_float=Decimal) if data else None
            if logged is not None:
                yield logged["cursor"], logged["event"]
            elif "id" in frame:
                yield int(frame["id"]), None
    finally:
        connection.close()


def read_into(events, into):
    """Hands events on until there is no more; then why."""
    try:
        for event in events:
            into.put(event)
        into.put(OSError("the stream ended"))
    except Exception as failure:
        into.put(failure)


def batches(events):
    """Events as they come, many at once if many are there: a transaction for each would take its time."""
    # Bounded: a worker that is slower than the log reads no faster than it works.
    ready = queue.Queue(BATCH)
    threading.Thread(target=read_into, args=(events, ready), daemon=True).start()
    failure = None
    while failure is None:
        batch = [ready.get()]
        while not ready.empty() and len(batch) < BATCH:
            batch.append(ready.get())
        if isinstance(batch[-1], Exception):
            failure = batch.pop()
        if batch:
            yield batch
    raise failure


def work(books, url, key):
    """Follows the log for as long as it can."""
    while True:
        try:
            for batch in batches(follow(url, books.cursor(), key)):
                books.take(batch)
                if any(event is not None for _, event in batch):
                    print("\n".join(books.report()), flush=True)
        except (OSError, http.client.HTTPException) as failure:
            # It will be back; no event is lost meanwhile.
            print(f"connecting again: {failure}", file=sys.stderr)
            time.sleep(PAUSE_S)


def gateway(text):
    """Where the gateway is. There is no TLS here: over anything but http the key would go out in clear text."""
    url = urllib.parse.urlsplit(text)
    if url.scheme != "http" or not url.hostname or url.path.strip("/") or url.port == 0:
        raise argparse.ArgumentTypeError(f"{text} is not http://host:port")
    return url


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000", type=gateway)
    parser.add_argument("--state", default="costs.db", help="the file with the sums and the cursor")
    parser.add_argument("--schemas", default=SCHEMAS, type=pathlib.Path, help="the folder with the JSON Schemas")
    parser.add_argument("--show", action="store_true", help="print the sums and end")
    arguments = parser.parse_args()
    books = Books(arguments.state, Schemas(arguments.schemas))
    if arguments.show:
        print("\n".join(books.report()))
        return 0
    try:
        work(books, arguments.url, os.environ.get("OCTO_GATEWAY_KEY"))
    except Stop as why:
        print(f"error: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
