//! What holds for the price of any usage of any model.
#![expect(clippy::indexing_slicing, reason = "helper functions of a test")]

use std::sync::LazyLock;

use cost_tracker::{Billable, CallType, PriceBook, Priced, Residency, ServiceTier, Unpriced};
use event_payloads::{CostBreakdown, TokenUsage, Usd};
use proptest::prelude::*;
use rust_decimal::Decimal;

static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut keys: Vec<String> = PriceBook::builtin()
        .entries()
        .map(|found| found.key().to_owned())
        .collect();
    keys.sort_unstable();
    keys
});

fn any_listed() -> impl Strategy<Value = &'static str> {
    (0..KEYS.len()).prop_map(|index| KEYS[index].as_str())
}

/// A usage whose parts fit, also where cached input is audio.
fn any_usage() -> impl Strategy<Value = TokenUsage> {
    prop::array::uniform10(0_u64..100_000).prop_map(
        |[
            text,
            cached,
            five,
            hour,
            audio,
            image,
            out,
            spoken,
            drawn,
            thought,
        ]| {
            TokenUsage {
                cached_tokens: cached,
                cache_creation_5m_tokens: five,
                cache_creation_1h_tokens: hour,
                audio_prompt_tokens: audio,
                image_prompt_tokens: image,
                audio_completion_tokens: spoken,
                image_completion_tokens: drawn,
                reasoning_tokens: thought,
                ..TokenUsage::new(
                    (text + cached + five + hour).max(audio + image),
                    out + spoken + drawn + thought,
                )
            }
        },
    )
}

fn priced(model: &str, usage: &TokenUsage) -> Result<Priced, Unpriced> {
    PriceBook::builtin().price(None, model, usage)
}

/// One more token of each kind: the whole grows with the part.
fn one_more(usage: &TokenUsage) -> Vec<TokenUsage> {
    let input = TokenUsage {
        prompt_tokens: usage.prompt_tokens + 1,
        total_tokens: usage.total_tokens + 1,
        ..*usage
    };
    let output = TokenUsage {
        completion_tokens: usage.completion_tokens + 1,
        total_tokens: usage.total_tokens + 1,
        ..*usage
    };
    vec![
        input,
        TokenUsage {
            cached_tokens: usage.cached_tokens + 1,
            ..input
        },
        TokenUsage {
            cache_creation_5m_tokens: usage.cache_creation_5m_tokens + 1,
            ..input
        },
        TokenUsage {
            cache_creation_1h_tokens: usage.cache_creation_1h_tokens + 1,
            ..input
        },
        output,
        TokenUsage {
            audio_completion_tokens: usage.audio_completion_tokens + 1,
            ..output
        },
        TokenUsage {
            reasoning_tokens: usage.reasoning_tokens + 1,
            ..output
        },
    ]
}

/// A call with everything that can be counted, in any class of service and place.
fn any_call() -> impl Strategy<Value = Billable> {
    let counts = prop::array::uniform8(0_u64..5_000);
    let place = (any::<bool>(), any::<bool>(), any::<bool>(), 0_usize..3);
    (any_usage(), counts, 0_usize..SERVICES.len(), place).prop_map(
        |(tokens, counts, service, (regional, in_us, fast, residency))| {
            let [
                video,
                citations,
                searches,
                maps,
                pages,
                queries,
                characters,
                tenths,
            ] = counts;
            let mut call = Billable::from(tokens).with_service_tier(SERVICES[service]);
            call.units.video_prompt_tokens = video.min(
                tokens.prompt_tokens - tokens.audio_prompt_tokens - tokens.image_prompt_tokens,
            );
            call.units.citation_tokens = citations;
            call.units.web_searches = searches;
            call.units.map_searches = maps;
            call.units.pages_opened = pages;
            call.units.queries = queries;
            call.units.characters = characters;
            call.units.video_seconds = Decimal::new(tenths.try_into().unwrap_or(0), 1);
            call.place.residency = [
                None,
                Some(Residency::EuropeanUnion),
                Some(Residency::UnitedStates),
            ][residency];
            call.place.regional_endpoint = regional;
            call.place.served_in_us = in_us;
            call.place.fast_mode = fast;
            call
        },
    )
}

const SERVICES: [ServiceTier; 5] = [
    ServiceTier::Standard,
    ServiceTier::Flex,
    ServiceTier::Priority,
    ServiceTier::Ultrafast,
    ServiceTier::Batch,
];

