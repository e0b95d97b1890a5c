//! The JSON that a drain returns, and that of `keys`.
//!
//! A drain gives one array: events as objects, then items of jobs as arrays that begin with a
//! number. Values of items are JSON text already, checked when they came, and go in as they are.

use std::fmt::Write;

use serde::Serialize;

use super::arguments::kind_of;
use crate::engine::{Container, End, Item, Outcome, Stop};
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
        address: Option<&'a str>,
        advertised: Option<&'a str>,
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
        Item::Run { args, .. } | Item::Emitted { args, .. } => args.len(),
        Item::Outcome { outcome: Outcome::Ok(value) | Outcome::Error(value), .. } => value.len(),
        _ => 0,
    };
    ITEM_BYTES + values
}

/// An item as "The binding's contract" in `docs/ARCHITECTURE.md` writes it.
fn push_item(json: &mut String, item: &Item) -> serde_json::Result<()> {
    // Writing into a String cannot fail.
    let _ = match item {
        Item::Run { run, offer, name, args, caller, remaining_ms } => {
            let (run, kind) = (run.0, kind_of(*offer));
            let name = serde_json::to_string(&**name)?;
            write!(json, "[0,{run},{kind},{name},\"{caller}\",{remaining_ms},{args}]")
        }
        Item::Stop { run, why } => match why {
            Stop::Timeout => write!(json, "[1,{},0]", run.0),
            Stop::Cancelled(reason) => write!(json, "[1,{},1,{reason}]", run.0),
            Stop::CallerLost => write!(json, "[1,{},2]", run.0),
        },
        Item::Outcome { job, node, outcome } => {
            let status = match outcome {
                Outcome::Ok(_) => 0,
                Outcome::Error(_) => 1,
                Outcome::NoWorker => 2,
                Outcome::Lost => 3,
                Outcome::Timeout => 4,
                Outcome::Aborted => 5,
                Outcome::Busy => 6,
            };
            let job = job.0;
            match outcome {
                Outcome::Ok(value) | Outcome::Error(value) => {
                    write!(json, "[2,{job},\"{node}\",{status},{value}]")
                }
                _ => write!(json, "[2,{job},\"{node}\",{status}]"),
            }
        }
        Item::Ended { job, end } => {
            let end = match end {
                End::Complete => 0,
                End::Timeout => 1,
                End::Aborted => 2,
            };
            write!(json, "[3,{},{end}]", job.0)
        }
        Item::Emitted { peer, name, args } => {
            let name = serde_json::to_string(&**name)?;
            write!(json, "[4,\"{peer}\",{name},{args}]")
        }
    };
    Ok(())
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
        NodeEvent::PeerUp { peer, node, address, advertised } => Told::Connect {
            node: node.to_string(),
            peer: peer.to_string(),
            address: address.as_ref().map(|address| &*address.0),
            advertised: advertised.as_ref().map(|address| &*address.0),
        },
        NodeEvent::ConnectFailed { code, message, syscall, address, port } => {
            Told::ConnectFailed { code, message, syscall, address, port: *port }
        }
        NodeEvent::PeerDown { peer, address, code } => Told::Disconnect {
            peer: peer.to_string(),
            address: address.as_ref().map(|address| &*address.0),
            code,
        },
        NodeEvent::Ready => Told::Ready,
        NodeEvent::Warning { code, message, peer } => {
            Told::Warning { code, message, peer: peer.map(|peer| peer.to_string()) }
        }
        NodeEvent::Closed => Told::Closed,
    }
}
