//! The JSON that a drain returns, and that of `ask` and `keys`.
//!
//! A drain gives one array: events as objects, then items of jobs as arrays that begin with a
//! number. Values of items are JSON text already, checked when they came, and go in as they are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arguments::kind_of;
use crate::engine::{
    Asked, CatchUp, Change, Changes, Container, End, Item, Outcome, Page, ReplicaId, Running,
    Standing, Stop,
};
use crate::net::NodeEvent;

/// One event as "The binding's contract" in `docs/ARCHITECTURE.md` writes it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Told<'a> {
    Listening {
        address: Bound<'a>,
    },
    Error {
        code: &'a str,
        message: &'a str,
        syscall: &'a str,
        address: &'a str,
        port: u16,
    },
    Connect {
        peer: String,
        node: String,
        name: &'a str,
        tags: BTreeMap<&'a str, &'a str>,
        address: Option<&'a str>,
        advertised: Option<&'a str>,
        observer: bool,
    },
    ConnectFailed {
        code: &'a str,
        message: &'a str,
        syscall: &'a str,
        address: &'a str,
        port: u16,
    },
    Disconnect {
        peer: String,
        address: Option<&'a str>,
        code: &'a str,
    },
    Busy {
        peer: String,
    },
    Replicated {
        wait: u64,
        peers: usize,
    },
    Ready,
    Warning {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
    },
    Closed,
}

/// As Node.js's `server.address()`.
#[derive(Serialize)]
struct Bound<'a> {
    address: &'a str,
    family: &'a str,
    port: u16,
}

#[derive(Serialize)]
struct Keys<'a> {
    array: bool,
    length: u32,
    keys: &'a [String],
}

/// Bytes set aside for an item besides its values.
const ITEM_BYTES: usize = 96;
/// Those of a node: its digits, quotes and a comma.
const NODE_BYTES: usize = 19;

/// All that a drain gives.
pub fn drain_json(events: &[NodeEvent], items: &[Item]) -> serde_json::Result<String> {
    let mut json = String::with_capacity(16 + items.iter().map(size).sum::<usize>());
    json.push('[');
    for event in events {
        separate(&mut json);
        json.push_str(&serde_json::to_string(&tell(event))?);
    }
    for item in items {
        separate(&mut json);
        push_item(&mut json, item)?;
    }
    json.push(']');
    Ok(json)
}

fn separate(json: &mut String) {
    if json.len() > 1 {
        json.push(',');
    }
}

fn size(item: &Item) -> usize {
    let values = match item {
        Item::Run { args, trace, .. } => args.len() + trace.len(),
        Item::Emitted { args, .. } => args.len(),
        Item::Outcome { outcome: Outcome::Ok(value) | Outcome::Error(value), .. } => value.len(),
        _ => 0,
    };
    ITEM_BYTES + values
}

/// An item as "The binding's contract" in `docs/ARCHITECTURE.md` writes it.
fn push_item(json: &mut String, item: &Item) -> serde_json::Result<()> {
    match item {
        Item::Run { run, offer, name, args, caller, job, remaining_ms, trace } => {
            json.push_str("[0,");
            push_number(json, run.0);
            json.push(',');
            push_number(json, kind_of(*offer).into());
            json.push(',');
            json.push_str(&serde_json::to_string(&**name)?);
            json.push(',');
            push_node(json, *caller);
            json.push(',');
            push_number(json, *remaining_ms);
            json.push(',');
            json.push_str(args);
            json.push(',');
            push_number(json, job.0);
            if !trace.is_empty() {
                json.push(',');
                json.push_str(&serde_json::to_string(&**trace)?);
            }
        }
        Item::Stop { run, why } => {
            json.push_str("[1,");
            push_number(json, run.0);
            match why {
                Stop::Timeout => json.push_str(",0"),
                Stop::Cancelled(reason) => {
                    json.push_str(",1,");
                    json.push_str(reason);
                }
                Stop::CallerLost => json.push_str(",2"),
            }
        }
        Item::Outcome { job, node, outcome } => {
            json.push_str("[2,");
            push_number(json, job.0);
            json.push(',');
            push_node(json, *node);
            match outcome {
                Outcome::Ok(value) => {
                    json.push_str(",0,");
                    json.push_str(value);
                }
                Outcome::Error(description) => {
                    json.push_str(",1,");
                    json.push_str(description);
                }
                Outcome::NoWorker => json.push_str(",2"),
                Outcome::Lost => json.push_str(",3"),
                Outcome::Timeout => json.push_str(",4"),
                Outcome::Aborted => json.push_str(",5"),
                Outcome::Busy => json.push_str(",6"),
            }
        }
        Item::Ended { job, end } => {
            json.push_str("[3,");
            push_number(json, job.0);
            json.push_str(match end {
                End::Complete => ",0",
                End::Timeout => ",1",
                End::Aborted => ",2",
            });
        }
        Item::Emitted { peer, name, args } => {
            json.push_str("[4,");
            push_node(json, *peer);
            json.push(',');
            json.push_str(&serde_json::to_string(&**name)?);
            json.push(',');
            json.push_str(args);
        }
    }
    json.push(']');
    Ok(())
}

