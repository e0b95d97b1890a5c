//! `open` and the class `Node`: the cold calls.

use std::rc::Rc;
use std::time::Duration;

use napi::bindgen_prelude::{Function, JsValue, Object, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use super::doorbell::Doorbell;
use super::error::Failure;
use super::hot;
use super::instance::Instance;
use super::options;
use super::text::{with_path, Root};
use super::versions::Slots;

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
) -> Result<Node> {
    let opened = options::parse(&options).and_then(|options| {
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

    /// The hot functions: get, set, increment, delete, watch, unwatch, drain, keys.
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

    /// Blocks until the sockets have taken what is queued, at most so many milliseconds: for the
    /// end of the process. Whether they have.
    #[napi(catch_unwind)]
    pub fn flush_sync(&self, ms: u32) -> bool {
        self.instance.node().flush(Duration::from_millis(ms.into()))
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
