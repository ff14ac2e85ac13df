//! Opening a database, and what can be wrong with it.

use event_payloads::{Cost, CostSource, ModelCallCompleted};
use event_store::{EventStore, Parent, PostgresOptions, PostgresStore, StoreError};

use crate::database::{as_superuser, connected, server};
use crate::events::{answer, commit, message};
use crate::house::{House, LOCK, call, in_time, verified};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_start_at_once_make_the_tables_once() {
    in_time(async {
        for _ in 0..5 {
            let house = House::fresh().await;
            let (a, b, c, d) =
                tokio::join!(house.store(), house.store(), house.store(), house.store());
            let stores = [a, b, c, d];
            for store in &stores {
                house.running(store).await;
            }
            verified(&stores[0]).await;
            for store in stores {
                store.close().await.unwrap();
            }
            let layout = house.sql("SELECT version::text FROM octo_layout").await;
            assert_eq!(layout, ["5"]);
            let left = house.sql("SELECT gateway_id FROM gateways").await;
            assert_eq!(left, Vec::<String>::new());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_newer_version_are_left_alone() {
    in_time(async {
        let house = House::fresh().await;
        house.store().await.close().await.unwrap();
        as_superuser(house.database.url(), "UPDATE octo_layout SET version = 99").await;
        let error = PostgresStore::open(house.options()).await.unwrap_err();
        assert!(
            matches!(error, StoreError::TooNew { found: 99, .. }),
            "{error}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_tables_get_the_sums_by_some_words() {
    in_time(async {
        let house = House::fresh().await;
        let store = house.store().await;
        let task_id = house.running(&store).await;
        let cost = Cost::known("0.75".parse().unwrap(), CostSource::Proxy);
        for model in ["gpt-4o-mini", "claude"] {
            let call_id = call(&store, &task_id).await;
            let answered = ModelCallCompleted {
                model_name: model.to_owned(),
                ..ModelCallCompleted::default()
            };
            let end = answer(answered, &cost).parent(Parent::Event(call_id));
            store.append(commit(&task_id, vec![end])).await.unwrap();
        }
        store.close().await.unwrap();
        let by_some = "SELECT concat_ws(' ', period, scope, alias, category, model, provider, calls,
                              cost_usd * 1000000000000 + cost_pico)
                       FROM cost_sums WHERE period LIKE '%_alias' OR period LIKE '%_model' ORDER BY 1";
        let before = house.sql(by_some).await;
        // One by alias and two by model, of a month, a day and an hour. More if the hour ends meanwhile.
        assert!(before.len() >= 9, "{before:?}");
        let without_any = "DELETE FROM cost_sums WHERE period LIKE '%_alias' OR period LIKE '%_model';
                           UPDATE octo_layout SET version = 3";
        let by_alias_alone = "DELETE FROM cost_sums WHERE period LIKE '%_model';
                              UPDATE cost_sums SET category = '' WHERE period LIKE '%_alias';
                              UPDATE octo_layout SET version = 4";
        for older in [without_any, by_alias_alone] {
            as_superuser(house.database.url(), older).await;
            let store = house.store().await;
            assert_eq!(house.sql(by_some).await, before);
            verified(&store).await;
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_recorded_once_a_newer_version_has_the_tables() {
    in_time(async {
        let house = House::fresh().await;
        let store = house.store().await;
        let task_id = house.running(&store).await;
        let layout = "UPDATE octo_layout SET version = version";
        as_superuser(house.database.url(), &format!("{layout} + 1")).await;
        let refused = store.append(commit(&task_id, vec![message("late")])).await;
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::TooNew { .. }), "{error}");
        let error = store.check().await.unwrap_err();
        assert!(matches!(error, StoreError::TooNew { .. }), "{error}");

        as_superuser(house.database.url(), &format!("{layout} - 1")).await;
        store.check().await.unwrap();
        let recorded = store.append(commit(&task_id, vec![message("late")])).await;
        assert_eq!(
            recorded.unwrap().into_events()[0].task_seq,
            3,
            "no place was left out"
        );
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_waits_for_the_commit_on_its_way_and_counts_it() {
    in_time(async {
        let house = House::fresh().await;
        house.store().await.close().await.unwrap();
        as_superuser(house.database.url(), "UPDATE octo_layout SET version = 3").await;
        let older = connected(house.database.url()).await;
        older
            .batch_execute(&format!("BEGIN; {LOCK}"))
            .await
            .unwrap();
        let recording = async {
            let waiting = "SELECT pid::text FROM pg_locks
                           WHERE locktype = 'advisory' AND NOT granted AND database =
                               (SELECT oid FROM pg_database WHERE datname = current_database())";
            while house.sql(waiting).await.is_empty() {
                tokio::task::yield_now().await;
            }
            let call =
                "INSERT INTO cost_sums VALUES ('month', '2026-03', 'planner', 'main', 'm', 'p',
                            1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 5, 1, 1, 2, 0, 0, 0);
                        COMMIT";
            older.batch_execute(call).await.unwrap();
        };
        let (opened, ()) = tokio::join!(PostgresStore::open(house.options()), recording);
        opened.unwrap().close().await.unwrap();
        let by_alias = "SELECT scope || ' ' || alias FROM cost_sums WHERE period = 'month_alias'";
        assert_eq!(house.sql(by_alias).await, ["2026-03 planner"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_needs_the_tables_and_writes_nothing() {
    in_time(async {
        let house = House::fresh().await;
        let error = PostgresStore::open_read_only(house.options())
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::TooOld { found: 0, .. }),
            "{error}"
        );
        let store = house.store().await;
        let task_id = house.running(&store).await;
        let reader = PostgresStore::open_read_only(house.options())
            .await
            .unwrap();
        assert!(reader.task(&task_id).await.unwrap().is_some());
        verified(&reader).await;
        let refused = reader.save_cursor("me", 1).await.unwrap_err();
        assert!(matches!(refused, StoreError::ReadOnly), "{refused}");
        store.close().await.unwrap();
        reader.close().await.unwrap();
    })
    .await;
}

fn underneath(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

async fn refused(url: &str) -> StoreError {
    let options = PostgresOptions::new(url).unwrap();
    let error = PostgresStore::open(options).await.unwrap_err();
    let told = underneath(&error);
    assert!(!told.contains("s3cret"), "{told}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_told_where_and_what_to_check() {
    in_time(async {
        let server = server();
        let (_, rest) = server.split_once("://").unwrap();
        let place = rest
            .rsplit('@')
            .next()
            .unwrap()
            .split(['/', '?'])
            .next()
            .unwrap();
        let error = refused(&format!(
            "postgres://nobody:s3cret@{place}/octo?sslmode=disable"
        ))
        .await;
        assert!(
            matches!(&error, StoreError::Denied { server, .. } if server.starts_with(place)),
            "{error}"
        );
        let url = format!(
            "postgres://{}@{place}/none_s3ch?sslmode=disable",
            rest.rsplit_once('@').unwrap().0
        );
        let error = PostgresStore::open(PostgresOptions::new(&url).unwrap())
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error}");
        assert!(underneath(&error).contains("none_s3ch"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_unreachable() {
    in_time(async {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = refused(&format!("postgres://octo:s3cret@{address}/octo")).await;
        assert!(error.is_unreachable(), "{error}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_is_not_written_to() {
    in_time(async {
        let house = House::fresh().await;
        house.store().await.close().await.unwrap();
        let name = house.sql("SELECT current_database()::text").await.remove(0);
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
        as_superuser(house.database.url(), &sql).await;
        let error = PostgresStore::open(house.options()).await.unwrap_err();
        assert!(error.is_unreachable(), "{}", underneath(&error));
        PostgresStore::open_read_only(house.options())
            .await
            .unwrap();
    })
    .await;
}
