//! An engine that holds a little and is sent whatever the fuzzer thinks of.

use bytes::Bytes;
use collective_io::engine::wire::frame::FrameDecoder;
use collective_io::engine::wire::message::{self, Digest, Hello, Kind};
use collective_io::engine::{
    Ask, Config, Engine, Input, Item, LinkId, NodeId, Now, Offer, ReplicaId, To, Write,
};

const LINK: LinkId = LinkId(1);
const THEM: ReplicaId = ReplicaId(0xa1a2_a3a4_a5a6_a7a8);
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
    #[allow(dead_code)]
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
        victim
    }

    pub fn receive(&mut self, message: &[u8]) {
        let message = Bytes::copy_from_slice(message);
        self.engine.handle_input(self.now, Input::Received { link: LINK, message });
        self.drain();
    }

    /// It goes on: timers, jobs, reads, and writes in places that a peer may have touched.
    pub fn check_alive(&mut self) {
        for _ in 0..5 {
            self.now.monotonic_ms += 400;
            self.now.wall_ms += 400;
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        let ask = Ask { offer: Offer::Worker, name: "w", args: "[]", to: To::All, timeout_ms: 9 };
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
        if let Some(json) = self.engine.read(&[]) {
            serde_json::from_str::<serde_json::Value>(&json).expect("the document is JSON");
        }
        self.engine.hash();
        self.drain();
    }

    fn drain(&mut self) {
        while self.engine.poll_output(self.now).is_some() {}
    }
}

fn unframe(frames: &[u8]) -> Bytes {
    let mut decoder = FrameDecoder::new(1 << 20);
    decoder.buffer().extend_from_slice(frames);
    decoder.next_message().unwrap().unwrap()
}
