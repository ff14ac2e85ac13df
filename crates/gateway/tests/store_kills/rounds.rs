//! Kills, one after the other, and what is looked at between them.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::books::Books;
use crate::check::{Findings, Moment, Rule, Violation, check, recount, rollups};
use crate::clients::Clients;
use crate::dice::Dice;
use crate::process::{Place, Running};
use crate::told::Told;
use crate::upstream::Upstream;

/// Kills of one data folder. Every round checks all of its books, so that they must not grow without end.
const KILLS_A_FOLDER: u64 = 20;
/// Longest load before a kill, in µs.
const LOAD: u64 = 400_000;
/// Latest kill of a start, in µs: octo listens after about 5 ms.
const START: u64 = 12_000;
/// So many tasks are compared with what the API shows of them, each round.
const LOOKED_AT: usize = 4;

/// What is to be done.
pub(crate) struct Plan {
    pub kills: u64,
    pub seed: u64,
}

/// What was done and seen.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub kills: u64,
    /// Of those, in the middle of a start.
    pub at_start: u64,
    pub folders: u64,
    pub checks: u64,
    pub tasks: usize,
    pub events: usize,
    pub keys: usize,
    pub seen: usize,
    pub answers: usize,
    pub cancelled: usize,
    pub unanswered: u64,
    /// Calls that a kill caught between their start and their end.
    pub interrupted: usize,
    pub orphans: usize,
    /// How often `octo store verify` looked at the books too.
    pub verified: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills ({} in the middle of a start) in {} data folders, {} checks of the books, {} of them also \
             by octo store verify; acknowledged and found again: {} keys, {} events seen live, {} answers, {} \
             cancellations; {} requests cut off, {} calls closed by recovery; {} tasks with {} events; {} files left \
             without a row",
            self.kills,
            self.at_start,
            self.folders,
            self.checks,
            self.verified,
            self.keys,
            self.seen,
            self.answers,
            self.cancelled,
            self.unanswered,
            self.interrupted,
            self.tasks,
            self.events,
            self.orphans,
        )
    }
}

/// Kills octo as often as planned. Panics at the first folder whose books break a rule, and keeps it.
pub(crate) async fn run(plan: &Plan) -> Counts {
    eprintln!(
        "seed {}: the same choices again with OCTO_TEST_KILLS_SEED={0}",
        plan.seed
    );
    let mut dice = Dice::new(plan.seed);
    let upstream = Upstream::start().await;
    let mut counts = Counts::default();
    let start = Instant::now();
    while counts.kills < plan.kills {
        let kills = KILLS_A_FOLDER.min(plan.kills - counts.kills);
        let folder = Folder {
            place: Place::new(upstream.url()),
            told: Arc::default(),
            dice: dice.fork(),
            kills_left: kills,
        };
        folder.run(&mut counts).await;
        eprintln!("{:>4} s: {counts}", start.elapsed().as_secs());
    }
    counts
}

/// One data folder and its kills.
struct Folder {
    place: Place,
    told: Arc<Told>,
    dice: Dice,
    kills_left: u64,
}

impl Folder {
    async fn run(mut self, counts: &mut Counts) {
        // The first start makes the tables.
        let mut burst = self.dice.percent(50);
        while self.kills_left > 0 {
            if burst {
                self.kill_starts(counts).await;
            }
            burst = self.dice.percent(15);
            if self.kills_left > 0
                && let Err(found) = self.kill_under_load(counts).await
            {
                self.give_up(&found);
            }
        }
        if let Err(found) = self.finish(counts).await {
            self.give_up(&found);
        }
    }

    /// A few kills in a row, none of which waits until octo listens.
    async fn kill_starts(&mut self, counts: &mut Counts) {
        for _ in 0..(1 + self.dice.below(4)).min(self.kills_left) {
            let after = self.dice.micros_below(START);
            self.place.start_and_kill(after).await;
            counts.at_start += 1;
            self.count_kill(counts);
        }
    }

    fn count_kill(&mut self, counts: &mut Counts) {
        counts.kills += 1;
        self.kills_left -= 1;
    }