/// What `ask` returns: the number of the job, then the nodes asked.
pub fn asked_json(asked: &Asked) -> String {
    let mut json = String::with_capacity(ITEM_BYTES + NODE_BYTES * asked.nodes.len());
    json.push('[');
    push_number(&mut json, asked.job.0);
    for &node in &asked.nodes {
        json.push(',');
        push_node(&mut json, node);
    }
    json.push(']');
    json
}

/// What `page` returns: names, each with its value.
pub fn page_json(page: &Page) -> serde_json::Result<String> {
    let mut json = String::from(if page.more { "[true" } else { "[false" });
    for (name, value) in &page.members {
        json.push(',');
        json.push_str(&serde_json::to_string(name)?);
        json.push(',');
        json.push_str(value);
    }
    json.push(']');
    Ok(json)
}

/// What `changes` returns: whether some were skipped and whether others wait, then each as its
/// path, 1 if this node has made it, and the value if there is one.
pub fn changes_json(changes: &Changes) -> serde_json::Result<String> {
    let mut json = format!("[{},{}", changes.skipped, changes.more);
    for Change { path, own, json: value } in &changes.changes {
        json.push_str(",[");
        json.push_str(&serde_json::to_string(path)?);
        json.push_str(if *own { ",1" } else { ",0" });
        if let Some(value) = value {
            json.push(',');
            json.push_str(value);
        }
        json.push(']');
    }
    json.push(']');
    Ok(json)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Job<'a> {
    job: u64,
    name: &'a str,
    age_ms: u64,
    remaining_ms: u64,
    outcomes: Vec<(String, Option<u8>)>,
}

/// What `jobs` returns.
pub fn jobs_json(running: &[Running]) -> serde_json::Result<String> {
    let told = running.iter().map(|running| Job {
        job: running.job.0,
        name: &running.name,
        age_ms: running.age_ms,
        remaining_ms: running.remaining_ms,
        outcomes: (running.outcomes.iter())
            .map(|(node, status)| (node.to_string(), status.map(|status| status as u8)))
            .collect(),
    });
    serde_json::to_string(&told.collect::<Vec<_>>())
}

/// What `catchUp` returns.
pub fn catch_up_json(donor: ReplicaId, far: &CatchUp) -> serde_json::Result<String> {
    serde_json::to_string(&(donor.to_string(), far))
}

pub fn standing_json(standing: &Standing) -> serde_json::Result<String> {
    let Standing { rtt_ms, lag, same_context, same_hash } = standing;
    serde_json::to_string(&(rtt_ms, lag, same_context, same_hash))
}

/// Cheaper than `write!`, and there are a few for each item.
fn push_number(json: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    push_ascii(json, &digits[start..]);
}

/// As `ReplicaId` displays itself, in quotes.
fn push_node(json: &mut String, node: ReplicaId) {
    let digits: [u8; 16] = std::array::from_fn(|place| {
        let digit = node.0 >> (4 * (15 - place)) & 0xf;
        b"0123456789abcdef"[digit as usize]
    });
    json.push('"');
    push_ascii(json, &digits);
    json.push('"');
}

fn push_ascii(json: &mut String, digits: &[u8]) {
    json.push_str(std::str::from_utf8(digits).unwrap_or_default());
}

pub fn container_json(container: &Container) -> serde_json::Result<String> {
    let Container { array, length, keys } = container;
    serde_json::to_string(&Keys { array: *array, length: *length, keys })
}

fn tell(event: &NodeEvent) -> Told<'_> {
    match event {
        NodeEvent::Listening { host, port, family } => {
            Told::Listening { address: Bound { address: host, family, port: *port } }
        }
        NodeEvent::ListenFailed { code, message, syscall, address, port } => {
            Told::Error { code, message, syscall, address, port: *port }
        }
        NodeEvent::PeerUp { peer, node, profile, address, advertised, observer } => Told::Connect {
            node: node.to_string(),
            name: &profile.name,
            tags: profile.tags.iter().map(|(key, value)| (&**key, &**value)).collect(),
            peer: peer.to_string(),
            address: address.as_ref().map(|address| &*address.0),
            advertised: advertised.as_ref().map(|address| &*address.0),
            observer: *observer,
        },
        NodeEvent::ConnectFailed { code, message, syscall, address, port } => {
            Told::ConnectFailed { code, message, syscall, address, port: *port }
        }
        NodeEvent::PeerDown { peer, address, code } => Told::Disconnect {
            peer: peer.to_string(),
            address: address.as_ref().map(|address| &*address.0),
            code,
        },
        NodeEvent::Replicated { wait, peers } => Told::Replicated { wait: wait.0, peers: *peers },
        NodeEvent::PeerBusy { peer } => Told::Busy { peer: peer.to_string() },
        NodeEvent::Ready => Told::Ready,
        NodeEvent::Warning { code, message, peer } => {
            Told::Warning { code, message, peer: peer.map(|peer| peer.to_string()) }
        }
        NodeEvent::Closed => Told::Closed,
    }
}
