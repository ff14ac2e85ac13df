//! Whether the Postgres database can be used.

use event_store::StoreError;

use super::{Finding, Level, finding};
use crate::config::Config;
use crate::storage;

const CHECK: &str = "store";

pub(super) async fn finding_of(config: &Config) -> Finding {
    let server = match storage::postgres(&config.storage) {
        Ok(options) => options.map_or_else(String::new, |options| options.server()),
        Err(error) => return problem(&error),
    };
    match storage::open_read_only(&config.storage).await {
        Ok(_) => finding(
            CHECK,
            Level::Ok,
            format!("Postgres at {server} can be read"),
            "",
        ),
        Err(StoreError::TooOld { found: 0, .. }) => finding(
            CHECK,
            Level::Ok,
            format!("Postgres at {server} has no tables of octo yet, octo serve makes them"),
            "",
        ),
        Err(StoreError::TooOld { .. }) => finding(
            CHECK,
            Level::Ok,
            format!("Postgres at {server} is of an older version, octo serve brings it up to date"),
            "",
        ),
        Err(error) => problem(&error),
    }
}

fn problem(error: &StoreError) -> Finding {
    let underneath =
        std::iter::successors(std::error::Error::source(error), |error| error.source());
    let message = underneath.fold(error.to_string(), |text, error| format!("{text}: {error}"));
    finding(
        CHECK,
        Level::Problem,
        message,
        "correct OCTO_DATABASE_URL, or start the database server",
    )
}
