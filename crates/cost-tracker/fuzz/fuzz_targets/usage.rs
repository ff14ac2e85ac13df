//! Any text as a usage: reading it and pricing it never panics, and what is priced adds up.
//!
//! The first line names the model and the second the class of service; the rest is the usage.
#![no_main]

use cost_tracker::{CallType, PriceBook, ServiceTier, parse_billable};
use event_payloads::{CostBreakdown, Usd};
use libfuzzer_sys::fuzz_target;
use rust_decimal::Decimal;

const CALL_TYPES: [&str; 5] = ["", "completion", "embedding", "rerank", "transcription"];

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\n');
    let (Some(model), Some(service), Some(usage)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let Ok(usage) = serde_json::from_str(usage) else {
        return;
    };
    for name in CALL_TYPES {
        let call_type: CallType = name.parse().expect("a word from the list");
        let Ok(call) = parse_billable(&usage, call_type) else {
            continue;
        };
        let call = call.with_service_tier(ServiceTier::of_answer(service));
        let Ok(priced) = PriceBook::builtin().price_call(None, model, &call) else {
            continue;
        };
        let sum: Decimal = priced
            .lines
            .iter()
            .map(|line| line.amount.as_decimal())
            .sum();
        assert_eq!(Usd::new(sum), Ok(priced.total));
        let breakdown = priced.breakdown(call_type);
        let json = serde_json::to_string(&breakdown).expect("a breakdown is JSON");
        let read: CostBreakdown = serde_json::from_str(&json).expect("and can be read again");
        assert_eq!(read, breakdown);
    }
});
