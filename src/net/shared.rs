//! What the driver and the application's thread share.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, Instant};

use super::connection::Outbox;
use super::events::{EventQueue, NodeEvent, Ring};
use super::listener::Listen;
use super::secure::Credentials;
use super::stats::{Counters, NodeStats};
use super::sync::{AtomicBool, Mutex, MutexGuard, Notify};
use super::{runtime, Sink, ERR_INTERNAL};
use crate::engine::{Command, Engine, Input, Item, LinkId, Now, Output};

/// The application beats once a second; one that has not for so long is busy.
const BUSY_AFTER_MS: u64 = 2500;

pub(super) struct Shared {
    core: Mutex<Core>,
    control: Mutex<Control>,
    /// Wakes the driver. Its permit is given only when `poked` turns true, so that many writes cost
    /// one wake-up.
    wake: Notify,
    poked: AtomicBool,
    /// The driver has outputs of the engine that it has not performed. Set with the engine locked.
    pub performing: AtomicBool,
    pub events: EventQueue,
    sink: Arc<dyn Sink>,
    /// What it was opened with and what it goes on with are of the same kind.
    credentials: Option<Credentials>,
    /// Listen beyond loopback although nothing proves who connects.
    insecure: bool,
    /// When the application has beaten last, on the monotonic clock; 0: never.
    beat_ms: AtomicU64,
    pub counters: Arc<Counters>,
    /// A test wants the driver to panic.
    #[cfg(debug_assertions)]
    pub broken: AtomicBool,
}

/// The engine and what the driver knows of it.
pub(super) struct Core {
    pub engine: Engine,
    /// Outputs taken out to see which there are, at most two.
    peeked: VecDeque<Output>,
    /// Of all links that the driver has.
    pub outboxes: BTreeMap<LinkId, Arc<Outbox>>,
    /// When the driver will look at the engine's timers by itself, `u64::MAX` for never; 0 while
    /// nobody drives them.
    pub armed: u64,
    left: bool,
}

/// What the application wants of the driver.
#[derive(Default)]
pub(super) struct Control {
    pub stage: Stage,
    listening: Listening,
    /// To go on with.
    credentials: Option<Credentials>,
    /// One for each call of `close` that waits.
    closers: Vec<oneshot::Sender<()>>,
    /// One for each thread that is blocked in `flush`.
    flushers: Vec<mpsc::SyncSender<()>>,
}

/// How far listening has got.
#[derive(Default)]
enum Listening {
    #[default]
    No,
    /// The driver is to see to it.
    Wanted(Listen),
    Yes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    #[default]
    Open,
    Closing,
    Destroying,
    /// The driver is gone.
    Ended,
}

impl Core {
    /// The engine's next output.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        self.peeked.pop_front().or_else(|| self.engine.poll_output(now))
    }

    /// From here on local writes are refused. Repeatable, unlike the command.
    pub fn leave(&mut self, now: Now) {
        if !std::mem::replace(&mut self.left, true) {
            self.engine.handle_input(now, Input::Command(Command::Leave));
        }
    }

    /// What is to be sent, if it is all there is to do and goes over one link that is idle. The
    /// caller must write it, with [`Outbox::write_claimed`].
    fn claim_send(&mut self, now: Now) -> Option<(Arc<Outbox>, Bytes)> {
        self.peek(now, 2);
        let (Some(Output::Send { link, frames }), None) = (self.peeked.front(), self.peeked.get(1))
        else {
            return None;
        };
        let outbox = self.outboxes.get(link).filter(|outbox| outbox.claim(frames))?;
        let claimed = (Arc::clone(outbox), frames.clone());
        self.peeked.clear();
        Some(claimed)
    }

    fn peek(&mut self, now: Now, outputs: usize) {
        while self.peeked.len() < outputs {
            let Some(output) = self.engine.poll_output(now) else { return };
            self.peeked.push_back(output);
        }
    }

    /// Whether the engine has something to do that the driver does not know of.
    fn wants_driver(&mut self, now: Now) -> bool {
        self.peek(now, 1);
        !self.peeked.is_empty()
            || self.engine.poll_timeout().is_some_and(|wanted| wanted < self.armed)
    }
}

// What the application's thread calls.
impl Shared {
    pub fn new(
        engine: Engine,
        sink: Arc<dyn Sink>,
        listens: bool,
        credentials: Option<Credentials>,
        insecure: bool,
    ) -> Self {
        let listening = if listens { Listening::Yes } else { Listening::No };
        Shared {
            core: Mutex::new(Core {
                engine,
                peeked: VecDeque::new(),
                outboxes: BTreeMap::new(),
                armed: 0,
                left: false,
            }),
            control: Mutex::new(Control { listening, ..Control::default() }),
            credentials,
            insecure,
            beat_ms: AtomicU64::new(0),
            wake: Notify::new(),
            poked: AtomicBool::new(false),
            performing: AtomicBool::new(false),
            events: EventQueue::default(),
            sink,
            counters: Arc::default(),
            #[cfg(debug_assertions)]
            broken: AtomicBool::new(false),
        }
    }

