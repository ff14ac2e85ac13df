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

/// What callers saw of an `octo`.
pub(super) struct Seen<'a> {
    pub(super) process: &'a str,
    pub(super) answered: u64,
    /// Calls that were under way when their callers went.
    pub(super) hung_up: u64,
    pub(super) failed: u64,
}

/// What the books of the `octo` at `url` hold, beside what its callers saw.
pub(super) async fn books(url: &str, seen: Seen<'_>) -> Result<Recorded> {
    let url = format!("{url}/api/costs");
    let total = Exchange::get(url).send().await?.json();
    let sum = |name: &str| {
        let value = total.pointer(&format!("/total/{name}"));
        value.and_then(serde_json::Value::as_u64)
    };
    let context = || format!("{} does not say how many calls it holds", seen.process);
    Ok(Recorded {
        process: seen.process.to_owned(),
        answered: seen.answered,
        hung_up: seen.hung_up,
        failed: seen.failed,
        calls_in_the_books: sum("calls").with_context(context)?,
        open_calls: sum("open_calls").with_context(context)?,
    })
}

/// A failed call may or may not have reached the books; an answered one has to be there, and one whose
/// caller went away too.
pub(super) fn adds_up(books: &Recorded) -> bool {
    let least = books.answered + books.hung_up;
    let most = least + books.failed;
    books.open_calls == 0 && (least..=most).contains(&books.calls_in_the_books)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answered_call_that_is_not_in_the_books_does_not_add_up() {
        let books = |calls_in_the_books, open_calls| Recorded {
            process: "octo".to_owned(),
            answered: 8,
            hung_up: 2,
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
