//! The JSON that a drain returns, and that of `keys`.

use serde::Serialize;

use crate::engine::Container;
use crate::net::NodeEvent;

/// One event as "The binding's contract" in `docs/ARCHITECTURE.md` writes it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
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

pub fn events_json(events: &[NodeEvent]) -> serde_json::Result<String> {
    serde_json::to_string(&events.iter().map(tell).collect::<Vec<_>>())
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