    pub fn with_engine<R>(self: &Arc<Self>, f: impl FnOnce(&mut Engine, Now) -> R) -> R {
        self.call(|_| false, f)
    }

    pub fn with_engine_at_once<R>(self: &Arc<Self>, f: impl FnOnce(&mut Engine, Now) -> R) -> R {
        self.call(Engine::is_quiet, f)
    }

    /// Without the looks at the clock and at what there is to do: a driver that has something to
    /// merge comes back to it by itself, and to what follows from that.
    pub fn look<R>(self: &Arc<Self>, f: impl FnOnce(&mut Engine) -> R) -> R {
        let mut core = self.core.lock();
        let outcome = catch_unwind(AssertUnwindSafe(|| f(&mut core.engine)));
        drop(core);
        outcome.unwrap_or_else(|panic| self.end_with(panic))
    }

    /// `may_write`: whether the caller may write himself what there is to be sent after `f`.
    fn call<R>(
        self: &Arc<Self>,
        may_write: impl FnOnce(&Engine) -> bool,
        f: impl FnOnce(&mut Engine, Now) -> R,
    ) -> R {
        let mut core = self.core.lock();
        let now = runtime::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let result = f(&mut core.engine, now);
            let news = core.engine.take_news();
            // A driver that was poked and has not come yet will see this too.
            let mut wake = !self.poked.load(Acquire) && core.wants_driver(now);
            // What the driver has taken out and not performed would come after what is sent here.
            let may_write = wake && !self.performing.load(Acquire) && may_write(&core.engine);
            let send = if may_write { core.claim_send(now) } else { None };
            if send.is_some() {
                wake = core.wants_driver(now);
            }
            (result, news, wake, send)
        }));
        drop(core);
        match outcome {
            Ok((result, news, wake, send)) => {
                if wake {
                    self.poke();
                }
                if let Some((outbox, frames)) = send {
                    self.counters.frames_out.fetch_add(1, Relaxed);
                    outbox.write_claimed(frames);
                }
                // The driver would ring as well, but it would have to be woken for that.
                if news && self.events.ring_at_once(Instant::now()) {
                    self.ring();
                }
                result
            }
            Err(panic) => self.end_with(panic),
        }
    }

    /// A panic below a call of the application's ends the node, and goes on to the caller.
    fn end_with(self: &Arc<Self>, panic: Box<dyn Any + Send>) -> ! {
        self.fail("this node");
        self.destroy();
        resume_unwind(panic)
    }

    pub fn listen(self: &Arc<Self>, host: String, port: u16) -> bool {
        let mut control = self.control.lock();
        if !matches!(control.listening, Listening::No) {
            return false;
        }
        let anywhere = self.insecure || self.credentials.is_some();
        control.listening = Listening::Wanted(Listen::new(host, port, anywhere));
        drop(control);
        self.poke();
        true
    }

    pub fn rotate(self: &Arc<Self>, credentials: Credentials) -> bool {
        if !self.credentials.as_ref().is_some_and(|own| own.is_of_same_kind(&credentials)) {
            return false;
        }
        self.control.lock().credentials = Some(credentials);
        // All of them, until the driver has looked.
        let connections = self.counters.connections.load(Relaxed);
        self.counters.outdated.store(connections, Relaxed);
        self.poke();
        true
    }

    #[cfg(debug_assertions)]
    pub fn panic_in_driver(self: &Arc<Self>) {
        self.broken.swap(true, AcqRel);
        self.poke();
    }

    pub fn beat(&self) {
        self.beat_ms.store(runtime::now().monotonic_ms.max(1), Relaxed);
    }

    pub fn take_items(self: &Arc<Self>, max: usize, into: &mut Vec<Item>, touched: &mut Vec<u32>) {
        // Items that are left are news again.
        self.with_engine(|engine, now| {
            engine.take_touched(touched);
            if !engine.take_items(now, max, into) {
                self.events.items_taken();
            }
        });
    }

    pub fn take_events(self: &Arc<Self>, max: usize) -> Vec<NodeEvent> {
        let (events, more) = self.events.take(max);
        if more {
            self.poke();
        }
        events
    }

    pub fn close(self: &Arc<Self>) -> oneshot::Receiver<()> {
        let (closer, closed) = oneshot::channel();
        let mut control = self.control.lock();
        if control.stage == Stage::Ended {
            // The receiver may be gone already.
            let _ = closer.send(());
        } else {
            control.stage = control.stage.max(Stage::Closing);
            control.closers.push(closer);
            drop(control);
            self.poke();
        }
        closed
    }

    pub fn retire(&self) {
        if self.stage() == Stage::Ended {
            let held =
                self.hold(|core, now| (core.engine.retire(now), std::mem::take(&mut core.peeked)));
            // On the network thread, since the application waits for nothing here.
            runtime::spawn(async move { drop(held) });
        }
    }

    pub fn destroy(self: &Arc<Self>) {
        let mut control = self.control.lock();
        control.stage = control.stage.max(Stage::Destroying);
        drop(control);
        self.poke();
    }

    pub fn flush(self: &Arc<Self>, at_most: Duration) -> bool {
        let (flusher, flushed) = mpsc::sync_channel(1);
        {
            let mut control = self.control.lock();
            if control.stage == Stage::Ended {
                return self.counters.bytes_queued.load(Relaxed) == 0;
            }
            control.flushers.push(flusher);
        }
        self.poke();
        flushed.recv_timeout(at_most).is_ok()
    }

    pub fn stats(&self) -> NodeStats {
        let (engine, whereabouts) = {
            let engine = &mut self.core.lock().engine;
            (engine.stats(), engine.whereabouts(runtime::now()))
        };
        let counters = &self.counters;
        NodeStats {
            engine,
            whereabouts,
            connections: counters.connections.load(Relaxed),
            handshakes: counters.handshakes.load(Relaxed),
            outdated: counters.outdated.load(Relaxed),
            bytes_in: counters.bytes_in.load(Relaxed),
            bytes_out: counters.bytes_out.load(Relaxed),
            bytes_queued: counters.bytes_queued.load(Relaxed),
            frames_in: counters.frames_in.load(Relaxed),
            frames_out: counters.frames_out.load(Relaxed),
            rings: counters.rings.load(Relaxed),
            events_dropped: self.events.dropped(),
            refused: counters.refused.lock().clone(),
        }
    }

    /// Has the driver look at everything. After its end there is nothing left but to ring for what
    /// the application has not fetched.
    fn poke(self: &Arc<Self>) {
        if self.stage() == Stage::Ended {
            runtime::spawn(Arc::clone(self).ring_if_due());
        } else if !self.poked.swap(true, AcqRel) {
            self.wake.notify_one();
        }
    }

    async fn ring_if_due(self: Arc<Self>) {
        loop {
            match self.events.poll_ring(Instant::now()) {
                Ring::No => return,
                Ring::Now => self.ring(),
                Ring::At(due) => sleep_until(due).await,
            }
        }
    }
}

