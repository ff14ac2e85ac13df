//! Model calls and what they add up to.

use event_payloads::{
    Cost, CostDrift, CostSource, ModelCallCompleted, Picodollars, Timestamp, TokenUsage, Usd,
};
use event_store::{CallStatus, CostQuery, CostRow, Dimension, Parent, StoreError, Tokens};

use crate::desk::{Desk, known, usd};
use crate::events::{answer, failed, started};
use crate::house::{House, NOON};

const DAY: i64 = 86_400_000_000;

async fn rollup(desk: &Desk, query: CostQuery) -> Vec<CostRow> {
    desk.store.cost_rollup(query).await.unwrap()
}

pub(crate) async fn a_call_says_all_that_its_events_say(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    let call_id = desk.call(&task_id).await;
    let open = desk.store.calls(&task_id).await.unwrap().remove(0);
    assert_eq!(
        (open.status, open.cost, open.ended_at),
        (CallStatus::Started, None, None)
    );
    assert_eq!(open.tokens, None);
    desk.clock.advance_micros(5);
    let call = ModelCallCompleted {
        duration_ms: 7,
        token_usage: Some(TokenUsage {
            cached_tokens: 3,
            cache_creation_5m_tokens: 1,
            cache_creation_1h_tokens: 1,
            reasoning_tokens: 2,
            ..TokenUsage::new(10, 5)
        }),
        model_name: "gpt-4o-mini".to_owned(),
        provider: "openai".to_owned(),
        is_fallback: true,
        ..ModelCallCompleted::default()
    };
    let cost = Cost::Known {
        usd: usd("0.0000188"),
        source: CostSource::PriceBook,
        drift: Some(CostDrift {
            proxy_usd: usd("1"),
            price_book_usd: usd("2"),
        }),
    };
    let end = answer(call, &cost).parent(Parent::Event(call_id.clone()));
    desk.append(&task_id, vec![end]).await;
    let call = desk.store.calls(&task_id).await.unwrap().remove(0);
    assert_eq!(call.call_id, call_id);
    assert_eq!(call.started_at, Timestamp::from_unix_micros(NOON));
    assert_eq!(call.ended_at, Some(Timestamp::from_unix_micros(NOON + 5)));
    assert_eq!(call.status.as_str(), "completed");
    assert_eq!(
        (call.alias.as_str(), call.category.as_str()),
        ("planner", "main")
    );
    assert_eq!(
        (call.model.as_str(), call.provider.as_str()),
        ("gpt-4o-mini", "openai")
    );
    assert_eq!(call.cost, Some(Picodollars::new(18_800_000)));
    assert_eq!(
        (call.cost_source, call.drift, call.is_fallback),
        (CostSource::PriceBook, true, true)
    );
    assert_eq!(call.duration_ms, Some(7));
    let tokens = Tokens {
        prompt: 10,
        completion: 5,
        total: 15,
        cached: 3,
        cache_creation: 2,
        reasoning: 2,
    };
    assert_eq!(call.tokens, Some(tokens));
}

pub(crate) async fn sums_are_exact_and_say_what_they_do_not_know(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    // A tenth of a dollar three times: binary floats get this wrong.
    for _ in 0..3 {
        desk.ended(&task_id, &known("0.1")).await;
    }
    desk.ended(&task_id, &known("0.000000000001")).await;
    desk.ended(&task_id, &Cost::Unavailable("no price".to_owned()))
        .await;
    let call_id = desk.call(&task_id).await;
    desk.append(&task_id, vec![failed(&call_id)]).await;
    desk.call(&task_id).await;
    let total = rollup(&desk, CostQuery::default()).await.remove(0);
    assert_eq!(total.cost.get(), 300_000_000_001);
    assert_eq!(
        (
            total.calls,
            total.open_calls,
            total.calls_without_cost,
            total.failed_calls
        ),
        (7, 1, 1, 1)
    );
    assert_eq!((total.fallback_calls, total.drift_calls), (0, 0));
    let calls = desk.store.calls(&task_id).await.unwrap();
    assert_eq!(
        (calls[4].cost, calls[4].cost_unavailable_reason.as_str()),
        (None, "no price")
    );
    assert_eq!(
        (calls[5].status.as_str(), calls[5].error_type.as_str()),
        ("failed", "timeout")
    );
    assert_eq!(calls[6].status.as_str(), "started");
}

