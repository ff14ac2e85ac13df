//! JSON lines in, JSON lines out.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use cost_tracker::PriceBook;

use super::answer::{Answer, answer};
use super::question::Line;

/// A longer line is no question: no usage has so much to say.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Answers every line; empty ones are passed over. Returns how many were no question.
pub(super) fn answer_all(
    book: &PriceBook,
    input: impl Read,
    output: impl Write,
) -> io::Result<usize> {
    let mut input = BufReader::new(input);
    let mut output = BufWriter::new(output);
    let mut bad = 0;
    let mut number = 0_u64;
    while let Some(line) = next_line(&mut input)? {
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let (answer, id, ignored) = read_and_answer(book, &line);
        let mut object = answer.to_json();
        if matches!(answer, Answer::Bad { .. }) {
            bad += 1;
            object.insert("line".to_owned(), number.into());
        }
        if let Some(id) = id {
            object.insert("id".to_owned(), id);
        }
        if !ignored.is_empty() {
            object.insert("ignored".to_owned(), ignored.into());
        }
        serde_json::to_writer(&mut output, &object)?;
        output.write_all(b"\n")?;
        // A program that asks and waits gets its answer at once.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(bad)
}

fn read_and_answer(
    book: &PriceBook,
    line: &[u8],
) -> (Answer, Option<serde_json::Value>, Vec<String>) {
    if line.len() > MAX_LINE_BYTES {
        let error = format!("a line of more than {MAX_LINE_BYTES} bytes");
        return (Answer::Bad { error }, None, Vec::new());
    }
    let line = Line::parse(line);
    let answer = match line.question {
        Ok(question) => answer(book, &question),
        Err(error) => Answer::Bad { error },
    };
    (answer, line.id, line.ignored)
}

/// The next line without its end; of one that is too long, one byte more than the limit. `None` at the end.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok(any.then_some(line));
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        let room = (MAX_LINE_BYTES + 1).saturating_sub(line.len());
        line.extend(taken.iter().take(room));
        let used = taken.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn answers(input: &str) -> (usize, Vec<Value>) {
        let mut output = Vec::new();
        let bad = answer_all(&PriceBook::builtin(), input.as_bytes(), &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (bad, lines.collect())
    }

    #[test]
    fn every_line_has_its_answer_in_order_and_a_bad_one_stops_nothing() {
        let long = "x".repeat(MAX_LINE_BYTES + 5);
        let input = format!(
            "{}\nnot json\n\n[1]\n{{\"model\": 7}}\n{long}\n{}",
            r#"{"id": "a", "model": "gpt-4o-mini", "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}"#,
            r#"{"id": 7, "model": "no-such-model", "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "service_teir": "flex"}"#,
        );
        let (bad, answers) = answers(&input);
        assert_eq!((bad, answers.len()), (4, 6));
        assert_eq!(
            (&answers[0]["cost_usd"], &answers[0]["id"]),
            (&json!("0.00027"), &json!("a"))
        );
        for (answer, line) in answers[1..5].iter().zip([2, 4, 5, 6]) {
            assert_eq!(answer["line"], json!(line), "{answer}");
            assert!(answer["error"].is_string() && answer["cost_unavailable"] == json!(true));
        }
        assert_eq!(answers[5]["cost_unavailable"], json!(true));
        assert_eq!(answers[5]["ignored"], json!(["service_teir"]));
        assert!(answers[5].get("error").is_none());
    }

    #[test]
    fn an_answer_says_what_matched_and_each_part() {
        let (_, answers) = answers(
            r#"{"model": "ft:gpt-4o-mini-2024-07-18:me::id", "provider": "openai", "service_tier": "default", "call_type": "completion",
                "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "prompt_tokens_details": {"cached_tokens": 400}}}"#
                .replace('\n', " ")
                .as_str(),
        );
        assert_eq!(
            answers[0],
            json!({
                "cost_usd": "0.00048", "cost_unavailable": false, "matched": "ft:gpt-4o-mini-2024-07-18",
                "matched_by": "the price of a fine-tuned model of this base", "source": "price_book",
                "breakdown": [
                    {"dimension": "input", "quantity": 600, "unit_price_usd": "0.0000003", "amount_usd": "0.00018", "basis": "stated"},
                    {"dimension": "cached_input", "quantity": 400, "unit_price_usd": "0.00000015", "amount_usd": "0.00006", "basis": "stated"},
                    {"dimension": "output", "quantity": 200, "unit_price_usd": "0.0000012", "amount_usd": "0.00024", "basis": "stated"}
                ]
            })
        );
    }

    #[test]
    fn the_terms_of_a_call_change_its_price_and_a_wrong_word_is_an_error() {
        let asked = |terms: &str| {
            let (_, mut answers) = answers(&format!(
                r#"{{"model": "gpt-5.4", "usage": {{"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}}{terms}}}"#
            ));
            answers.remove(0)
        };
        let cost = |terms: &str| asked(terms)["cost_usd"].as_str().unwrap().to_owned();
        assert_eq!(cost(""), "0.0025");
        assert_eq!(cost(r#", "service_tier": "priority""#), "0.005");
        assert_eq!(cost(r#", "service_tier": "batch""#), "0.00125");
        assert_eq!(cost(r#", "call_type": "aretrieve_batch""#), "0.00125");
        assert_eq!(cost(r#", "data_residency": "eu""#), "0.00275");
        assert_eq!(cost(r#", "base_model": "gpt-4o-mini""#), "0.00015");
        for terms in [
            r#", "service_tier": "free""#,
            r#", "call_type": "dance""#,
            r#", "data_residency": "moon""#,
        ] {
            assert!(asked(terms)["error"].is_string(), "{terms}");
        }
    }

    #[test]
    fn a_rerank_is_priced_by_what_it_counts() {
        let (bad, answers) = answers(
            "{\"model\": \"rerank-v3.5\", \"usage\": {\"search_units\": 3}}\n\
             {\"model\": \"voyage/rerank-2\", \"usage\": {\"total_tokens\": 1000}}",
        );
        assert_eq!(bad, 0);
        assert_eq!(answers[0]["cost_usd"], json!("0.006"));
        assert_eq!(answers[1]["cost_usd"], json!("0.00005"));
    }

    #[test]
    fn a_usage_that_cannot_be_relied_on_has_no_cost_and_a_reason() {
        let (bad, answers) = answers(
            r#"{"model": "gpt-4o-mini", "usage": {"prompt_tokens": 10, "completion_tokens": -1}}"#,
        );
        assert_eq!(bad, 0);
        assert_eq!(answers[0]["cost_unavailable"], json!(true));
        assert_eq!(answers[0]["matched"], json!("gpt-4o-mini"));
        let reason = answers[0]["reason"].as_str().unwrap();
        assert!(reason.contains("`completion_tokens` is -1"), "{reason}");
    }
}
