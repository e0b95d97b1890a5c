//! JSON text at the border: what is accepted is what a parser reads, and is shown as it was set.
#![no_main]

use collective_io::engine::document::json;
use collective_io::engine::{Config, Engine, Now, Write};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const DEPTH_MAX: usize = 20;

fuzz_target!(|text: &str| {
    let parsed = serde_json::from_str::<Value>(text);
    match json::check(text, DEPTH_MAX) {
        Ok(depth) => {
            assert!(depth <= DEPTH_MAX);
            // A lone surrogate in a value is JSON and no Rust string.
            let Ok(parsed) = parsed else { return };
            assert_eq!(json::check_own(text, DEPTH_MAX), Ok(depth));
            let now = Now { monotonic_ms: 0, wall_ms: 1_750_000_000_000 };
            let mut engine = Engine::new(Config::default(), [1; 32], now);
            engine.write(now, Write::Set { path: &["k"], json: text }).unwrap();
            let shown = engine.read(&["k"]).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), parsed);
            // Taken apart it is the same but for what was added.
            if let Value::Object(mut members) = parsed {
                let path = ["k", "one more"];
                engine.write(now, Write::Set { path: &path, json: "1" }).unwrap();
                members.insert("one more".into(), 1.into());
                let shown = engine.read(&["k"]).unwrap();
                let shown: Value = serde_json::from_str(&shown).unwrap();
                assert_eq!(shown, Value::Object(members));
            }
        }
        Err(json::Refusal::Invalid(_)) => {
            // White space around a value, and keys with half a character, are not for us.
            if let Ok(parsed) = parsed {
                assert!(text.trim_ascii() != text || parsed.is_object() || parsed.is_array());
            }
        }
        Err(json::Refusal::TooDeep(depth)) => assert!(depth > DEPTH_MAX),
    }
});