    /// Looks at what the last kill left, then works until the next.
    async fn kill_under_load(&mut self, counts: &mut Counts) -> Result<(), Vec<Violation>> {
        let octo = self.start().await?;
        self.inspect(&octo, counts).await?;
        let clients = Clients::start(octo.address, &self.told, &mut self.dice);
        tokio::time::sleep(self.dice.micros_below(LOAD)).await;
        octo.kill().await;
        clients.stop().await;
        self.count_kill(counts);
        Ok(())
    }

    /// The last start: it ends by itself, and the books are whole when nobody has them open.
    async fn finish(&mut self, counts: &mut Counts) -> Result<(), Vec<Violation>> {
        let octo = self.start().await?;
        self.inspect(&octo, counts).await?;
        let mut found = Findings::default();
        found.unless(octo.end().await, Rule::Runs, || {
            "octo does not end".to_owned()
        });
        let books = self.read();
        found
            .0
            .extend(check(&books, &self.told.record(), Moment::Settled));
        counts.verified += u64::from(self.place.verify(&mut found).await);
        counts.checks += 1;
        self.add_up(&books, counts);
        nothing_but(found.0)
    }

    async fn start(&self) -> Result<Running, Vec<Violation>> {
        let started = self.place.start().await;
        started.map_err(|what| {
            vec![Violation {
                rule: Rule::Runs,
                what,
            }]
        })
    }

    fn read(&self) -> Books {
        Books::read(&self.place.database(), &self.place.artifacts())
    }

    /// Everything that can be known while octo runs and nobody asks it for anything else.
    async fn inspect(&mut self, octo: &Running, counts: &mut Counts) -> Result<(), Vec<Violation>> {
        let books = self.read();
        let mut found = Findings(check(&books, &self.told.record(), Moment::Settled));
        let tasks: Vec<String> = books.tasks.keys().cloned().collect();
        let some: Vec<String> = (0..LOOKED_AT)
            .filter_map(|_| self.dice.pick(&tasks).cloned())
            .collect();
        rollups(octo, &recount(&books), &some, &mut found).await;
        for task_id in &some {
            shown(octo, &books, task_id, &mut found).await;
        }
        counts.checks += 1;
        nothing_but(found.0)
    }

    fn add_up(&self, books: &Books, counts: &mut Counts) {
        let told = self.told.record();
        counts.folders += 1;
        counts.tasks += books.tasks.len();
        counts.events += books.count_events();
        counts.interrupted += books.interrupted();
        counts.orphans += books.orphans();
        counts.keys += told.keys.len();
        counts.seen += told.seen.len();
        counts.answers += told.answers.len();
        counts.cancelled += told.cancelled.len();
        counts.unanswered += told.unanswered;
    }

    /// Says what is wrong, and keeps the folder.
    fn give_up(self, found: &[Violation]) -> ! {
        let first: Vec<String> = found.iter().take(20).map(ToString::to_string).collect();
        let folder = self.place.keep();
        panic!(
            "{} violations, the first of them:\n{}\nthe data folder is kept: {}",
            found.len(),
            first.join("\n"),
            folder.display()
        );
    }
}

fn nothing_but(found: Vec<Violation>) -> Result<(), Vec<Violation>> {
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// The API shows a task as the database has it; a task that has ended also as a stream.
async fn shown(octo: &Running, books: &Books, task_id: &str, found: &mut Findings) {
    let path = format!("/api/tasks/{task_id}");
    let Some(view) = octo.get(&path, found).await else {
        return;
    };
    let view = String::from_utf8(view).unwrap();
    let events = &books.events[task_id];
    for event in events {
        // The same fields in the same order, without `final`.
        let whole = format!("{}}}", event.wire.trim_end_matches(','));
        found.unless(view.contains(&whole), Rule::ApiShowsTheBooks, || {
            format!("{path} does not show {whole}")
        });
    }
    if !books.has_ended(task_id) {
        return;
    }
    let path = format!("/api/stream/task/{task_id}");
    let Some(stream) = octo.get(&path, found).await else {
        return;
    };
    let stream = String::from_utf8(stream).unwrap();
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let same = data
        .clone()
        .zip(events)
        .all(|(data, event)| data.starts_with(&event.wire));
    found.unless(
        same && data.count() <= events.len(),
        Rule::ApiShowsTheBooks,
        || format!("{path} brings {stream}"),
    );
}
