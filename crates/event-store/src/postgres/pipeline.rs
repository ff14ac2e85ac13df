//! Statements that are sent one after the other without waiting for the answers between them.

use std::pin::Pin;
use std::task::Poll;

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
/// of the later ones is: a `COMMIT` at the end never ends half of what stands before it.
pub(crate) async fn run(mut steps: Vec<Step<'_>>) -> Result<(), Broken> {
    let mut done = vec![false; steps.len()];
    let mut all_sent = false;
    std::future::poll_fn(|cx| {
        for (step, done) in steps.iter_mut().zip(&mut done) {
            if *done {
                continue;
            }
            // The first poll sends it.
            match step.as_mut().poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(_)) => *done = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken { error, all_sent })),
            }
        }
        all_sent = true;
        if done.iter().all(|done| *done) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    })
    .await
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
