//! One data folder and its kills.

use std::sync::Arc;
use std::time::Duration;

use crate::books::Books;
use crate::check::{Findings, Moment, Rule, Violation, check};
use crate::clients::Clients;
use crate::counts::Counts;
use crate::dice::Dice;
use crate::look::{look, settled};
use crate::process::{Place, Running};
use crate::psql::Cluster;
use crate::rounds::Victim;
use crate::store::Store;
use crate::support::LIMIT;
use crate::told::Told;

/// Longest load before a kill, in µs.
const LOAD: u64 = 400_000;
/// Latest kill of a start, in µs: octo listens after about 5 ms.
const START: u64 = 12_000;
/// Latest kill of a start that has an old database to bring to today's layout, in µs.
const MIGRATION: u64 = 150_000;
/// Longest absence of a server, in µs.
const ABSENCE: u64 = 200_000;

/// What was found, if anything.
type Outcome = Result<(), Vec<Violation>>;

pub(crate) struct Folder {
    place: Place,
    victim: Victim,
    told: Arc<Told>,
    dice: Dice,
    kills_left: u64,
}

impl Folder {
    pub(crate) fn new(place: Place, victim: Victim, dice: Dice, kills: u64) -> Self {
        Self {
            place,
            victim,
            told: Arc::default(),
            dice,
            kills_left: kills,
        }
    }

    pub(crate) async fn run(mut self, counts: &mut Counts) {
        let mut outcome = match self.victim.clone() {
            Victim::Octo(_) => self.kill_octo(counts).await,
            Victim::Server(cluster) => self.kill_server(&cluster, counts).await,
        };
        if outcome.is_ok() {
            outcome = self.finish(counts).await;
        }
        if let Err(found) = outcome {
            self.give_up(&found);
        }
    }

    async fn kill_octo(&mut self, counts: &mut Counts) -> Outcome {
        let old = self.cleans_up_at_once() && self.dice.percent(30);
        if old {
            self.place.plant_old_database(&mut self.told.record());
            counts.upgrades += 1;
            self.kill_starts(MIGRATION, counts).await;
        }
        // The first start makes the tables.
        let mut burst = !old && self.dice.percent(50);
        while self.kills_left > 0 {
            if burst {
                self.kill_starts(START, counts).await;
            }
            burst = self.dice.percent(20);
            if self.kills_left > 0 {
                self.kill_under_load(counts).await?;
            }
        }
        Ok(())
    }

    /// A few kills in a row, none of which waits until octo listens.
    async fn kill_starts(&mut self, latest: u64, counts: &mut Counts) {
        for _ in 0..(1 + self.dice.below(4)).min(self.kills_left) {
            let after = self.dice.micros_below(latest);
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
    async fn kill_under_load(&mut self, counts: &mut Counts) -> Outcome {
        let octo = self.start().await?;
        self.inspect(&octo, counts).await?;
        let clients = Clients::start(octo.address, &self.told, &mut self.dice);
        tokio::time::sleep(self.dice.micros_below(LOAD)).await;
        octo.kill().await;
        clients.stop().await;
        self.count_kill(counts);
        Ok(())
    }

    /// One octo, whose server is killed under it again and again; then octo is killed too, or ended.
    async fn kill_server(&mut self, cluster: &Cluster, counts: &mut Counts) -> Outcome {
        let octo = self.start().await?;
        let clients = Clients::start(octo.address, &self.told, &mut self.dice);
        while self.kills_left > 0 {
            tokio::time::sleep(self.dice.micros_below(LOAD)).await;
            cluster.kill().await;
            tokio::time::sleep(self.dice.micros_below(ABSENCE)).await;
            cluster.start_again().await;
            self.count_kill(counts);
            self.works_again().await?;
            self.glance(counts)?;
        }
        clients.stop().await;
        if self.dice.percent(50) {
            octo.kill().await;
            return Ok(());
        }
        let mut found = Findings::default();
        found.unless(octo.end().await, Rule::Runs, cannot_end);
        nothing_but(found)
    }

    /// Waits until a client is told of a new task.
    async fn works_again(&self) -> Outcome {
        let known = self.told.record().tasks.len();
        let more = async {
            while self.told.record().tasks.len() == known {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let works = tokio::time::timeout(LIMIT, more).await.is_ok();
        let mut found = Findings::default();
        found.unless(works, Rule::Runs, || {
            format!("the server is back for {LIMIT:?}, and octo takes nothing")
        });
        nothing_but(found)
    }

    /// The last start: it ends by itself, and the books are whole when nobody has them open.
    async fn finish(&mut self, counts: &mut Counts) -> Outcome {
        let octo = self.start().await?;
        let mut found = Findings::default();
        if !self.cleans_up_at_once() {
            found.unless(settled(&octo, LIMIT).await, Rule::NothingHangs, || {
                format!("something is open, {LIMIT:?} after all others are gone")
            });
        }
        let books = self.read();
        self.look(&octo, &books, Moment::Settled, &mut found).await;
        found.unless(octo.end().await, Rule::Runs, cannot_end);
        let books = self.read();
        let closed = check(&books, &self.told.record(), Moment::Settled);
        found.0.extend(closed);
        self.place.verify(&mut found).await;
        counts.verified += 1;
        counts.checks += 2;
        counts.add(&books, &self.told.record());
        nothing_but(found)
    }

    async fn start(&self) -> Result<Running, Vec<Violation>> {
        let started = self.place.start().await;
        started.map_err(|what| {
            let rule = Rule::Runs;
            vec![Violation { rule, what }]
        })
    }

    fn read(&self) -> Books {
        Books::read(&self.place.database(), &self.place.artifacts())
    }

    /// The only gateway of a store knows that what is open was left by a kill. Where there may be several, one
    /// has to be gone for a while: longer than there is between two kills.
    fn cleans_up_at_once(&self) -> bool {
        matches!(self.victim, Victim::Octo(Store::Sqlite))
    }

    /// Everything that can be known while octo runs and nobody asks it for anything else.
    async fn inspect(&mut self, octo: &Running, counts: &mut Counts) -> Outcome {
        let moment = if self.cleans_up_at_once() || settled(octo, Duration::ZERO).await {
            Moment::Settled
        } else {
            Moment::Open
        };
        let mut found = Findings::default();
        let books = self.read();
        self.look(octo, &books, moment, &mut found).await;
        counts.checks += 1;
        nothing_but(found)
    }

    async fn look(&mut self, octo: &Running, books: &Books, moment: Moment, found: &mut Findings) {
        {
            let told = self.told.record();
            found.0.extend(check(books, &told, moment));
            let excused = matches!(self.victim, Victim::Server(_));
            found.unless(excused || told.refusals.is_empty(), Rule::Runs, || {
                format!("octo refused {:?}", told.refusals)
            });
        }
        look(octo, books, moment, &mut self.dice, found).await;
    }

    /// What can be known while clients are at work: all that they were told before is there.
    fn glance(&self, counts: &mut Counts) -> Outcome {
        let mut told = self.told.record().clone();
        let books = self.read();
        told.tried.clone_from(&self.told.record().tried);
        counts.checks += 1;
        nothing_but(Findings(check(&books, &told, Moment::Open)))
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

fn cannot_end() -> String {
    "octo does not end in good order".to_owned()
}

fn nothing_but(found: Findings) -> Outcome {
    if found.0.is_empty() {
        Ok(())
    } else {
        Err(found.0)
    }
}
