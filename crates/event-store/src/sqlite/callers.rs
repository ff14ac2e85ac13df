//! Those who wait for the writer, and which of them share a transaction.

use std::time::Duration;

use tokio::sync::mpsc;

use super::writer::{Append, Job};
use crate::rhythm::{MAX_GROUP, Rhythm, Wait};

/// The queue of jobs.
pub(crate) struct Callers {
    jobs: mpsc::Receiver<Job>,
    rhythm: Rhythm,
    /// For those who were answered last.
    wait: Option<Wait>,
    /// What came among commits and is no commit: it is done after them.
    put_back: Option<Job>,
}

impl Callers {
    pub(crate) fn new(jobs: mpsc::Receiver<Job>) -> Self {
        Self {
            rhythm: Rhythm::new(jobs.max_capacity()),
            jobs,
            wait: None,
            put_back: None,
        }
    }

    /// The next job, once there is one; `None` when nobody can ask any more.
    pub(crate) fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.put_back.take() {
            return Some(job);
        }
        self.wait = self.rhythm.begin(self.jobs.len());
        while self.jobs.is_empty() && self.waits(0) {
            // Who was just answered needs the processor to come back.
            std::thread::yield_now();
        }
        self.jobs.blocking_recv()
    }

    /// A commit with those that wait already.
    pub(crate) fn group(&mut self, first: Append) -> Vec<Append> {
        let expected = self.wait.as_ref().map_or(0, Wait::expected);
        let mut group = Vec::with_capacity(expected.max(self.jobs.len() + 1).min(MAX_GROUP));
        group.push(first);
        while group.len() < MAX_GROUP
            && let Some(append) = self.take()
        {
            group.push(append);
        }
        group
    }

    /// One more commit for a group of so many: those who were answered last get the time to come back.
    pub(crate) fn more(&mut self, group: usize) -> Option<Append> {
        if group >= MAX_GROUP {
            return None;
        }
        loop {
            if let Some(append) = self.take() {
                return Some(append);
            }
            if self.put_back.is_some() || !self.waits(group) {
                break;
            }
            std::thread::yield_now();
        }
        if let Some(wait) = self.wait.take() {
            self.rhythm.end(&wait, group + self.jobs.len());
        }
        None
    }

    /// A group of so many is recorded and about to be answered.
    pub(crate) fn recorded(&mut self, group: usize, took: Duration) {
        self.rhythm.recorded(group, took, self.jobs.len());
    }

    /// Nobody can ask for more than waits already.
    pub(crate) fn close(&mut self) {
        self.jobs.close();
    }

    /// A commit that waits already.
    fn take(&mut self) -> Option<Append> {
        if self.put_back.is_some() {
            return None;
        }
        match self.jobs.try_recv().ok()? {
            Job::Append(append) => Some(append),
            other => {
                self.put_back = Some(other);
                None
            }
        }
    }

    fn waits(&self, group: usize) -> bool {
        let wait = self.wait.as_ref();
        wait.is_some_and(|wait| wait.goes_on(group))
    }
}
