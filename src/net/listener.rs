//! Binding and accepting.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{sleep_until, Instant};

use super::events::NodeEvent;
use super::options::{join_address, split_address};
use super::socket::{self, lookup_host, BoundSocket, TcpListener, TcpStream};
use super::system;
use crate::engine::Address;

/// Pause after a failed accept, doubling. Out of descriptors, trying at once again only burns the
/// processor.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(50);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// The code of a refusal to listen where strangers reach us.
pub(super) const ERR_INSECURE_BIND: &str = "ERR_INSECURE_BIND";

/// A wish to listen. An address in numbers is bound when the node is opened, so that the engine can
/// tell peers its port from the first hello; a name is looked up on the network thread.
pub(super) enum Listen {
    Bound { host: String, socket: BoundSocket, port: u16 },
    Name { host: String, port: u16, anywhere: bool },
    Failed(ListenFailure),
}

/// Why this node does not listen.
#[derive(Debug)]
pub(super) struct ListenFailure {
    pub code: &'static str,
    pub message: String,
    pub syscall: &'static str,
    pub address: String,
    pub port: u16,
}

/// An open port.
pub(super) struct Listener {
    socket: TcpListener,
    pause: Duration,
    resume_at: Option<Instant>,
}

impl Listen {
    /// `anywhere`: strangers may reach it, because they cannot do anything or it was asked for.
    pub fn new(host: String, port: u16, anywhere: bool) -> Self {
        let host = if host.is_empty() { "127.0.0.1".to_owned() } else { host };
        let Ok(ip) = host.parse::<IpAddr>() else { return Listen::Name { host, port, anywhere } };
        let bound = bind(&host, port, &[SocketAddr::new(ip, port)], anywhere)
            .and_then(|socket| Ok((socket.local_addr().map_err(failed(&host, port))?, socket)));
        match bound {
            Ok((address, socket)) => Listen::Bound { host, socket, port: address.port() },
            Err(failure) => Listen::Failed(failure),
        }
    }

    /// The address told to peers, if the one given needs completing and the port is known yet.
    pub fn advertised(&self, given: Option<&Address>) -> Option<Address> {
        match self {
            Listen::Bound { host, port, .. } => advertised(host, *port, given),
            Listen::Name { host, port, .. } => advertised(host, *port, given),
            Listen::Failed(_) => given.cloned(),
        }
    }

    /// The host, as given.
    pub fn host(&self) -> &str {
        match self {
            Listen::Bound { host, .. } | Listen::Name { host, .. } => host,
            Listen::Failed(failure) => &failure.address,
        }
    }

    /// Runs on the network thread.
    pub async fn open(self) -> Result<Listener, ListenFailure> {
        let (host, port, socket) = match self {
            Listen::Bound { host, port, socket } => (host, port, socket),
            Listen::Failed(failure) => return Err(failure),
            Listen::Name { host, port, anywhere } => {
                let addresses: Vec<_> = match lookup_host((host.as_str(), port)).await {
                    Ok(addresses) => addresses.collect(),
                    Err(error) => return Err(not_found(system::lookup_code(&error), &host, port)),
                };
                let socket = bind(&host, port, &addresses, anywhere)?;
                (host, port, socket)
            }
        };
        let socket = TcpListener::from_std(socket).map_err(failed(&host, port))?;
        Ok(Listener { socket, pause: ACCEPT_PAUSE_MIN, resume_at: None })
    }
}

/// The address told to peers by a node that listens at this host and port. Where the whole machine
/// listens there is nothing that could be told, unless the application knows better.
pub(super) fn advertised(host: &str, port: u16, given: Option<&Address>) -> Option<Address> {
    let host = match given.and_then(|address| split_address(&address.0)) {
        Some((_, given_port)) if given_port != 0 => return given.cloned(),
        Some((given_host, _)) => given_host,
        None => host,
    };
    let anywhere = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    (port != 0 && !anywhere).then(|| join_address(host, port))
}

impl Listener {
    pub fn port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |address| address.port())
    }

    pub fn listening(&self) -> NodeEvent {
        // A bound socket has an address; should the system deny it, the port is what is missing.
        let unknown = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0);
        let address = self.socket.local_addr().unwrap_or(unknown);
        NodeEvent::Listening {
            host: address.ip().to_string(),
            port: address.port(),
            family: if address.is_ipv6() { "IPv6" } else { "IPv4" },
        }
    }

    /// What is to be told if strangers reach this port.
    pub fn insecure(&self) -> Option<NodeEvent> {
        let address = self.socket.local_addr().ok().filter(|at| !is_loopback(at.ip()))?;
        let message = format!(
            "Whoever reaches {address} can read and write all data: it is listened on in the clear, \
             as `insecure` says"
        );
        Some(NodeEvent::Warning { code: ERR_INSECURE_BIND, message, peer: None })
    }

    /// The next connection, or the reason that there is none at the moment; later calls go on after
    /// a pause. May be dropped and called again.
    pub async fn accept(&mut self) -> Result<TcpStream, io::Error> {
        if let Some(resume_at) = self.resume_at {
            sleep_until(resume_at).await;
            self.resume_at = None;
        }
        let accepted = self.socket.accept().await;
        match accepted {
            Ok((stream, _)) => {
                self.pause = ACCEPT_PAUSE_MIN;
                Ok(stream)
            }
            Err(error) => {
                self.resume_at = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(ACCEPT_PAUSE_MAX);
                Err(error)
            }
        }
    }
}

