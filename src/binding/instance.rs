//! What one opened node owns in its JavaScript environment.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;

use napi::sys;

use super::doorbell::Doorbell;
use super::error::{check, Failure};
use super::versions::Slots;
use super::{events, memory};
use crate::engine::{
    Ask, AskError, Asked, Changes, Container, Engine, Item, JobId, Now, ObserverId, Page, Reading,
    Refusal, RunId, Shown, To, Write,
};
use crate::net::{self, NodeEvent};

/// Events taken by one drain, so that a burst doesn't hold up the event loop. For the others
/// `take_events` rings again.
const EVENTS_PER_DRAIN_MAX: usize = 1024;
/// The same for items of jobs.
const ITEMS_PER_DRAIN_MAX: usize = 1024;
/// JSON text that one page or one taking of changes gives, unless one value alone is larger: the
/// engine is locked meanwhile.
const BYTES_PER_CALL: usize = 256 << 10;

/// Shared by the `Node` object and its hot functions; the last of them to be collected drops it.
/// That is after the node has closed: until then the doorbell holds the JavaScript side.
pub struct Instance {
    env: sys::napi_env,
    node: net::Node,
    doorbell: Arc<Doorbell>,
    slots: RefCell<Slots>,
    /// Room for touched slots, kept from call to call.
    touched: Cell<Vec<u32>>,
    /// Room for items, likewise.
    items: Cell<Vec<Item>>,
    /// The environment will call [`env_ends`] with a pointer to this.
    hooked: Cell<bool>,
}

impl Instance {
    /// # Safety
    ///
    /// `env` is the environment of the running call and of `slots` and `doorbell`.
    pub unsafe fn open(
        env: sys::napi_env,
        options: net::Options,
        slots: Slots,
        doorbell: Doorbell,
    ) -> Result<Rc<Self>, Failure> {
        let doorbell = Arc::new(doorbell);
        let instance = Rc::new(Instance {
            env,
            node: net::Node::open(options, doorbell.clone()),
            doorbell,
            slots: RefCell::new(slots),
            touched: Cell::default(),
            items: Cell::default(),
            hooked: Cell::new(false),
        });
        // Hooks run last in, first out: this one comes after the threadsafe function's, so it runs
        // before Node.js closes that.
        // SAFETY: `drop` removes the hook, so the pointer is valid whenever the hook runs.
        check(unsafe {
            let this = memory::pointer(&instance);
            sys::napi_add_env_cleanup_hook(env, Some(env_ends), this)
        })?;
        instance.hooked.set(true);
        Ok(instance)
    }

    pub fn node(&self) -> &net::Node {
        &self.node
    }

    pub fn read(&self, path: &[&str]) -> Option<Reading> {
        self.node.look(|engine| engine.reading(path))
    }

    pub fn shown(&self, path: &[&str]) -> Shown {
        self.node.look(|engine| engine.shown(path))
    }

    pub fn container(&self, path: &[&str]) -> Option<Container> {
        self.node.look(|engine| engine.container(path))
    }

    /// What `f` finds at a path that is watched from here on; and its slot, which JavaScript is
    /// told as well.
    pub fn watch<R>(&self, path: &[&str], f: impl FnOnce(&mut Engine) -> R) -> (R, u32) {
        let (found, slot) = self.node.look(|engine| (f(engine), engine.watch(path)));
        self.slots.borrow_mut().tell(slot);
        (found, slot)
    }

    pub fn unwatch(&self, slot: u32) {
        self.node.look(|engine| engine.unwatch(slot));
    }

    /// The slots that the write itself touches are published before this returns. What remote
    /// writes have touched meanwhile waits for the drain: a path once read keeps its value within
    /// one turn of the event loop, the program's own writes apart.
    ///
    /// Gives whether there was anything to write: not if a DELETE has found nothing.
    pub fn write(&self, write: Write<'_>) -> Result<bool, Failure> {
        #[cfg(debug_assertions)]
        self.panic_if_asked(write.path());
        let outcome = self.publish(|engine, now, touched| {
            let outcome = engine.write(now, write);
            engine.take_touched_local(touched);
            outcome
        });
        Ok(outcome?.is_some())
    }

    /// In builds for development a test can have a panic in each storey.
    #[cfg(debug_assertions)]
    fn panic_if_asked(&self, path: &[&str]) {
        match path {
            ["collective-io:panic", "binding"] => panic!("for a test"),
            ["collective-io:panic", "engine"] => self.node.with_engine(|_, _| panic!("for a test")),
            ["collective-io:panic", "net"] => self.node.panic_on_network_thread(),
            _ => {}
        }
    }

    /// An increment, and what it has made of the number.
    pub fn add(&self, path: &[&str], by: f64) -> Result<f64, Failure> {
        let outcome = self.publish(|engine, now, touched| {
            let outcome = engine.write(now, Write::Increment { path, by });
            engine.take_touched_local(touched);
            outcome.map(|_| engine.shown(path))
        });
        match outcome? {
            Shown::Number(sum) => Ok(sum),
            other => Err(Failure::internal(format!("an increment left {other:?}"))),
        }
    }