pub(crate) async fn sums_are_grouped_and_limited(house: &House) {
    let desk = house.open().await;
    let (one, two) = (desk.running().await, desk.running().await);
    desk.ended(&one, &known("1")).await;
    desk.ended(&two, &known("2")).await;
    desk.clock.set_unix_micros(NOON + DAY);
    desk.ended(&two, &known("4")).await;
    desk.append(&one, vec![started("router")]).await;

    let by_day = rollup(
        &desk,
        CostQuery {
            group_by: vec![Dimension::Day],
            ..CostQuery::default()
        },
    )
    .await;
    let days: Vec<_> = by_day
        .iter()
        .map(|row| (row.get(Dimension::Day).unwrap(), row.cost.get()))
        .collect();
    assert_eq!(
        days,
        [
            ("2026-03-01", 3_000_000_000_000),
            ("2026-03-02", 4_000_000_000_000)
        ]
    );

    let all = rollup(
        &desk,
        CostQuery {
            group_by: Dimension::ALL.to_vec(),
            ..CostQuery::default()
        },
    )
    .await;
    assert_eq!(all.len(), 3);
    let open = &all[2];
    let key: Vec<_> = open
        .key
        .iter()
        .map(|(dimension, value)| (dimension.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        key,
        [
            ("day", "2026-03-02"),
            ("alias", "router"),
            ("category", "main"),
            ("model", ""),
            ("provider", "")
        ]
    );
    assert_eq!((open.calls, open.open_calls), (1, 1));

    let sum = async |query: CostQuery| rollup(&desk, query).await[0].cost.get() / 1_000_000_000_000;
    let next_day = Timestamp::from_unix_micros(NOON + DAY);
    assert_eq!(
        sum(CostQuery {
            from: Some(next_day),
            ..CostQuery::default()
        })
        .await,
        4
    );
    assert_eq!(
        sum(CostQuery {
            to: Some(next_day),
            ..CostQuery::default()
        })
        .await,
        3
    );
    assert_eq!(
        sum(CostQuery {
            task: Some(two),
            ..CostQuery::default()
        })
        .await,
        6
    );
    assert_eq!(
        sum(CostQuery {
            task: Some(one),
            to: Some(next_day),
            ..CostQuery::default()
        })
        .await,
        1
    );
}

pub(crate) async fn without_calls_a_total_is_a_row_and_groups_are_none(house: &House) {
    let desk = house.open().await;
    assert_eq!(
        rollup(&desk, CostQuery::default()).await,
        [CostRow::default()]
    );
    let grouped = CostQuery {
        group_by: vec![Dimension::Alias],
        ..CostQuery::default()
    };
    assert_eq!(rollup(&desk, grouped).await, []);
}

pub(crate) async fn a_sum_that_does_not_fit_is_an_error_and_smaller_groups_still_work(
    house: &House,
) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    for day in 0..2 {
        desk.clock.set_unix_micros(NOON + day * DAY);
        desk.ended(&task_id, &Cost::known(Usd::MAX, CostSource::Proxy))
            .await;
    }
    let error = desk
        .store
        .cost_rollup(CostQuery::default())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Overflow), "{error}");
    let by_day = CostQuery {
        group_by: vec![Dimension::Day],
        ..CostQuery::default()
    };
    let rows = rollup(&desk, by_day).await;
    assert!(rows.iter().all(|row| row.cost == Usd::MAX.to_picodollars()));
}

pub(crate) async fn an_absurd_token_count_does_not_break_the_sums(house: &House) {
    let desk = house.open().await;
    let task_id = desk.running().await;
    for _ in 0..3 {
        let call_id = desk.call(&task_id).await;
        let call = ModelCallCompleted {
            token_usage: Some(TokenUsage::new(u64::MAX, 1)),
            duration_ms: u64::MAX,
            ..ModelCallCompleted::default()
        };
        desk.append(
            &task_id,
            vec![answer(call, &Cost::FREE).parent(Parent::Event(call_id))],
        )
        .await;
    }
    let total = rollup(&desk, CostQuery::default()).await.remove(0);
    assert_eq!((total.tokens.prompt, total.tokens.completion), (3 << 40, 3));
}

#[test]
fn a_dimension_reads_from_its_word_only() {
    for dimension in Dimension::ALL {
        assert_eq!(dimension.as_str().parse::<Dimension>().unwrap(), dimension);
    }
    let error = "week".parse::<Dimension>().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`week` is nothing to group costs by")
    );
}
