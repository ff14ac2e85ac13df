//! The gateways: processes with a folder and an address each, on one database.

use std::net::SocketAddr;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::support::LIMIT;
use crate::support::octo::octo;

pub(crate) const COUNT: usize = 3;

pub(crate) struct Gateways {
    all: Vec<Gateway>,
}

struct Gateway {
    dir: TempDir,
    address: SocketAddr,
    upstream: String,
    database: String,
    child: Mutex<Child>,
}

impl Gateways {
    pub(crate) async fn start(database: &str, upstream: &str) -> Self {
        let mut all = Vec::new();
        for _ in 0..COUNT {
            let dir = tempfile::tempdir().unwrap();
            let any = ([127, 0, 0, 1], 0).into();
            let (child, address) = serve(&dir, upstream, database, any).await;
            all.push(Gateway {
                dir,
                address,
                upstream: upstream.to_owned(),
                database: database.to_owned(),
                child: Mutex::new(child),
            });
        }
        Self { all }
    }

    /// The address of one, counted round and round.
    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        self.all[index % COUNT].address
    }

    /// SIGKILL, and a new one at the same address.
    pub(crate) async fn kill_and_restart(&self, index: usize) {
        let gateway = &self.all[index];
        let mut child = gateway.child.lock().await;
        child.kill().await.unwrap();
        let (dir, address) = (&gateway.dir, gateway.address);
        let started = serve(dir, &gateway.upstream, &gateway.database, address);
        (*child, _) = started.await;
    }

    /// The books of all of them, as `octo store verify` sees them.
    pub(crate) async fn verify(&self, database: &str) {
        let gateway = &self.all[0];
        let output = octo(gateway.dir.path(), &gateway.upstream)
            .env("OCTO_DATABASE_URL", database)
            .args(["store", "verify", "--json"])
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}");
    }

    pub(crate) async fn stop(&self) {
        for gateway in &self.all {
            gateway.child.lock().await.kill().await.unwrap();
        }
    }
}

async fn serve(
    dir: &TempDir,
    upstream: &str,
    database: &str,
    listen: SocketAddr,
) -> (Child, SocketAddr) {
    let mut command: Command = octo(dir.path(), upstream);
    let mut child = command
        .env("OCTO_DATABASE_URL", database)
        .env("OCTO_LISTEN", listen.to_string())
        .arg("serve")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
    let line = line.unwrap().unwrap();
    let line = line.unwrap_or_else(|| panic!("octo ended before it listened"));
    let address = line.strip_prefix("listening on http://").unwrap();
    (child, address.parse().unwrap())
}
