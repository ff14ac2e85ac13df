//! Whether what is measured does its work: answers, prices, and holds every call in its books.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use real_stack::Exchange;

use super::gateway_load::Target;
use super::process::Upstream;
use super::report::Recorded;
use super::run::{KEY, post};

/// One call before any is timed: an answer of the right shape, and a price where books are kept.
pub(super) async fn checked(target: &Target) -> Result<()> {
    let call = post(Upstream {
        url: &target.url,
        key: KEY,
    })?;
    let answer = Exchange::post(call.uri.to_string(), call.body)
        .bearer(KEY)
        .within(Duration::from_secs(30))
        .send()
        .await
        .with_context(|| format!("{} does not answer", target.name))?;
    let said = || {
        format!(
            "{} answers HTTP {}: {}",
            target.name,
            answer.status,
            answer.text()
        )
    };
    let content = answer.json().pointer("/choices/0/message/content").cloned();
    ensure!(content == Some("Four.".into()), said());
    let priced = answer.header("x-octo-cost-usd").is_some();
    ensure!(priced || !target.keeps_books, said());
    Ok(())
}

/// What the books of an `octo` hold, of the calls of this run.
pub(super) async fn books(target: &Target) -> Result<Recorded> {
    let url = format!("{}/api/costs", target.url);
    let total = Exchange::get(url).send().await?.json();
    let sum = |name: &str| {
        let value = total.pointer(&format!("/total/{name}"));
        value.and_then(serde_json::Value::as_u64)
    };
    let context = || format!("{} does not say how many calls it holds", target.name);
    Ok(Recorded {
        process: target.name.clone(),
        // And the one before any was timed.
        answered: target.answered + 1,
        failed: target.failed,
        calls_in_the_books: sum("calls").with_context(context)?,
        open_calls: sum("open_calls").with_context(context)?,
    })
}

/// A failed call may or may not have reached the books; an answered one has to be there.
pub(super) fn adds_up(books: &Recorded) -> bool {
    let most = books.answered + books.failed;
    books.open_calls == 0 && (books.answered..=most).contains(&books.calls_in_the_books)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answered_call_that_is_not_in_the_books_does_not_add_up() {
        let books = |calls_in_the_books, open_calls| Recorded {
            process: "octo".to_owned(),
            answered: 10,
            failed: 2,
            calls_in_the_books,
            open_calls,
        };
        for in_the_books in 10..=12 {
            assert!(adds_up(&books(in_the_books, 0)));
        }
        assert!(!adds_up(&books(9, 0)), "one is missing");
        assert!(!adds_up(&books(13, 0)), "one too many");
        assert!(!adds_up(&books(10, 1)), "one has no end");
    }
}
