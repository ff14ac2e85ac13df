//! Any text as a user's prices: an error with a line of the text, or a book that prices without panic.
#![no_main]

use cost_tracker::{Billable, PriceBook, ServiceTier};
use event_payloads::TokenUsage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let book = match PriceBook::builtin().with_overrides(text) {
        Ok(book) => book,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let call = Billable::from(TokenUsage {
        cached_tokens: 7,
        ..TokenUsage::new(300_000, 9)
    });
    for found in book.entries().filter(|found| found.is_override()) {
        for service in ["standard", "flex", "priority", "batch"] {
            let call = call.clone().with_service_tier(ServiceTier::of_answer(service));
            if let Ok(priced) = book.price_call(None, found.key(), &call) {
                assert!(!priced.lines.is_empty());
            }
        }
    }
});
