//! A real Postgres: stopped, killed, started again, and gone without a trace.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use real_stack::{Postgres, Servers};

/// Set for the process that is to be killed with a server in its hands.
const OWNER: &str = "OCTO_TEST_OWNER_OF_POSTGRES";

fn servers() -> Servers {
    Servers::ensure(|_step| ()).unwrap()
}

/// Whether it has not ended. One that only waits to be reaped has: whose child it is by now decides when.
fn is_there(process: u32) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &process.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

fn data(postgres: &Postgres) -> PathBuf {
    PathBuf::from(postgres.query("show data_directory").unwrap())
}

/// A client that keeps one process of the server busy for ever.
fn busy_client(servers: &Servers, postgres: &Postgres) -> Child {
    Command::new(servers.postgres_bin().join("psql"))
        .args(["-X", "-c", "do $$ begin loop end loop; end $$"])
        .arg(postgres.url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The process of the server that is busy, as soon as there is one.
fn busy_backend(postgres: &Postgres) -> u32 {
    let busy = "select pid from pg_stat_activity where state = 'active' and query like 'do %'";
    let since = Instant::now();
    loop {
        if let Ok(process) = postgres.query(busy).unwrap().parse() {
            return process;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "nobody is busy");
    }
}

#[tokio::test]
async fn a_killed_server_starts_again_with_all_that_was_committed() {
    let servers = servers();
    let mut postgres = Postgres::start(&servers).await.unwrap();
    assert_eq!(postgres.query("select 1").unwrap(), "1");
    postgres
        .query("create table kept (id int); insert into kept values (7)")
        .unwrap();
    let mut client = busy_client(&servers, &postgres);
    let backend = busy_backend(&postgres);
    let (url, postmaster, data) = (postgres.url(), postgres.pid().unwrap(), data(&postgres));

    postgres.kill().unwrap();
    assert_eq!([postmaster, backend].map(is_there), [false, false]);
    assert!(!client.wait().unwrap().success());
    assert!(postgres.query("select 1").is_err());
    assert!(data.join("postmaster.pid").exists(), "it ended in order");

    postgres.restart().await.unwrap();
    assert_eq!(postgres.url(), url);
    assert_ne!(postgres.pid().unwrap(), postmaster);
    assert_eq!(postgres.query("select id from kept").unwrap(), "7");
    let log = std::fs::read_to_string(postgres.log()).unwrap();
    assert!(log.contains("was not properly shut down"), "{log}");
}

#[tokio::test]
async fn a_stopped_server_has_nothing_to_recover() {
    let mut postgres = Postgres::start(&servers()).await.unwrap();
    postgres.query("create table kept (id int)").unwrap();
    postgres.stop().await.unwrap();
    assert!(postgres.pid().is_err());
    postgres.restart().await.unwrap();
    assert_eq!(postgres.query("select count(*) from kept").unwrap(), "0");
    let log = std::fs::read_to_string(postgres.log()).unwrap();
    assert!(!log.contains("was not properly shut down"), "{log}");
}

#[tokio::test]
async fn a_database_of_its_own_is_empty_and_its_name_cannot_be_sql() {
    let postgres = Postgres::start(&servers()).await.unwrap();
    let url = postgres.database("queue_1").unwrap();
    assert_eq!(url, postgres.url().replace("/postgres", "/queue_1"));
    let names = "select string_agg(datname, ' ' order by datname) from pg_database";
    assert_eq!(
        postgres.query(names).unwrap(),
        "postgres queue_1 template0 template1"
    );
    let taken = postgres.database("queue_1").unwrap_err().to_string();
    assert!(taken.contains("already exists"), "{taken}");
    for name in ["", "Queue", "a\"; drop database queue_1; --"] {
        let refused = postgres.database(name).unwrap_err().to_string();
        assert!(refused.contains("is no name for a database"), "{refused}");
    }
}

#[tokio::test]
async fn it_is_as_durable_as_a_server_in_production() {
    let postgres = Postgres::start(&servers()).await.unwrap();
    for (setting, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
    ] {
        let shown = postgres.query(&format!("show {setting}")).unwrap();
        assert_eq!(shown, value, "{setting}");
    }
}

#[tokio::test]
async fn a_standby_takes_the_place_of_a_killed_primary_and_has_all_that_was_confirmed() {
    let servers = servers();
    let mut primary = Postgres::start(&servers).await.unwrap();
    let standby = Postgres::standby(&servers, &primary).await.unwrap();
    primary
        .query("alter system set synchronous_standby_names = '*'")
        .unwrap();
    primary.query("select pg_reload_conf()").unwrap();
    let state = "select sync_state from pg_stat_replication";
    let since = Instant::now();
    while primary.query(state).unwrap() != "sync" {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "it is not in step"
        );
    }
    primary
        .query("create table kept (id int); insert into kept values (7)")
        .unwrap();
    let refused = standby.query("create table other (id int)").unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");

    primary.kill().unwrap();
    standby.promote().unwrap();
    standby.query("insert into kept values (8)").unwrap();
    let kept = "select string_agg(id::text, ' ' order by id) from kept";
    assert_eq!(standby.query(kept).unwrap(), "7 8");
    assert!(standby.promote().is_err(), "it is no standby any more");
}

#[tokio::test]
async fn nothing_is_left_of_a_server_however_it_went() {
    let servers = servers();
    let dropped = Postgres::start(&servers).await.unwrap();
    let mut killed = Postgres::start(&servers).await.unwrap();
    let seen = [&dropped, &killed].map(|postgres| (postgres.pid().unwrap(), data(postgres)));
    let memory = seen.clone().map(|(_, data)| shared_memory(&data));
    assert!(memory.iter().all(|id| is_held(id)), "{memory:?}");

    killed.kill().unwrap();
    drop(killed);
    drop(dropped);
    for (postmaster, data) in &seen {
        assert!(!is_there(*postmaster));
        assert!(!data.parent().unwrap().exists(), "{}", data.display());
    }
    assert!(!memory.iter().any(|id| is_held(id)), "{memory:?}");
}

/// The number of the server's piece of System V shared memory: line 7 of its `postmaster.pid`.
fn shared_memory(data: &Path) -> String {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    let line = text.lines().nth(6).unwrap();
    line.split_whitespace().last().unwrap().to_owned()
}

fn is_held(memory: &str) -> bool {
    let output = Command::new("ipcs").arg("-m").output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    table.split_whitespace().any(|field| field == memory)
}

#[tokio::test]
async fn a_server_ends_with_the_process_that_started_it_and_takes_its_folder_along() {
    if std::env::var_os(OWNER).is_some() {
        let postgres = Postgres::start(&servers()).await.unwrap();
        println!(
            "\nowned {} {}",
            postgres.pid().unwrap(),
            data(&postgres).display()
        );
        // Until somebody kills us.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let name = "a_server_ends_with_the_process_that_started_it_and_takes_its_folder_along";
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(OWNER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let told = lines
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("owned ").map(str::to_owned))
        .unwrap();
    let (postmaster, data) = told.split_once(' ').unwrap();
    let (postmaster, folder) = (
        postmaster.parse().unwrap(),
        Path::new(data).parent().unwrap(),
    );
    assert!(is_there(postmaster) && folder.exists());

    owner.kill().unwrap();
    owner.wait().unwrap();
    let since = Instant::now();
    while is_there(postmaster) || folder.exists() {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "it is still there"
        );
        std::thread::yield_now();
    }
}
