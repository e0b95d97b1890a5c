//! Connecting once to an address.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::{timeout, timeout_at, Instant};

use super::options::split_address;
use super::socket::{lookup_host, TcpStream};
use super::system;
use crate::engine::Address;

/// The system's word when no process listens at a port.
const REFUSED: &str = "ECONNREFUSED";
/// One dial, name lookup included.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Dials at once; the others wait. A node that rejoins a large mesh must not storm it, nor run out
/// of descriptors.
pub(super) const DIALS_MAX: usize = 16;

/// How a dial ended.
pub(super) struct Dialled {
    pub address: Address,
    pub result: Result<TcpStream, DialError>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DialError {
    /// The system's name of the reason.
    pub code: &'static str,
    /// The name stands for this machine alone, and no process listens there.
    pub vacant: bool,
}

impl From<&'static str> for DialError {
    fn from(code: &'static str) -> Self {
        DialError { code, vacant: false }
    }
}

/// Tries every address of the name. Always answers.
pub(super) async fn dial(address: Address, slots: Arc<Semaphore>) -> Dialled {
    let _slot = slots.acquire().await;
    let result = AssertUnwindSafe(connect(&address)).catch_unwind().await;
    Dialled { address, result: result.unwrap_or(Err(system::UNKNOWN.into())) }
}

async fn connect(address: &Address) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + DIAL_TIMEOUT;
    let (host, port) = split_address(&address.0).ok_or("EINVAL")?;
    let found = match timeout_at(deadline, lookup_host((host, port))).await {
        Ok(found) => found.map_err(|error| system::lookup_code(&error))?,
        Err(_) => return Err("ETIMEDOUT".into()),
    };
    let addresses: Vec<_> = found.collect();
    let mut code = "ENOTFOUND";
    let mut refused = 0;
    for (tried, address) in addresses.iter().enumerate() {
        // Each gets its share of what is left, so that one that swallows packets does not keep us
        // from the next.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - tried) as u32;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => code = system::code(&error),
            Err(_) => code = "ETIMEDOUT",
        }
        refused += usize::from(code == REFUSED && address.ip().is_loopback());
    }
    Err(DialError { code, vacant: refused > 0 && refused == addresses.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::runtime;

    fn dial_now(address: &str) -> Result<TcpStream, DialError> {
        let dial = dial(Address::new(address), Arc::new(Semaphore::new(DIALS_MAX)));
        let (told, result) = std::sync::mpsc::sync_channel(1);
        runtime::handle().spawn(async move { told.send(dial.await.result) });
        result.recv_timeout(DIAL_TIMEOUT * 2).expect("a dial always ends")
    }

    #[test]
    fn a_refused_dial_has_the_systems_code() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        assert!(dial_now(&address).is_ok());
        drop(listener);
        let refused = DialError { code: REFUSED, vacant: true };
        assert_eq!(dial_now(&address).err(), Some(refused));
    }

    #[test]
    fn a_name_tries_every_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        assert!(dial_now(&format!("localhost:{port}")).is_ok());
    }

    #[test]
    fn what_is_no_address_is_invalid() {
        assert_eq!(dial_now("nonsense").err(), Some("EINVAL".into()));
    }
}
