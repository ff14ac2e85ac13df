//! Statements that are sent one after the other without waiting for the answers between them.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A statement on its way.
pub(crate) type Step<'a> =
    Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send + 'a>>;

/// What went wrong on the way, and whether the last statement was sent already.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: tokio_postgres::Error,
    pub(crate) all_sent: bool,
}

/// Statements that are sent one after the other. After one that could not even be sent, none of the later ones
/// may be: a `COMMIT` at the end would end half of what stands before it.
#[derive(Default)]
pub(crate) struct Pipeline<'a> {
    /// Each with its place.
    running: Vec<(usize, Step<'a>)>,
    /// How many rows each has written.
    rows: Vec<u64>,
}

impl<'a> Pipeline<'a> {
    /// Sends a statement behind those that were sent; its answer is waited for later. Gives its place among them.
    pub(crate) async fn send(&mut self, mut step: Step<'a>) -> Result<usize, Broken> {
        let at = self.rows.len();
        self.rows.push(0);
        // The first poll sends it.
        match poll_fn(|cx| Poll::Ready(step.as_mut().poll(cx))).await {
            Poll::Pending => self.running.push((at, step)),
            Poll::Ready(Ok(count)) => note(&mut self.rows, at, count),
            Poll::Ready(Err(error)) => {
                return Err(Broken {
                    error,
                    all_sent: false,
                });
            }
        }
        Ok(at)
    }

    /// Lets the task of the connection hand on what was sent: the server works on it while more is built.
    pub(crate) async fn hand_on(&mut self) {
        tokio::task::yield_now().await;
    }

    /// Waits for all answers: how many rows each statement wrote.
    pub(crate) async fn answers(mut self) -> Result<Vec<u64>, Broken> {
        poll_fn(|cx| answers(&mut self.running, &mut self.rows, cx)).await?;
        Ok(self.rows)
    }
}

/// Sends statements and waits for all answers: how many rows each wrote.
pub(crate) async fn run(steps: Vec<Step<'_>>) -> Result<Vec<u64>, Broken> {
    let mut pipeline = Pipeline::default();
    for step in steps {
        pipeline.send(step).await?;
    }
    pipeline.answers().await
}

fn note(rows: &mut [u64], at: usize, count: u64) {
    if let Some(rows) = rows.get_mut(at) {
        *rows = count;
    }
}

/// Forgets each statement that is answered, until there is none.
fn answers(
    running: &mut Vec<(usize, Step<'_>)>,
    rows: &mut [u64],
    cx: &mut Context<'_>,
) -> Poll<Result<(), Broken>> {
    let mut failed = None;
    running.retain_mut(|(at, step)| match step.as_mut().poll(cx) {
        Poll::Pending => true,
        Poll::Ready(Ok(count)) => {
            note(rows, *at, count);
            false
        }
        Poll::Ready(Err(error)) => {
            // The first says why.
            failed.get_or_insert(error);
            false
        }
    });
    match failed {
        Some(error) => Poll::Ready(Err(Broken {
            error,
            all_sent: true,
        })),
        None if running.is_empty() => Poll::Ready(Ok(())),
        None => Poll::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn steps_begin_in_their_order_before_any_has_ended() {
        let begun = std::sync::Mutex::new(Vec::new());
        let step = |name: u8| -> Step<'_> {
            let begun = &begun;
            Box::pin(async move {
                begun.lock().unwrap().push(name);
                tokio::task::yield_now().await;
                begun.lock().unwrap().push(name + 10);
                Ok(u64::from(name))
            })
        };
        let rows = run((0..3).map(step).collect()).await.unwrap();
        assert_eq!(rows, [0, 1, 2]);
        assert_eq!(*begun.lock().unwrap(), [0, 1, 2, 10, 11, 12]);
    }
}
