//! The tokio shell: listens, dials, reads, writes, keeps the timers, and does what the engine says.
//!
//! A [`Node`] is an engine behind a short-held lock and a driver task on the one network thread.
//! The application calls the engine through [`Node::with_engine`] from its own thread; what the
//! network brings waits in a bounded queue, one ring at a time ([`Sink`]).
//!
//! | file | is |
//! | --- | --- |
//! | `driver` | the loop: everything that can happen to a node |
//! | `shared` | what the driver and the application's thread share |
//! | `connection` | one socket: a handshake, a reading and a writing half |
//! | `secure` | who belongs to the cluster, and keeping others from reading along |
//! | `listener`, `dialer` | how sockets come to be |
//! | `events` | what waits for the application, and when to ring |
//! | `socket` | the system's sockets, or those of a simulated network |
//! | `runtime` | the network thread and the clocks |
//! | `bell` | a bell that can be taken away |
//! | `sync` | locks and wake-ups, or those of a model checker, whose models are in `models` |
//! | `system` | names of system errors |
//!
//! It knows the engine and tokio, and nothing of napi or JavaScript.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

mod bell;
mod connection;
mod dialer;
mod driver;
mod events;
mod listener;
#[cfg(all(test, feature = "loom"))]
mod models;
mod options;
mod runtime;
mod secure;
mod shared;
mod socket;
mod stats;
mod sync;
mod system;
#[cfg(test)]
mod tests;

pub use bell::Bell;
use driver::Driver;
pub use events::NodeEvent;
use listener::Listen;
pub use options::Options;
pub use secure::{Credentials, CredentialsError, Files, SECRET_BYTES};
use shared::Shared;
pub use stats::NodeStats;

use crate::engine::{Address, Command, Engine, Input, Item, Now, ReplicaId};

/// Our own defect: a panic was caught and ended the node or connection it happened in.
const ERR_INTERNAL: &str = "ERR_INTERNAL";

/// A peer calls itself what another is called whose key is another one.
const ERR_IDENTITY_MISMATCH: &str = "ERR_IDENTITY_MISMATCH";
/// A connection was made with what is not accepted any more.
const ERR_CREDENTIALS_REMOVED: &str = "ERR_CREDENTIALS_REMOVED";

/// Wakes the application.
pub trait Sink: Send + Sync + 'static {
    /// Called when events, items or touched slots wait and no ring is unanswered: on the network
    /// thread, or in a call of [`Node::with_engine`] that has caused items itself. Must not block,
    /// nor take what waits before that call has ended. [`Node::take_events`] answers it.
    fn ring(&self);
}

/// One node of the cluster. Clones are the same node.
///
/// It lives until [`close`](Node::close) or [`destroy`](Node::destroy), not until the last clone is
/// dropped.
#[derive(Clone)]
pub struct Node(Arc<Shared>);

impl Node {
    /// Returns at once. What the network has to say, a failed listen included, comes as events.
    ///
    /// # Panics
    ///
    /// If the process cannot start the network thread.
    pub fn open(options: Options, sink: Arc<dyn Sink>) -> Node {
        let Options { mut config, listen, connect, seed, credentials, insecure } = options;
        let anywhere = insecure || credentials.is_some();
        let listen = listen.map(|(host, port)| Listen::new(host, port, anywhere));
        let given = config.advertised.take();
        config.advertised = listen.as_ref().and_then(|listen| listen.advertised(given.as_ref()));
        let engine = Engine::new(config.clone(), seed, runtime::now());
        let shared = Shared::new(engine, sink, listen.is_some(), credentials.clone(), insecure);
        let shared = Arc::new(shared);
        let driver = Driver::new(Arc::clone(&shared), &config, credentials, given, listen, connect);
        runtime::spawn(driver.run());
        Node(shared)
    }

    /// Runs `f` with the engine locked, and has the driver do what comes of it. Keep it short: the
    /// network waits meanwhile.
    ///
    /// A panic in `f` ends the node and goes on to the caller.
    pub fn with_engine<R>(&self, f: impl FnOnce(&mut Engine, Now) -> R) -> R {
        self.0.with_engine(f)
    }

