//! `open` and the class `Node`: the cold calls.

use std::rc::Rc;
use std::time::Duration;

use napi::bindgen_prelude::{ClassInstance, Function, JsValue, Object, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use super::credentials::Credentials;
use super::doorbell::Doorbell;
use super::error::Failure;
use super::instance::Instance;
use super::options;
use super::text::{with_path, Root, Text};
use super::versions::Slots;
use super::{arguments, events, heap, hot};
use crate::engine::{Address, Engine, Need, Offer, WaitId};

/// Room for the text of a name or address.
type Name = Text<256>;

/// A node of the cluster, open until `close` or `destroy`.
#[napi]
pub struct Node {
    instance: Rc<Instance>,
}

/// Opens a node. Never throws for reasons of the network: those arrive as events.
#[napi(catch_unwind)]
pub fn open(
    env: &Env,
    options: String,
    slots: Unknown,
    doorbell: Function<(), ()>,
    credentials: Option<ClassInstance<Credentials>>,
) -> Result<Node> {
    let opened = options::parse(&options).and_then(|mut options| {
        options.credentials = credentials.map(|credentials| credentials.inner());
        // SAFETY: the values are those of the running call; `lib/` never detaches the array.
        unsafe {
            let slots = Slots::new(env.raw(), slots.raw())?;
            let doorbell = Doorbell::new(&doorbell)
                .map_err(|error| Failure::internal(error.reason.clone()))?;
            Instance::open(env.raw(), options, slots, doorbell)
        }
    });
    match opened {
        Ok(instance) => Ok(Node { instance }),
        Err(failure) => Err(failure.thrown(env)),
    }
}

#[napi]
impl Node {
    /// 16 hexadecimal digits.
    #[napi(catch_unwind)]
    pub fn id(&self) -> String {
        self.instance.node().with_engine(|engine, _| engine.id()).to_string()
    }

    /// 24 upper-case hexadecimal digits.
    #[napi(catch_unwind)]
    pub fn node(&self) -> String {
        self.instance.node().with_engine(|engine, _| engine.node()).to_string()
    }

    /// Starts to listen, of a node opened with `listen: false`.
    #[napi(catch_unwind)]
    pub fn listen(&self, env: &Env, host: Unknown, port: Unknown) -> Result<()> {
        coded(env, || {
            let mut text = Name::new();
            // SAFETY: the values are those of the running call.
            let (host, port) = unsafe {
                let host = arguments::string(env.raw(), &mut text, host.raw())?;
                (host.to_owned(), arguments::port(env.raw(), port.raw())?)
            };
            match self.instance.node().listen(host, port) {
                true => Ok(()),
                false => Err(Failure::invalid_state("The node listens already")),
            }
        })
    }

    /// Keeps a connection to `host:port`, for ever.
    #[napi(catch_unwind)]
    pub fn connect(&self, env: &Env, address: Unknown) -> Result<()> {
        coded(env, || {
            let mut text = Name::new();
            // SAFETY: the value is one of the running call.
            let address = unsafe { arguments::string(env.raw(), &mut text, address.raw())? };
            self.instance.node().connect(Address::new(address));
            Ok(())
        })
    }

    /// Keeps no connection to `host:port` for its own sake any more.
    #[napi(catch_unwind)]
    pub fn forget(&self, env: &Env, address: Unknown) -> Result<()> {
        coded(env, || {
            let mut text = Name::new();
            // SAFETY: the value is one of the running call.
            let address = unsafe { arguments::string(env.raw(), &mut text, address.raw())? };
            self.instance.node().forget(Address::new(address));
            Ok(())
        })
    }

    /// The addresses given that have led neither to a peer that is there nor to this node itself.
    #[napi(catch_unwind)]
    pub fn unreached(&self) -> Vec<String> {
        let node = self.instance.node();
        node.with_engine(|engine, _| engine.unreached().map(Address::to_string).collect())
    }

    /// Makes handshakes with these from here on.
    #[napi(catch_unwind)]
    pub fn rotate(&self, env: &Env, credentials: ClassInstance<Credentials>) -> Result<()> {
        coded(env, || match self.instance.node().rotate(credentials.inner()) {
            true => Ok(()),
            false => Err(Failure::invalid_state("The node was opened with something else")),
        })
    }

    /// Of a node opened with `introductions`: the application knows this peer now.
    #[napi(catch_unwind)]
    pub fn introduce(&self, env: &Env, peer: Unknown) -> Result<()> {
        coded(env, || {
            // SAFETY: the value is one of the running call.
            let peer = unsafe { arguments::peer(env.raw(), peer.raw())? };
            self.instance.node().with_engine(|engine, _| engine.introduce(peer));
            Ok(())
        })
    }

    /// Closes the connection to a peer, and neither side dials the other again.
    #[napi(catch_unwind)]
    pub fn dismiss(&self, env: &Env, peer: Unknown) -> Result<()> {
        coded(env, || {
            // SAFETY: the value is one of the running call.
            let peer = unsafe { arguments::peer(env.raw(), peer.raw())? };
            self.instance.node().dismiss(peer);
            Ok(())
        })
    }

    /// For how many milliseconds a peer's event loop has not turned.
    #[napi(catch_unwind)]
    pub fn busy_for(&self, env: &Env, peer: Unknown) -> Result<f64> {
        coded(env, || {
            // SAFETY: the value is one of the running call.
            let peer = unsafe { arguments::peer(env.raw(), peer.raw())? };
            Ok(self.instance.node().with_engine(|engine, now| engine.busy_ms(now, peer)) as f64)
        })
    }

    /// Has functions run here, or listens to events. `kind`: 0 worker, 1 function, 2 event.
    #[napi(catch_unwind)]
    pub fn offer(&self, env: &Env, kind: Unknown, name: Unknown) -> Result<()> {
        self.change_offer(env, kind, name, Engine::offer)
    }

    #[napi(catch_unwind)]
    pub fn withdraw(&self, env: &Env, kind: Unknown, name: Unknown) -> Result<()> {
        self.change_offer(env, kind, name, Engine::withdraw)
    }

    /// The hot functions, see `hot`.
    #[napi(catch_unwind)]
    pub fn functions<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        // SAFETY: an `&Env` is that of the running call, and this object was made in it.
        match unsafe { hot::functions(env.raw(), &self.instance) } {
            Ok(object) => Ok(Object::from_raw(env.raw(), object)),
            Err(failure) => Err(failure.thrown(env)),
        }
    }

    /// Says goodbye to the peers and stops listening. The event `closed` tells the end.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        // The receiver is for callers without events.
        drop(self.instance.node().close());
    }

    /// Ends at once, without a goodbye.
    #[napi(catch_unwind)]
    pub fn destroy(&self) {
        self.instance.node().destroy();
    }

    /// Frees what a node that has ended holds, rather than wait for the collector, which does not know
    /// how much that is.
    #[napi(catch_unwind)]
    pub fn retire(&self) {
        self.instance.node().retire();
        heap::trim();
    }

    /// Blocks until the sockets have taken what is queued, at most so many milliseconds: for the
    /// end of the process. Whether they have.
    #[napi(catch_unwind)]
    pub fn flush_sync(&self, ms: u32) -> bool {
        self.instance.node().flush(Duration::from_millis(ms.into()))
    }

    /// JSON text of how a peer stands to this node; `undefined` if it is not there.
    #[napi(catch_unwind)]
    pub fn standing(&self, env: &Env, peer: Unknown) -> Result<Option<String>> {
        coded(env, || {
            // SAFETY: the value is one of the running call.
            let peer = unsafe { arguments::peer(env.raw(), peer.raw())? };
            let standing = self.instance.node().with_engine(|engine, _| engine.standing(peer));
            let json = standing.map(|standing| events::standing_json(&standing)).transpose();
            json.map_err(|error| Failure::internal(error.to_string()))
        })
    }

    /// JSON text of who brings this node up to date, and how far that is; `undefined` if nobody does.
    #[napi(catch_unwind)]
    pub fn catch_up(&self, env: &Env) -> Result<Option<String>> {
        let far = self.instance.node().with_engine(|engine, now| engine.catch_up(now));
        let json = far.map(|(donor, far)| events::catch_up_json(donor, &far)).transpose();
        json.map_err(|error| Failure::internal(error.to_string()).thrown(env))
    }

    /// Waits until so many peers have what this node has written so far; `null`: all that are there
    /// now. The event `replicated` tells.
    #[napi(catch_unwind)]
    pub fn wait_for(&self, count: Option<u32>) -> f64 {
        let need = count.map_or(Need::All, |count| Need::Count(count as usize));
        self.instance.node().with_engine(|engine, _| engine.wait_for(need)).0 as f64
    }

    #[napi(catch_unwind)]
    pub fn stop_waiting(&self, wait: f64) {
        let wait = WaitId(wait as u64);
        self.instance.node().with_engine(|engine, _| engine.stop_waiting(wait));
    }

    /// Observes what changes at a key and below it; `null` is the whole document.
    #[napi(catch_unwind)]
    pub fn observe(&self, env: &Env, key: Unknown) -> Result<u32> {
        // SAFETY: the values are those of the running call.
        let observed = unsafe {
            with_path(env.raw(), key.raw(), Root::Allowed, |path| {
                Ok(self.instance.node().with_engine(|engine, _| engine.observe(path)))
            })
        };
        observed.map_err(|failure| failure.thrown(env))
    }

    #[napi(catch_unwind)]
    pub fn stop_observing(&self, observer: u32) {
        self.instance.node().with_engine(|engine, _| engine.stop_observing(observer));
    }

    /// JSON text of what a key shows and why; `null` is the whole document.
    #[napi(catch_unwind)]
    pub fn explain(&self, env: &Env, key: Unknown) -> Result<String> {
        // SAFETY: the values are those of the running call.
        let explained = unsafe {
            with_path(env.raw(), key.raw(), Root::Allowed, |path| {
                let explanation =
                    self.instance.node().with_engine(|engine, _| engine.explain(path));
                serde_json::to_string(&explanation)
                    .map_err(|error| Failure::internal(error.to_string()))
            })
        };
        explained.map_err(|failure| failure.thrown(env))
    }

    /// JSON text.
    #[napi(catch_unwind)]
    pub fn stats(&self, env: &Env) -> Result<String> {
        serde_json::to_string(&self.instance.node().stats())
            .map_err(|error| Failure::internal(error.to_string()).thrown(env))
    }

    /// JSON text of the oldest own jobs and calls that have not ended, at most so many.
    #[napi(catch_unwind)]
    pub fn jobs(&self, env: &Env, max: u32) -> Result<String> {
        let node = self.instance.node();
        let running = node.with_engine(|engine, now| engine.running_jobs(now, max as usize));
        events::jobs_json(&running)
            .map_err(|error| Failure::internal(error.to_string()).thrown(env))
    }

    /// Hands over a larger array of version slots, to which JavaScript has copied the old words.
    #[napi(catch_unwind)]
    pub fn resize_slots(&self, env: &Env, slots: Unknown) -> Result<()> {
        // SAFETY: the values are those of the running call; `lib/` never detaches the array.
        match unsafe { Slots::new(env.raw(), slots.raw()) } {
            Ok(slots) => {
                self.instance.resize_slots(slots);
                Ok(())
            }
            Err(failure) => Err(failure.thrown(env)),
        }
    }
}

impl Node {
    fn change_offer(
        &self,
        env: &Env,
        kind: Unknown,
        name: Unknown,
        change: fn(&mut Engine, Offer, &str),
    ) -> Result<()> {
        coded(env, || {
            let mut text = Name::new();
            // SAFETY: the values are those of the running call.
            let (offer, name) = unsafe {
                let offer = arguments::offer(env.raw(), kind.raw())?;
                (offer, arguments::string(env.raw(), &mut text, name.raw())?)
            };
            self.instance.node().with_engine(|engine, _| change(engine, offer, name));
            Ok(())
        })
    }
}

/// Throws what `work` fails with.
fn coded<R>(env: &Env, work: impl FnOnce() -> std::result::Result<R, Failure>) -> Result<R> {
    work().map_err(|failure| failure.thrown(env))
}
