//! Commits that are cut off in the middle: by a relay that breaks the connection exactly there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use event_store::{EventStore, PostgresOptions, PostgresStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::events::{commit, message};
use crate::house::{House, in_time, seqs, verified};

/// Long enough for a machine that is busy.
const LEASE: Duration = Duration::from_secs(2);

/// What both ends of a commit say: the client in its question, the server in its answer.
const WORD: &[u8] = b"COMMIT\0";

/// Where the next connection is cut.
const NOWHERE: u8 = 0;
const BEFORE_IT_ARRIVES: u8 = 1;
const BEFORE_IT_IS_ANSWERED: u8 = 2;
/// Cut, and no new connection either.
const AND_FOR_GOOD: u8 = 3;
const GONE: u8 = 4;
/// Not cut, but silent from where a program says that it is alive.
const HUNG_IN_A_RENEWAL: u8 = 5;

/// What a renewal of a lease says.
const RENEWAL: &[u8] = b"INSERT INTO gateways";

struct Relay {
    url: String,
    cut: Arc<AtomicU8>,
    _running: JoinSet<()>,
}

impl Relay {
    async fn to(url: &str) -> Self {
        let (start, rest) = url.split_once("://").unwrap();
        let (login, rest) = rest.rsplit_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(AtomicU8::new(NOWHERE));
        let mut running = JoinSet::new();
        running.spawn(accept(listener, server.to_owned(), Arc::clone(&cut)));
        Self {
            url: format!("{start}://{login}@{address}/{database}"),
            cut,
            _running: running,
        }
    }

    fn cut(&self, place: u8) {
        self.cut.store(place, Ordering::SeqCst);
    }

    fn was_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst) == NOWHERE
    }

    async fn store(&self, retry_for: Duration) -> PostgresStore {
        let options = PostgresOptions::new(&self.url).unwrap();
        PostgresStore::open(options.retry_for(retry_for))
            .await
            .unwrap()
    }
}

async fn accept(listener: TcpListener, server: String, cut: Arc<AtomicU8>) {
    let mut pairs = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if cut.load(Ordering::SeqCst) == GONE {
            continue;
        }
        let server = TcpStream::connect(&server).await.unwrap();
        let cut = Arc::clone(&cut);
        pairs.spawn(async move {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            // The first that ends takes the other along, and both connections with it.
            tokio::select! {
                () = forward(from_client, to_server, &cut, &[BEFORE_IT_ARRIVES]) => {}
                () = forward(from_server, to_client, &cut, &[BEFORE_IT_IS_ANSWERED, AND_FOR_GOOD]) => {}
            }
        });
    }
}

/// Hands bytes on, until the word comes that it is to break off at.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: &AtomicU8, at: &[u8]) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let bytes = buffer.get(..count).unwrap();
        let says = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
        let place = cut.load(Ordering::SeqCst);
        if place == HUNG_IN_A_RENEWAL && says(RENEWAL) {
            cut.store(NOWHERE, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        if at.contains(&place) && says(WORD) {
            let then = if place == AND_FOR_GOOD { GONE } else { NOWHERE };
            cut.store(then, Ordering::SeqCst);
            return;
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_cut_off_is_recorded_once() {
    in_time(async {
        let house = House::fresh().await;
        let relay = Relay::to(house.database.url()).await;
        let store = relay.store(Duration::from_secs(10)).await;
        let task_id = house.running(&store).await;
        for (round, place) in [BEFORE_IT_ARRIVES, BEFORE_IT_IS_ANSWERED]
            .iter()
            .cycle()
            .take(8)
            .enumerate()
        {
            relay.cut(*place);
            let key = format!("{round}");
            let events = store
                .append(commit(&task_id, vec![message("a").key(key)]))
                .await
                .unwrap()
                .into_events();
            assert!(relay.was_cut());
            assert_eq!(
                store.events(&task_id, 2, 100).await.unwrap().last(),
                events.last()
            );
        }
        let expected: Vec<u64> = (1..=10).collect();
        assert_eq!(seqs(&store, &task_id).await, expected);
        verified(&store).await;
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_can_ask_about_is_in_doubt() {
    in_time(async {
        let house = House::fresh().await;
        let relay = Relay::to(house.database.url()).await;
        let store = relay.store(Duration::from_millis(300)).await;
        let task_id = house.running(&store).await;
        relay.cut(AND_FOR_GOOD);
        let again = || commit(&task_id, vec![message("a").key("once")]);
        let error = store.append(again()).await.unwrap_err();
        assert!(error.is_in_doubt(), "{error}");
        let error = store.append(again()).await.unwrap_err();
        assert!(error.is_unreachable(), "{error}");
        relay.cut(NOWHERE);
        // It was recorded: who asks again with its key is told so.
        let error = store.append(again()).await.unwrap_err();
        assert_eq!(error.duplicate_of(), Some(&task_id));
        store.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_hangs_does_not_cost_the_lease() {
    in_time(async {
        let house = House::fresh().await;
        let relay = Relay::to(house.database.url()).await;
        let options = PostgresOptions::new(&relay.url).unwrap().lease(LEASE);
        let store = PostgresStore::open(options).await.unwrap();
        let until = async || {
            let sql = "SELECT expires_at::text || ' ' || (expires_at > clock_timestamp())::text
                       FROM gateways";
            let row = house.sql(sql).await.remove(0);
            assert!(row.ends_with(" true"), "the lease has lapsed: {row}");
            row
        };
        relay.cut(HUNG_IN_A_RENEWAL);
        while !relay.was_cut() {
            tokio::time::sleep(LEASE / 40).await;
        }
        let hung = until().await;
        while until().await == hung {
            tokio::time::sleep(LEASE / 40).await;
        }
        store.close().await.unwrap();
    })
    .await;
}