    /// The same for a call that only reads: nothing it does is for the network.
    pub fn look<R>(&self, f: impl FnOnce(&mut Engine) -> R) -> R {
        self.0.look(f)
    }

    /// The same for a call that somebody may be waiting for, and that may be the only one for long:
    /// what it sends to one peer, while nothing else is under way, is written before this returns.
    /// That spares the peer two wake-ups of our threads, and costs the caller a system call.
    pub fn with_engine_at_once<R>(&self, f: impl FnOnce(&mut Engine, Now) -> R) -> R {
        self.0.with_engine_at_once(f)
    }

    /// Starts to listen, of a node opened without. `Listening` or `ListenFailed` follows; after the
    /// latter it may be called again. `false`: it listens, or is about to.
    #[must_use]
    pub fn listen(&self, host: String, port: u16) -> bool {
        self.0.listen(host, port)
    }

    /// Keeps no connection to this address for its own sake any more.
    pub fn forget(&self, address: Address) {
        let command = Command::Forget { address };
        self.with_engine(|engine, now| engine.handle_input(now, Input::Command(command)));
    }

    /// Makes handshakes with these from here on; see [`Credentials::secrets`]. Connections made with
    /// what they do not accept end, the others stay or are replaced, so that nothing is lost.
    /// `false`: the node was opened with another kind, or none.
    #[must_use]
    pub fn rotate(&self, credentials: Credentials) -> bool {
        self.0.rotate(credentials)
    }

    /// Keeps a connection to this address, for ever. `ConnectFailed` tells if the first dial fails.
    pub fn connect(&self, address: Address) {
        let command = Command::Connect { address, announce: true };
        self.with_engine(|engine, now| engine.handle_input(now, Input::Command(command)));
    }

    /// Closes the connection to a peer; neither side dials the other again.
    pub fn dismiss(&self, peer: ReplicaId) {
        let command = Command::Dismiss { peer };
        self.with_engine(|engine, now| engine.handle_input(now, Input::Command(command)));
    }

    /// Says that the application's thread is not busy. Once it has said so, it must once a second:
    /// otherwise peers are told that it is.
    pub fn beat(&self) {
        self.0.beat();
    }

    /// Moves at most so many items of jobs to `into`, and the touched slots to `touched`, in one
    /// hold of the engine. Rings again if more wait.
    pub fn take_items(&self, max: usize, into: &mut Vec<Item>, touched: &mut Vec<u32>) {
        self.0.take_items(max, into, touched);
    }

    /// The oldest events that wait, and leave to ring again. Take these before the engine's touched
    /// slots, lest a touch between the two cost a ring in vain.
    pub fn take_events(&self, max: usize) -> Vec<NodeEvent> {
        self.0.take_events(max)
    }

    /// Says goodbye to the peers, writes what is queued (at most 500 ms) and closes every socket.
    /// The receiver hears when that is done; an error means the same. Repeatable.
    pub fn close(&self) -> oneshot::Receiver<()> {
        self.0.close()
    }

    /// Frees the memory of a node that has told its end, though clones of it are there; nothing is read
    /// of it any more but its id. Does nothing before the end.
    pub fn retire(&self) {
        self.0.retire();
    }

    /// Closes every socket at once; what is queued is lost to this node's peers. Repeatable.
    pub fn destroy(&self) {
        self.0.destroy();
    }

    /// Waits until the operating system has taken all that the engine has to send, and tells
    /// whether it has. Blocks: for the end of a process, never on the network thread.
    pub fn flush(&self, at_most: Duration) -> bool {
        self.0.flush(at_most)
    }

    /// For tests of what becomes of one.
    #[cfg(debug_assertions)]
    pub fn panic_on_network_thread(&self) {
        self.0.panic_in_driver();
    }

    pub fn stats(&self) -> NodeStats {
        self.0.stats()
    }
}
