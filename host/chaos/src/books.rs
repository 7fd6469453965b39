//! What is left in a simulated cloud, and what was done in its instances.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::site::{Site, SiteError};

/// The pages of the cloud's own books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// How many of each kind there are in each region: `image in cn-hangzhou`.
    pub counts: BTreeMap<String, usize>,
    /// The images, by region.
    pub images: Vec<(String, String)>,
}

impl Books {
    /// Reads them.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn read(site: &Site) -> Result<Self, SiteError> {
        Ok(Self::of(
            &site.admin("GET", "/-/ledger", json!(null)).await?,
        ))
    }

    /// As `GET /-/ledger` answered.
    pub fn of(ledger: &Value) -> Self {
        let mut books = Self::default();
        for entry in list(ledger, "entries") {
            let (kind, region) = (text(entry, "kind"), text(entry, "region"));
            *books
                .counts
                .entry(format!("{kind} in {region}"))
                .or_default() += 1;
            if kind == "image" {
                books.images.push((region, text(entry, "resource")));
            }
        }
        books.images.sort();
        books
    }
}

/// How often each script was executed in each instance, by the mark in it: the path of
/// its step and its attempt. A request that is repeated with its token is not executed
/// again.
///
/// # Errors
/// When the cloud refuses.
pub async fn executions(site: &Site) -> Result<BTreeMap<String, usize>, SiteError> {
    Ok(executions_of(
        &site.admin("GET", COMMANDS, json!(null)).await?,
    ))
}

/// What [`executions_of`] reads.
pub const COMMANDS: &str = "/-/requests?action=RunCommand&limit=10000";

/// As `GET` [`COMMANDS`] answered.
pub fn executions_of(asked: &Value) -> BTreeMap<String, usize> {
    let mut tokens: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for request in list(asked, "requests") {
        let params = request.get("params").cloned().unwrap_or_default();
        let done = request.get("status").and_then(Value::as_u64) == Some(200);
        let content = BASE64.decode(text(&params, "CommandContent"));
        let content = content.unwrap_or_else(|_| text(&params, "CommandContent").into_bytes());
        let content = String::from_utf8_lossy(&content).into_owned();
        let mark = content.lines().find(|line| line.starts_with("# darkroom "));
        if let (true, Some(mark)) = (done, mark) {
            let run = content.lines().find(|line| line.starts_with("run="));
            let instance = text(&params, "InstanceId.1");
            let what = format!("{} {mark}", run.unwrap_or_default());
            let seen = tokens.entry((what, instance)).or_default();
            let token = text(&params, "ClientToken");
            if !seen.contains(&token) {
                seen.push(token);
            }
        }
    }
    let mut counts = BTreeMap::new();
    for ((what, _), seen) in tokens {
        let most: &mut usize = counts.entry(what).or_default();
        *most = seen.len().max(*most);
    }
    counts
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
