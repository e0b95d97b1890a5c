use collective_io::engine::document::json::{self, Refusal};
use collective_io::engine::{text, Config, Engine, Now, Write};

use super::reader::{self, Value};

const DEPTH_MAX: usize = 20;
/// serde_json's own bound.
const PARSER_DEPTH_MAX: usize = 127;

/// JSON text at the border: it is taken if an independent reader takes it, but for what
/// `docs/protocol.md` refuses, and it is shown as that reader reads it, whole or taken apart.
pub fn json(input: &[u8]) {
    let Ok(json) = std::str::from_utf8(input) else { return };
    let read = reader::read_with_form(json);

    // Values of jobs and events are only carried.
    let carried =
        read.as_ref().is_some_and(|(_, form)| !form.padded && form.depth <= PARSER_DEPTH_MAX);
    assert_eq!(text::validate(json).is_ok(), carried);

    let taken = json::check(json, DEPTH_MAX);
    let Some((value, form)) = read else {
        assert!(matches!(taken, Err(Refusal::Invalid(_))), "no JSON is taken");
        return;
    };
    let valid = carried && !form.half_name && !form.twins;
    match taken {
        Ok(depth) => {
            assert!(valid && depth == form.depth && depth <= DEPTH_MAX);
            assert_eq!(json::check_own(json, DEPTH_MAX), Ok(depth));
            shown(json, value);
        }
        Err(Refusal::Invalid(_)) => assert!(!valid),
        Err(Refusal::TooDeep(depth)) => assert!(depth > DEPTH_MAX && form.depth >= depth),
    }
}

fn shown(json: &str, value: Value) {
    let now = Now { monotonic_ms: 0, wall_ms: 1_750_000_000_000 };
    let mut engine = Engine::new(Config::default(), [1; 32], now);
    engine.write(now, Write::Set { path: &["k"], json }).unwrap();
    let read = |engine: &mut Engine| reader::read(&engine.read(&["k"]).unwrap());
    assert_eq!(read(&mut engine).as_ref(), Some(&value));
    // Taken apart it is the same, but for what was added.
    match value {
        Value::Object(mut members) => {
            let path = ["k", "one more"];
            engine.write(now, Write::Set { path: &path, json: "1" }).unwrap();
            members.insert("one more".encode_utf16().collect(), Value::Number(1.0));
            assert_eq!(read(&mut engine), Some(Value::Object(members)));
        }
        Value::Array(mut elements) => {
            let index = elements.len().to_string();
            engine.write(now, Write::Set { path: &["k", &index], json: "1" }).unwrap();
            elements.push(Value::Number(1.0));
            assert_eq!(read(&mut engine), Some(Value::Array(elements)));
        }
        _ => {}
    }
}