// What the driver calls.
impl Shared {
    /// Waits for a poke and accepts it: later ones wake again.
    pub async fn poked(&self) {
        self.wake.notified().await;
        // A swap, not a store: it comes after every poke that found the flag set.
        self.poked.swap(false, AcqRel);
    }

    /// One hold of the engine. Whoever waits for it gets it next.
    pub fn hold<R>(&self, f: impl FnOnce(&mut Core, Now) -> R) -> R {
        let mut core = self.core.lock();
        let result = f(&mut core, runtime::now());
        MutexGuard::unlock_fair(core);
        result
    }

    /// For how long the application has been busy, if it is.
    pub fn busy_ms(&self, now: Now) -> u64 {
        let since_ms = match self.beat_ms.load(Relaxed) {
            0 => 0,
            beat_ms => now.monotonic_ms.saturating_sub(beat_ms),
        };
        if since_ms < BUSY_AFTER_MS {
            0
        } else {
            since_ms
        }
    }

    /// What is to be listened on, once.
    pub fn take_listen(&self) -> Option<Listen> {
        let mut control = self.control.lock();
        match std::mem::replace(&mut control.listening, Listening::Yes) {
            Listening::Wanted(listen) => Some(listen),
            other => {
                control.listening = other;
                None
            }
        }
    }

    /// What is to be gone on with, once.
    pub fn take_credentials(&self) -> Option<Credentials> {
        self.control.lock().credentials.take()
    }

    /// It does not listen after all, and may be asked again.
    pub fn listen_failed(&self) {
        self.control.lock().listening = Listening::No;
    }

    pub fn stage(&self) -> Stage {
        self.control.lock().stage
    }

    /// Moves the calls of `flush` that are new.
    pub fn take_flushers(&self, into: &mut Vec<mpsc::SyncSender<()>>) {
        into.append(&mut self.control.lock().flushers);
    }

    /// Counts a connection that ended before its handshake.
    pub fn refused(&self, code: &'static str) {
        *self.counters.refused.lock().entry(code).or_default() += 1;
    }

    pub fn ring(&self) {
        self.counters.rings.fetch_add(1, Relaxed);
        self.sink.ring();
    }

    /// Reports a panic and what it ended.
    pub fn fail(&self, ended: &str) {
        let message = format!("A defect in collective-io ended {ended}: please report it");
        self.events.push(NodeEvent::Warning { code: ERR_INTERNAL, message, peer: None });
    }

    /// The driver's last act. Local writes are refused from here on.
    pub fn end(self: &Arc<Self>) {
        // The connections are gone, and with these their sockets.
        drop(self.hold(|core, _| std::mem::take(&mut core.outboxes)));
        // After a panic the engine may panic again; there is nobody left to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.hold(|core, now| {
                core.leave(now);
                core.armed = 0;
                while core.poll_output(now).is_some() {}
            });
        }));
        self.events.push(NodeEvent::Closed);
        let mut control = self.control.lock();
        control.stage = Stage::Ended;
        let closers = std::mem::take(&mut control.closers);
        control.flushers.clear();
        drop(control);
        self.poke();
        for closer in closers {
            // The receiver may be gone already.
            let _ = closer.send(());
        }
    }
}
