//! A way to the stand-in upstream.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Uri, header};
use serde_json::json;

use super::load::{self, Load, Open};
use super::report::StreamFigures;
use super::script::Script;
use crate::bench::books::{Seen, books};
use crate::bench::load::Post;
use crate::bench::process::Upstream;
use crate::bench::report::Recorded;
use crate::bench::run;

/// Something that streams answers, by itself or from what is behind it.
pub(super) struct Way {
    pub(super) name: String,
    pub(super) process: u32,
    url: String,
    address: String,
    headers: HeaderMap,
    answered: u64,
    hung_up: u64,
    failed: u64,
}

impl Way {
    pub(super) fn new(name: &str, served: Upstream<'_>, process: u32) -> Result<Self> {
        let Post {
            uri, mut headers, ..
        } = run::post(served)?;
        let address = uri.authority().context("a URL has a host")?.to_string();
        headers.insert(header::HOST, address.parse()?);
        Ok(Self {
            name: name.to_owned(),
            process,
            url: served.url.to_owned(),
            address,
            headers,
            answered: 0,
            hung_up: 0,
            failed: 0,
        })
    }

    fn post(&self, script: Script) -> Post {
        let body = json!({
            "model": run::GROUP,
            "messages": [{"role": "user", "content": script.to_prompt()}],
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        Post {
            uri: Uri::from_static(run::PATH),
            headers: self.headers.clone(),
            body: Bytes::from(body.to_string()),
        }
    }

    pub(super) async fn round(&mut self, load: Load) -> Result<StreamFigures> {
        let post = self.post(load.script);
        let seen = load::round(&self.address, &post, load).await?;
        self.answered += seen.streams;
        self.failed += seen.errors;
        Ok(seen)
    }

    /// Opens so many streams at once, and gives those that began, with the first error.
    pub(super) async fn open(
        &mut self,
        streams: usize,
        script: Script,
    ) -> Result<(Vec<Open>, Option<anyhow::Error>)> {
        let (open, error) = load::open(&self.address, &self.post(script), streams).await?;
        // They end with their caller, each of them.
        self.hung_up += u64::try_from(open.len())?;
        self.failed += u64::try_from(streams - open.len())?;
        Ok((open, error))
    }

    /// What the books of an `octo` hold of all this.
    pub(super) async fn books(&self) -> Result<Recorded> {
        let seen = Seen {
            process: &self.name,
            answered: self.answered,
            hung_up: self.hung_up,
            failed: self.failed,
        };
        books(&self.url, seen).await
    }
}
