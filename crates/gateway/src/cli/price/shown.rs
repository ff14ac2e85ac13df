//! An answer for people.

use cost_tracker::{Basis, Line, MatchedBy, PriceBook, PriceOrigin, Priced};
use rust_decimal::Decimal;

use super::super::table::table;
use super::answer::Answer;

pub(super) fn answer(answer: &Answer, book: &PriceBook, explain: bool) -> String {
    match answer {
        Answer::Priced { priced, by } => {
            let mut text = format!("{} USD\n\n{}", priced.total, parts(priced));
            if explain {
                text.push_str("\n\n");
                text.push_str(&why(&priced.key, *by, Some(priced.origin), book));
            }
            text
        }
        Answer::Unavailable { reason, matched } => {
            let mut text = format!("cost unavailable: {reason}");
            if let (true, Some((key, by))) = (explain, matched) {
                text.push_str("\n\n");
                text.push_str(&why(key, *by, None, book));
            }
            text
        }
        Answer::Bad { error } => format!("error: {error}"),
    }
}

fn parts(priced: &Priced) -> String {
    let rows: Vec<Vec<String>> = priced.lines.iter().map(row).collect();
    let mut text = table(&["", "price", "quantity", "unit price", "USD"], &rows, 3);
    if priced.factor != Decimal::ONE {
        text.push_str(&format!(
            "\n\nEvery price is {} times the listed one, for where or how the call was served.",
            priced.factor
        ));
    }
    text
}

fn row(line: &Line) -> Vec<String> {
    let unit_price = line.unit_price.as_decimal();
    let price = if line.dimension.is_tokens() {
        format!(
            "{} / 1M",
            (unit_price * Decimal::from(1_000_000)).normalize()
        )
    } else {
        unit_price.to_string()
    };
    vec![
        line.dimension.to_string(),
        basis(line.basis).to_owned(),
        line.quantity.to_string(),
        price,
        line.amount.to_string(),
    ]
}

/// Why a price is that; empty for one that simply stands there.
const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Stated => "",
        Basis::AsInput => "as input",
        Basis::AsOutput => "as output",
        Basis::AsImageOutput => "as image output",
        Basis::HalfInBatch => "half, in a batch",
        Basis::Customary => "the provider's for all models",
        _ => "none stated, not charged",
    }
}

fn why(key: &str, by: MatchedBy, origin: Option<PriceOrigin>, book: &PriceBook) -> String {
    let source = book.source();
    let map = format!(
        "{} ({}), taken {}",
        source.package, source.file, source.taken
    );
    let from = match origin {
        Some(PriceOrigin::Override) => "your own prices, which win over the map".to_owned(),
        Some(PriceOrigin::Proxy) => "set at the proxy for this model of it".to_owned(),
        _ => map,
    };
    format!("matched    {key}: {}\nprices     {from}", by.as_sentence())
}
