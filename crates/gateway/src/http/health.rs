//! `/health` says that the process answers, `/ready` that it can do its job.

use std::path::Path;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use provider_litellm::ProbeError;
use serde::{Deserialize, Serialize};

use super::ApiError;
use crate::app::App;

/// With less than this the next artifact may not fit.
const MIN_DISK_MB: u64 = 100;
/// Longest time that a probe of the proxy may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Longest time that the store may take.
const STORE_LIMIT: Duration = Duration::from_secs(5);

const OK: &str = "ok";
const SKIPPED: &str = "skipped";

#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Profile {
    Core,
    Llm,
    Full,
}

#[derive(Deserialize)]
pub(super) struct ReadyQuery {
    profile: Option<Profile>,
}

#[derive(Serialize)]
pub(super) struct Ready {
    status: &'static str,
    profile: Profile,
    checks: Checks,
}

/// `sqlite` is in the answer whichever store runs: that is where existing probes look.
#[derive(Serialize)]
struct Checks {
    sqlite: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    postgres: Option<String>,
    artifacts_dir: String,
    disk_space_mb: Option<u64>,
    litellm_proxy: String,
}

pub(super) async fn health() -> Json<Health> {
    Json(Health { status: OK })
}

pub(super) async fn ready(
    State(app): State<App>,
    query: Result<Query<ReadyQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<(StatusCode, Json<Ready>), ApiError> {
    let Query(query) =
        query.map_err(|_| ApiError::validation("`profile` is one of core, llm, full"))?;
    let profile = query.profile.unwrap_or(Profile::Core);
    let checks = checks(&app, profile).await;
    let ready = checks.all_good();
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let status = if ready { "ready" } else { "not_ready" };
    Ok((
        code,
        Json(Ready {
            status,
            profile,
            checks,
        }),
    ))
}

async fn checks(app: &App, profile: Profile) -> Checks {
    let litellm_proxy = litellm_proxy(app, profile).await;
    let store = store(app).await;
    if app.config.storage.database_url.is_some() {
        // No file and no folder here is of any use to the store.
        return Checks {
            sqlite: SKIPPED.to_owned(),
            postgres: Some(store),
            artifacts_dir: SKIPPED.to_owned(),
            disk_space_mb: None,
            litellm_proxy,
        };
    }
    let folder = &app.config.storage.artifacts_dir;
    Checks {
        sqlite: store,
        postgres: None,
        artifacts_dir: artifacts_dir(folder),
        disk_space_mb: disk_space_mb(folder),
        litellm_proxy,
    }
}

async fn store(app: &App) -> String {
    match tokio::time::timeout(STORE_LIMIT, app.store.check()).await {
        Ok(Ok(())) => OK.to_owned(),
        Ok(Err(error)) => format!("error: {error}"),
        Err(_) => format!("error: no answer within {} s", STORE_LIMIT.as_secs()),
    }
}

impl Checks {
    fn all_good(&self) -> bool {
        let good = |check: &str| check == OK || check == SKIPPED;
        good(&self.sqlite)
            && self.postgres.as_deref().is_none_or(good)
            && good(&self.artifacts_dir)
            && good(&self.litellm_proxy)
            && self.disk_space_mb.is_none_or(|mb| mb >= MIN_DISK_MB)
    }
}

fn artifacts_dir(dir: &Path) -> String {
    use rustix::fs::{Access, access};
    match access(dir, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => OK.to_owned(),
        Err(error) => format!("error: {} is not writable: {error}", dir.display()),
    }
}

/// What is left for us on the disk; nothing if the system does not say.
fn disk_space_mb(dir: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(dir).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize) >> 20)
}

/// A real, authenticated probe: a wrong key is not `ok`.
async fn litellm_proxy(app: &App, profile: Profile) -> String {
    let Some(proxy) = &app.proxy else {
        return SKIPPED.to_owned();
    };
    if profile == Profile::Core {
        return SKIPPED.to_owned();
    }
    match proxy.probe(PROBE_LIMIT).await {
        Ok(()) => OK.to_owned(),
        Err(error @ ProbeError::Unreachable { .. }) => {
            tracing::warn!(%error, "the proxy does not answer the readiness probe");
            "unreachable".to_owned()
        }
        Err(error) => format!("error: {error}"),
    }
}
