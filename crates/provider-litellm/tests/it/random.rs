//! No bytes of the other side make us panic, hang, or believe what was not said.

use std::time::Duration;

use event_payloads::Cost;
use proptest::prelude::*;
use provider_core::{Completion, ModelClient, ProviderError};

use crate::mock::Mock;
use crate::recorded::recorded;
use crate::setup::{call, client_of, config, run};

fn outcome_of(reply: &[u8]) -> Result<Completion, ProviderError> {
    let mock = Mock::sending(reply);
    // An answer that announces more than it has ends with its connection; nothing waits for this.
    let client = client_of(config(&mock.url()).with_call_timeout(Duration::from_secs(5)));
    run(client.complete(&call()))
}

fn answer() -> Vec<u8> {
    recorded("mocked")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn no_beginning_of_an_answer_is_a_success(cut in 0..answer().len()) {
        prop_assert!(outcome_of(&answer()[..cut]).is_err());
    }

    #[test]
    fn changed_bytes_give_no_cost_without_a_body_that_is_json(
        flips in proptest::collection::vec((0..answer().len(), 1_u8..=255), 1..4)
    ) {
        let mut reply = answer();
        for (at, change) in flips {
            reply[at] ^= change;
        }
        if let Ok(completion) = outcome_of(&reply) {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&completion.body).is_ok());
            if let Cost::Known { usd, .. } = completion.result.cost {
                prop_assert!(usd >= event_payloads::Usd::ZERO);
            }
        }
    }

    #[test]
    fn random_bytes_are_never_an_answer(reply in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(outcome_of(&reply).is_err());
    }

    #[test]
    fn a_random_body_is_never_an_answer(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        prop_assert!(outcome_of(&[head.as_bytes(), &body].concat()).is_err());
    }
}