/// One more of each thing that is counted beside tokens.
fn one_more_unit(call: &Billable) -> Vec<Billable> {
    let more = |change: fn(&mut Billable)| {
        let mut call = call.clone();
        change(&mut call);
        call
    };
    vec![
        more(|call| call.units.citation_tokens += 1),
        more(|call| call.units.web_searches += 1),
        more(|call| call.units.map_searches += 1),
        more(|call| call.units.pages_opened += 1),
        more(|call| call.units.queries += 1),
        more(|call| call.units.characters += 1),
        more(|call| call.units.audio_seconds += Decimal::ONE),
        more(|call| call.units.video_seconds += Decimal::ONE),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_part_of_a_call_is_in_its_breakdown_which_survives_json(listed in any_listed(), call in any_call()) {
        let Ok(priced) = PriceBook::builtin().price_call(None, listed, &call) else { return Ok(()) };
        let sum = priced.lines.iter().map(|line| line.amount.as_decimal()).sum();
        prop_assert_eq!(priced.total, Usd::new(sum).unwrap());
        for line in &priced.lines {
            prop_assert!(line.quantity > Decimal::ZERO);
            prop_assert_eq!(line.amount.as_decimal(), (line.quantity * line.unit_price.as_decimal()).normalize());
        }
        let breakdown = priced.breakdown(CallType::AsTheModel);
        let json = serde_json::to_string(&breakdown).unwrap();
        prop_assert_eq!(serde_json::from_str::<CostBreakdown>(&json).unwrap(), breakdown);
    }

    #[test]
    fn one_more_of_anything_never_costs_less(listed in any_listed(), call in any_call()) {
        let Ok(before) = PriceBook::builtin().price_call(None, listed, &call) else { return Ok(()) };
        for more in one_more_unit(&call) {
            let after = PriceBook::builtin().price_call(None, listed, &more);
            prop_assert!(after.is_ok_and(|after| after.total >= before.total), "{} {:?}", listed, more.units);
        }
    }

    #[test]
    fn a_breakdown_adds_up_and_accounts_for_every_token(listed in any_listed(), usage in any_usage()) {
        // A rerank is charged by searches.
        let is_rerank = PriceBook::builtin().lookup(None, listed).is_some_and(|found| found.mode() == "rerank");
        if let Ok(priced) = priced(listed, &usage) && !is_rerank {
            let sum = priced.lines.iter().map(|line| line.amount.as_decimal()).sum();
            prop_assert_eq!(priced.total, Usd::new(sum).unwrap());
            let tokens: Decimal = priced.lines.iter().filter(|line| line.dimension.is_tokens()).map(|line| line.quantity).sum();
            prop_assert_eq!(tokens, usage.total_tokens.into());
            prop_assert!(priced.lines.iter().all(|line| line.quantity > Decimal::ZERO));
        }
    }

    #[test]
    fn a_token_more_never_costs_less_within_a_tier(listed in any_listed(), usage in any_usage()) {
        let model = listed;
        let Ok(before) = priced(model, &usage) else { return Ok(()) };
        for more in one_more(&usage) {
            // Another tier may be the cheaper one; the unit prices tell that it is another.
            match priced(model, &more) {
                Ok(after) if same_rates(&before, &after) => prop_assert!(after.total >= before.total, "{model} {more:?}"),
                _ => {}
            }
        }
    }

    #[test]
    fn no_name_and_no_count_makes_pricing_panic(
        provider in prop::option::of(".{0,20}"), model in ".{0,40}", counts in prop::array::uniform10(any::<u64>()), listed in any_listed(),
    ) {
        let [prompt, completion, total, cached, five, hour, audio, image, spoken, thought] = counts;
        let usage = TokenUsage {
            prompt_tokens: prompt, completion_tokens: completion, total_tokens: total, cached_tokens: cached,
            cache_creation_5m_tokens: five, cache_creation_1h_tokens: hour, audio_prompt_tokens: audio,
            image_prompt_tokens: image, audio_completion_tokens: spoken, image_completion_tokens: 0, reasoning_tokens: thought,
        };
        let book = PriceBook::builtin();
        prop_assert!(book.price(provider.as_deref(), &model, &usage).is_err());
        let _ = book.price(None, listed, &usage);
        let _ = book.price(None, listed, &TokenUsage { total_tokens: prompt.saturating_add(completion), cached_tokens: 0,
            cache_creation_5m_tokens: 0, cache_creation_1h_tokens: 0, ..usage });
        let _ = book.with_overrides(&model);
    }

    #[test]
    fn a_users_price_is_exact(cents in 0_u64..100_000_000, tokens in 1_u64..10_000_000) {
        let toml = format!("[models.m]\ninput_per_million = {}.{:02}", cents / 100, cents % 100);
        let book = PriceBook::builtin().with_overrides(&toml).unwrap();
        let expected = u128::from(cents) * u128::from(tokens);
        match book.price(None, "m", &TokenUsage::new(tokens, 0)) {
            // cents per million and token: 1e-8 USD.
            Ok(priced) => prop_assert_eq!(priced.total.as_decimal() * Decimal::from(100_000_000_u64), expected.into()),
            Err(error) => {
                let overflows = matches!(error, Unpriced::Overflow { .. });
                prop_assert!(overflows && expected > 922_337_200_000_000);
            }
        }
    }
}

fn same_rates(before: &Priced, after: &Priced) -> bool {
    before.lines.iter().all(|line| {
        after
            .lines
            .iter()
            .filter(|other| other.dimension == line.dimension)
            .all(|other| other.unit_price == line.unit_price)
    })
}