    pub fn page(&self, path: &[&str], after: Option<&str>, max: usize) -> Option<Page> {
        self.node.with_engine(|engine, _| engine.page(path, after, max, BYTES_PER_CALL))
    }

    pub fn count(&self, path: &[&str]) -> Option<usize> {
        self.node.with_engine(|engine, _| engine.count(path))
    }

    pub fn begin_batch(&self) {
        self.node.with_engine(|engine, _| engine.begin_batch());
    }

    pub fn end_batch(&self) {
        self.node.with_engine(|engine, now| engine.end_batch(now));
    }

    /// Publishes what remote writes have touched: whoever is told of a change finds it when he reads.
    pub fn take_observers(&self) -> Vec<ObserverId> {
        self.publish(|engine, _, touched| {
            let mut ids = Vec::new();
            engine.take_touched(touched);
            engine.take_observers(&mut ids);
            ids
        })
    }

    /// Publishes likewise.
    pub fn take_changes(&self, observer: ObserverId, max: usize) -> Changes {
        self.publish(|engine, _, touched| {
            engine.take_touched(touched);
            engine.take_changes(observer, max, BYTES_PER_CALL)
        })
    }

    pub fn ask(&self, ask: Ask<'_>) -> Result<Asked, AskError> {
        self.node.with_engine_at_once(|engine, now| engine.ask(now, ask))
    }

    pub fn answer(&self, run: RunId, result: Result<&str, &str>) {
        self.node.with_engine_at_once(|engine, _| engine.answer(run, result));
    }

    pub fn refuse(&self, run: RunId, why: Refusal) {
        self.node.with_engine_at_once(|engine, _| engine.refuse(run, why));
    }

    pub fn set_timeout(&self, job: JobId, timeout_ms: u64) {
        self.node.with_engine(|engine, now| engine.set_timeout(now, job, timeout_ms));
    }

    pub fn cancel(&self, job: JobId, reason: &str) {
        self.node.with_engine(|engine, _| engine.cancel(job, reason));
    }

    pub fn emit(&self, to: To<'_>, name: &str, args: &str) -> Result<usize, AskError> {
        self.node.with_engine(|engine, _| engine.emit(to, name, args))
    }

    /// Publishes what remote writes have touched, and returns the events and items that wait as
    /// JSON.
    pub fn drain(&self) -> Result<Option<String>, Failure> {
        // Events first: taking them answers the ring that brought us here. Whatever is touched
        // after that rings anew, and is at worst found by this drain already.
        let events = self.node.take_events(EVENTS_PER_DRAIN_MAX);
        let (mut items, mut touched) = (self.items.take(), self.touched.take());
        self.node.take_items(ITEMS_PER_DRAIN_MAX, &mut items, &mut touched);
        self.bump(touched);
        let drained = self.tell(&events, &items);
        items.clear();
        self.items.set(items);
        drained
    }

    fn tell(&self, events: &[NodeEvent], items: &[Item]) -> Result<Option<String>, Failure> {
        if events.is_empty() && items.is_empty() {
            return Ok(None);
        }
        if events.iter().any(|event| matches!(event, NodeEvent::Closed)) {
            // Nothing follows; without the doorbell the JavaScript side can be collected.
            self.doorbell.silence();
        }
        match events::drain_json(events, items) {
            Ok(json) => Ok(Some(json)),
            Err(error) => Err(Failure::internal(format!("Events lost: {error}"))),
        }
    }

    pub fn resize_slots(&self, slots: Slots) {
        self.slots.replace(slots);
    }

    fn publish<R>(&self, f: impl FnOnce(&mut Engine, Now, &mut Vec<u32>) -> R) -> R {
        let mut touched = self.touched.take();
        let result = self.node.with_engine(|engine, now| f(engine, now, &mut touched));
        self.bump(touched);
        result
    }

    fn bump(&self, mut touched: Vec<u32>) {
        if !touched.is_empty() {
            self.slots.borrow_mut().bump(&touched);
            touched.clear();
        }
        self.touched.set(touched);
    }

    /// Ends everything that could reach the environment.
    fn leave(&self) {
        self.doorbell.silence();
        self.node.destroy();
        self.slots.borrow_mut().release();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.hooked.get() {
            let this: *const Instance = self;
            // SAFETY: the environment exists: its end would have run the hook and unset `hooked`.
            unsafe {
                let this = this.cast_mut().cast();
                sys::napi_remove_env_cleanup_hook(self.env, Some(env_ends), this);
            }
        }
        // Runs in a finalizer, which must not unwind into C.
        let _ = catch_unwind(AssertUnwindSafe(|| self.leave()));
    }
}

/// The environment ends: its worker was terminated, or the main thread has nothing left to do.
unsafe extern "C" fn env_ends(instance: *mut c_void) {
    // SAFETY: the pointer is that of a living instance, see `Instance::open`; this is its thread.
    let instance = unsafe { memory::shared::<Instance>(instance) };
    instance.hooked.set(false);
    let _ = catch_unwind(AssertUnwindSafe(|| instance.leave()));
}