impl From<ListenFailure> for NodeEvent {
    fn from(failure: ListenFailure) -> Self {
        NodeEvent::ListenFailed {
            code: failure.code.to_owned(),
            message: failure.message,
            syscall: failure.syscall,
            address: failure.address,
            port: failure.port,
        }
    }
}

/// Binds the first address that this machine has. One that is taken is the answer: going on to the
/// name's next address would leave two nodes behind one name, reached by chance.
fn bind(
    host: &str,
    port: u16,
    addresses: &[SocketAddr],
    anywhere: bool,
) -> Result<BoundSocket, ListenFailure> {
    if !anywhere {
        if let Some(open) = addresses.iter().find(|address| !is_loopback(address.ip())) {
            return Err(refused(open.ip(), host, port));
        }
    }
    let mut failure = not_found("ENOTFOUND", host, port);
    for &address in addresses {
        match socket::bind(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => {
                failure = failed(host, port)(error);
                if !matches!(failure.code, "EADDRNOTAVAIL" | "EAFNOSUPPORT") {
                    break;
                }
            }
        }
    }
    Err(failure)
}

/// Whether an address is written so that it means this machine on every machine.
pub(super) fn is_local(address: &Address) -> bool {
    split_address(&address.0)
        .is_some_and(|(host, _)| host == "localhost" || host.parse().is_ok_and(is_loopback))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn failed<'a>(host: &'a str, port: u16) -> impl Fn(io::Error) -> ListenFailure + 'a {
    move |error| {
        let code = system::code(&error);
        let at = join_address(host, port);
        ListenFailure {
            code,
            message: format!("listen {code}: {} {at}", system::text(code)),
            syscall: "listen",
            address: host.to_owned(),
            port,
        }
    }
}

fn not_found(code: &'static str, host: &str, port: u16) -> ListenFailure {
    ListenFailure {
        code,
        message: format!("getaddrinfo {code} {host}"),
        syscall: "getaddrinfo",
        address: host.to_owned(),
        port,
    }
}

fn refused(ip: IpAddr, host: &str, port: u16) -> ListenFailure {
    ListenFailure {
        code: ERR_INSECURE_BIND,
        message: format!(
            "Whoever reaches {} could read and write all data. Give all nodes one secret: \
             `npx collective-io keygen` makes it, the option `secret` or COLLECTIVE_SECRET takes it; \
             or use `tls`; or listen on 127.0.0.1. Without any of these `insecure: true` or \
             COLLECTIVE_INSECURE=1 listens in the clear",
            join_address(&ip.to_string(), port)
        ),
        syscall: "listen",
        address: host.to_owned(),
        port,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_without_protection() {
        for host in ["0.0.0.0", "::", "10.1.2.3", "::ffff:10.1.2.3"] {
            let Listen::Failed(failure) = Listen::new(host.into(), 0, false) else {
                panic!("{host} was bound");
            };
            assert_eq!(failure.code, ERR_INSECURE_BIND);
            for advice in ["keygen", "COLLECTIVE_SECRET", "`tls`", "127.0.0.1", "insecure: true"] {
                assert!(failure.message.contains(advice));
            }
        }
        assert!(matches!(Listen::new(String::new(), 0, false), Listen::Bound { .. }));
        assert!(matches!(Listen::new("0.0.0.0".into(), 0, true), Listen::Bound { .. }));
    }

    #[test]
    fn the_advertised_address_is_completed() {
        let bound = Listen::new("127.0.0.1".into(), 0, false);
        let Listen::Bound { port, .. } = bound else { panic!("not bound") };
        let everywhere = Listen::new("0.0.0.0".into(), 0, true);
        let name = |port| Listen::Name { host: "a.example".into(), port, anywhere: false };
        for (listen, given, told) in [
            (&bound, None, Some(format!("127.0.0.1:{port}"))),
            (&bound, Some("b.example:0"), Some(format!("b.example:{port}"))),
            (&bound, Some("b.example:7"), Some("b.example:7".into())),
            (&everywhere, None, None),
            (&name(7), None, Some("a.example:7".into())),
            (&name(0), None, None),
        ] {
            let given = given.map(Address::new);
            assert_eq!(listen.advertised(given.as_ref()), told.map(Address::new));
        }
    }
}
