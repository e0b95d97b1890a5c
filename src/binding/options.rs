//! The JSON that `open` takes. `lib/options.js` has validated it and filled in what users left out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::Failure;
use crate::engine::{Address, Config, Limits, NodeId, Profile};
use crate::net;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options<'a> {
    host: Option<String>,
    port: u16,
    listen: bool,
    learn: bool,
    observer: bool,
    follows: bool,
    introductions: bool,
    ready_with_one: bool,
    /// 24 hex digits.
    id: Option<String>,
    name: String,
    tags: BTreeMap<String, String>,
    advertised: Option<String>,
    connect: Vec<String>,
    cluster: Option<String>,
    insecure: bool,
    limits: LimitOptions,
    max_bytes: Option<usize>,
    /// Milliseconds, these four.
    ready_timeout: Option<u64>,
    forget_after: Option<u64>,
    heartbeat_interval: Option<u64>,
    loss_timeout: Option<u64>,
    /// 32 bytes of the operating system's entropy as hex digits: Rust's standard library offers
    /// none, Node.js does.
    #[serde(borrow)]
    seed: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LimitOptions {
    key_bytes: Option<usize>,
    depth: Option<usize>,
    value_bytes: Option<usize>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            host: None,
            port: 0,
            listen: true,
            learn: false,
            observer: false,
            follows: true,
            introductions: false,
            ready_with_one: false,
            id: None,
            name: String::new(),
            tags: BTreeMap::new(),
            advertised: None,
            connect: Vec::new(),
            cluster: None,
            insecure: false,
            limits: LimitOptions::default(),
            max_bytes: None,
            ready_timeout: None,
            forget_after: None,
            heartbeat_interval: None,
            loss_timeout: None,
            seed: Cow::Borrowed(""),
        }
    }
}

pub fn parse(json: &str) -> Result<net::Options, Failure> {
    let options: Options = serde_json::from_str(json)
        .map_err(|error| Failure::invalid_argument(format!("Invalid options: {error}")))?;
    let seed = parse_hex(&options.seed).ok_or_else(|| {
        Failure::invalid_argument("Invalid options: `seed` must be 64 hexadecimal digits")
    })?;
    let node = match &options.id {
        Some(id) => Some(NodeId(parse_hex(id).ok_or_else(|| {
            Failure::invalid_argument("Invalid options: `id` must be 24 hexadecimal digits")
        })?)),
        None => None,
    };
    let default = Config::default();
    let limits = options.limits;
    let tags = options.tags.into_iter().map(|(key, value)| (key.into(), value.into()));
    let config = Config {
        cluster: options.cluster.unwrap_or(default.cluster),
        node,
        profile: Profile { name: options.name.into(), tags: tags.collect() },
        learn_addresses: options.learn,
        observer: options.observer,
        follows: options.follows,
        introductions: options.introductions,
        ready_with_one: options.ready_with_one,
        advertised: options.advertised.map(Address::new),
        ready_timeout_ms: options.ready_timeout.unwrap_or(default.ready_timeout_ms),
        forget_after_ms: options.forget_after.unwrap_or(default.forget_after_ms),
        heartbeat_interval_ms: options.heartbeat_interval.unwrap_or(default.heartbeat_interval_ms),
        loss_timeout_ms: options.loss_timeout.unwrap_or(default.loss_timeout_ms),
        document_bytes_max: options.max_bytes,
        limits: Limits {
            key_bytes_max: limits.key_bytes.unwrap_or(default.limits.key_bytes_max),
            depth_max: limits.depth.unwrap_or(default.limits.depth_max),
            value_bytes_max: limits.value_bytes.unwrap_or(default.limits.value_bytes_max),
        },
        ..default
    };
    let host = options.host.unwrap_or_else(|| "127.0.0.1".into());
    Ok(net::Options {
        config,
        listen: options.listen.then_some((host, options.port)),
        connect: options.connect.into_iter().map(Address::new).collect(),
        seed,
        credentials: None,
        insecure: options.insecure,
    })
}

fn parse_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digits = hex.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(bytes)
}
