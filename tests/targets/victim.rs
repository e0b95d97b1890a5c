//! An engine that holds a little and is sent whatever the fuzzer thinks of.

use std::collections::VecDeque;

use bytes::Bytes;
use collective_io::engine::wire::frame::FrameDecoder;
use collective_io::engine::wire::message::{self, Digest, Hello, Kind};
use collective_io::engine::{
    Ask, CloseReason, Config, Engine, Input, Item, LinkId, NodeId, Now, Offer, Output, ReplicaId,
    To, Write,
};

use super::reader::{self, Value};

/// What any node takes, with the default limits or more.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The number of the victim's first pull.
pub const PULL: u32 = 1;
const LINK: LinkId = LinkId(1);
/// Between the victim and an engine that knows nothing.
const OTHER_LINK: LinkId = LinkId(2);
const STEP_MS: u64 = 400;
/// After so long a silent peer is lost, and everybody has pulled what there is.
const QUIET_STEPS: usize = 30;
pub const THEM: ReplicaId = ReplicaId(0xa1a2_a3a4_a5a6_a7a8);
const PATHS: &[&[&str]] = &[&["a"], &["a", "b"], &["list", "0"], &["n"]];

pub struct Victim {
    engine: Engine,
    now: Now,
}

impl Victim {
    /// A connection is open, and nobody has said hello.
    pub fn new() -> Self {
        let now = Now { monotonic_ms: 0, wall_ms: 1_750_000_000_000 };
        let mut victim = Victim { engine: Engine::new(Config::default(), [1; 32], now), now };
        victim.engine.handle_timeout(now);
        for path in PATHS {
            let json = r#"{"y":[1],"b":{"x":2}}"#;
            victim.engine.write(now, Write::Set { path, json }).unwrap();
        }
        victim.engine.offer(Offer::Worker, "w");
        victim.engine.offer(Offer::Event, "e");
        victim.engine.handle_input(now, Input::Opened { link: LINK, dialled: None });
        victim.drain();
        victim
    }

    /// A peer is there that has more than the engine, which has asked it for that.
    pub fn with_peer() -> Self {
        let mut victim = Self::new();
        let hello = Hello {
            magic: message::MAGIC,
            major: message::VERSION_MAJOR,
            minor: message::VERSION_MINOR,
            replica: THEM,
            node: NodeId([7; 12]),
            cluster: "collective",
            advertised: Some("127.0.0.1:9000"),
            limits: (4096, 64, 1 << 20),
        };
        let digest = Digest { vector: vec![(THEM, 3)], ..Digest::default() };
        for frames in [message::encode(Kind::Hello, &hello), message::encode(Kind::Digest, &digest)]
        {
            victim.receive(&unframe(&frames));
        }
        assert_eq!(victim.engine.peers(), [THEM]);
        assert_eq!(victim.engine.stats().pulls, u64::from(PULL));
        victim
    }

    pub fn receive(&mut self, message: &[u8]) {
        let message = Bytes::copy_from_slice(message);
        self.engine.handle_input(self.now, Input::Received { link: LINK, message });
        self.drain();
    }

    pub fn wait(&mut self) {
        self.pass();
        self.engine.handle_timeout(self.now);
        self.drain();
    }

    fn pass(&mut self) {
        self.now.monotonic_ms += STEP_MS;
        self.now.wall_ms += STEP_MS;
    }

    /// A node that knows nothing gets what the victim holds, and shows the same.
    pub fn check_passed_on(&mut self) {
        let mut other = Engine::new(Config::default(), [2; 32], self.now);
        let mut under_way = VecDeque::new();
        for engine in [&mut self.engine, &mut other] {
            engine.handle_input(self.now, Input::Opened { link: OTHER_LINK, dialled: None });
        }
        for _ in 0..QUIET_STEPS {
            loop {
                for (to, engine) in [(1, &mut self.engine), (0, &mut other)] {
                    while let Some(output) = engine.poll_output(self.now) {
                        match output {
                            Output::Send { link: OTHER_LINK, frames } => {
                                let (link, bytes) = (OTHER_LINK, frames.len());
                                under_way.push_back((to, unframe(&frames)));
                                engine.handle_input(self.now, Input::Drained { link, bytes });
                            }
                            Output::Close { link: OTHER_LINK, reason } => {
                                panic!("what the victim tells is refused: {reason:?}");
                            }
                            _ => {}
                        }
                    }
                }
                let Some((to, message)) = under_way.pop_front() else { break };
                let engine = if to == 0 { &mut self.engine } else { &mut other };
                engine.handle_input(self.now, Input::Received { link: OTHER_LINK, message });
            }
            self.pass();
            self.engine.handle_timeout(self.now);
            other.handle_timeout(self.now);
        }
        assert_eq!(read(&mut self.engine), read(&mut other));
        assert_eq!(self.engine.hash(), other.hash());
        assert_eq!(self.engine.stats().state_mismatches, 0);
        self.engine.handle_input(
            self.now,
            Input::Closed { link: OTHER_LINK, reason: CloseReason::Lost("over".into()) },
        );
        self.drain();
    }

    /// It goes on: timers, jobs, reads, and writes in places that a peer may have touched.
    pub fn check_alive(&mut self) {
        for _ in 0..5 {
            self.wait();
        }
        let ask = Ask {
            offer: Offer::Worker,
            name: "w",
            args: "[]",
            to: To::All,
            timeout_ms: 9,
            trace: "",
        };
        self.engine.ask(self.now, ask).unwrap();
        let mut items = Vec::new();
        while self.engine.take_items(self.now, 5, &mut items) {}
        for item in items {
            if let Item::Run { run, .. } = item {
                self.engine.answer(run, Ok("1"));
            }
        }
        for path in PATHS {
            // What a peer brought may refuse it.
            let _ = self.engine.write(self.now, Write::Increment { path, by: 1.0 });
            self.engine.write(self.now, Write::Set { path, json: "[1]" }).ok();
            self.engine.write(self.now, Write::Delete { path }).unwrap();
        }
        read(&mut self.engine);
        self.engine.hash();
        self.drain();
    }

    fn drain(&mut self) {
        while self.engine.poll_output(self.now).is_some() {}
    }
}

fn read(engine: &mut Engine) -> Value {
    let json = engine.read(&[]).unwrap_or_else(|| "null".into());
    // Half of a surrogate pair is JSON and no Rust string.
    reader::read(&json).expect("the document is JSON")
}

pub fn unframe(frames: &[u8]) -> Bytes {
    let mut decoder = FrameDecoder::new(MESSAGE_BYTES_MAX);
    decoder.buffer().extend_from_slice(frames);
    decoder.next_message().unwrap().unwrap()
}
