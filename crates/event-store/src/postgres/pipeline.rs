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

/// Sends statements in their order and waits for all answers. After one that could not even be sent, none
/// of the later ones is: a `COMMIT` at the end never ends half of what stands before it. The first should be
/// the one with most to do.
pub(crate) async fn run(steps: Vec<Step<'_>>) -> Result<(), Broken> {
    let mut running = Vec::with_capacity(steps.len());
    for (at, mut step) in steps.into_iter().enumerate() {
        // The first poll sends it.
        match poll_fn(|cx| Poll::Ready(step.as_mut().poll(cx))).await {
            Poll::Pending => running.push(step),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => {
                return Err(Broken {
                    error,
                    all_sent: false,
                });
            }
        }
        if at == 0 {
            // Lets the task of the connection hand it on: the server works on it while the rest is built.
            tokio::task::yield_now().await;
        }
    }
    poll_fn(|cx| answers(&mut running, cx)).await
}

/// Forgets each statement that is answered, until there is none.
fn answers(running: &mut Vec<Step<'_>>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
    let mut failed = None;
    running.retain_mut(|step| match step.as_mut().poll(cx) {
        Poll::Pending => true,
        Poll::Ready(answer) => {
            // The first says why.
            failed = failed.take().or(answer.err());
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
                Ok(0)
            })
        };
        run((0..3).map(step).collect()).await.unwrap();
        assert_eq!(*begun.lock().unwrap(), [0, 1, 2, 10, 11, 12]);
    }
}
