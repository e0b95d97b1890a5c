//! Looking into JSON text without building it.
//!
//! Values travel as text. Here they are checked once at the border, taken apart one level at a
//! time when a write goes below them, and walked for their hash.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::engine::text;

/// Up to so many keys are compared each with each.
const TWINS_SOUGHT_PAIRWISE: usize = 8;

/// What kind of JSON a text is, by its first byte. The text must be valid and trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Scalar,
    Object,
    Array,
}

pub fn kind(json: &str) -> Kind {
    match json.as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        _ => Kind::Scalar,
    }
}

/// The number that a scalar text is, if it is one.
pub fn number(json: &str) -> Option<f64> {
    match json.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => json.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// One level of a value.
pub enum Level<'a> {
    Scalar,
    Object(Vec<(Cow<'a, str>, &'a str)>),
    Array(Vec<&'a str>),
}

/// Takes a value apart by one level. Invalid text counts as a scalar; it was checked before.
pub fn level(json: &str) -> Level<'_> {
    match kind(json) {
        Kind::Scalar => Level::Scalar,
        Kind::Object => serde_json::from_str::<Entries>(json)
            .map_or(Level::Scalar, |entries| Level::Object(entries.0)),
        Kind::Array => serde_json::from_str::<Vec<&RawValue>>(json)
            .map_or(Level::Scalar, |raw| Level::Array(raw.iter().map(|raw| raw.get()).collect())),
    }
}

/// The text at a path inside a value, `None` where there is none.
pub fn at<'a, S: AsRef<str>>(json: &'a str, path: &[S]) -> Option<&'a str> {
    let Some((first, rest)) = path.split_first() else { return Some(json) };
    let inner = match level(json) {
        Level::Scalar => None,
        Level::Object(entries) => {
            entries.iter().rev().find(|(key, _)| key == first.as_ref()).map(|&(_, value)| value)
        }
        Level::Array(elements) => super::path::array_index(first.as_ref())
            .and_then(|index| elements.get(index as usize).copied()),
    }?;
    at(inner, rest)
}

/// Checks a text from a peer: one JSON value without white space around it, whose object keys are
/// strings of whole characters, each once in its object. Gives the depth of its nesting: 0 for a
/// scalar, 1 for `[]`.
pub fn check(json: &str, depth_max: usize) -> Result<usize, Refusal> {
    text::validate(json).map_err(Refusal::Invalid)?;
    inner_depth(json, 0, depth_max)
}

/// The same for a text that `JSON.stringify` made, which is known to be valid: one pass over the
/// bytes, unless there are surrogate escapes that may stand in a key.
pub fn check_own(json: &str, depth_max: usize) -> Result<usize, Refusal> {
    if kind(json) == Kind::Scalar {
        return if json.is_empty() { check(json, depth_max) } else { Ok(0) };
    }
    let Some(deepest) = text::scan(json, |escape| escape == b'u') else {
        return check(json, depth_max);
    };
    if deepest > depth_max {
        Err(Refusal::TooDeep(deepest))
    } else {
        Ok(deepest)
    }
}

fn inner_depth(json: &str, depth: usize, depth_max: usize) -> Result<usize, Refusal> {
    if kind(json) == Kind::Scalar {
        return Ok(depth);
    }
    let depth = depth + 1;
    if depth > depth_max {
        return Err(Refusal::TooDeep(depth));
    }
    let mut deepest = depth;
    match level(json) {
        Level::Scalar => return Err(Refusal::Invalid("a key with half a character".into())),
        Level::Object(entries) => {
            if has_twins(&entries) {
                return Err(Refusal::Invalid("a key twice in one object".into()));
            }
            for (_, inner) in entries {
                deepest = deepest.max(inner_depth(inner, depth, depth_max)?);
            }
        }
        Level::Array(elements) => {
            for inner in elements {
                deepest = deepest.max(inner_depth(inner, depth, depth_max)?);
            }
        }
    }
    Ok(deepest)
}

/// Whether a key comes twice. Of a whole value `JSON.parse` would show the last; taken apart it has
/// room for one.
fn has_twins(entries: &[(Cow<'_, str>, &str)]) -> bool {
    if entries.len() <= TWINS_SOUGHT_PAIRWISE {
        return (1..entries.len()).any(|at| entries[..at].iter().any(|e| e.0 == entries[at].0));
    }
    // Sorted and not hashed: a peer may choose keys whose hashes collide.
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// Why a value is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Invalid(String),
    TooDeep(usize),
}

/// An object key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object key of whole characters")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct Entries<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    entries.push((key.0, value.get()));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// Appends a number as JSON text, whole numbers without a fraction.
pub fn push_number(value: f64, out: &mut String) {
    use fmt::Write;
    if value.fract() == 0.0 && value.abs() < 1e15 {
        let _ = write!(out, "{}", value as i64);
    } else {
        out.push_str(&serde_json::to_string(&value).unwrap_or_default());
    }
}

/// Appends a string as JSON text.
pub fn push_string(text: &str, out: &mut String) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_counts_nesting_and_refuses_what_is_not_json() {
        assert_eq!(check("1", 8), Ok(0));
        assert_eq!(check("\"x\"", 8), Ok(0));
        assert_eq!(check("[]", 8), Ok(1));
        assert_eq!(check(r#"{"a":[{"b":null}],"é":1e3}"#, 8), Ok(3));
        assert_eq!(check(r#"[[[]]]"#, 2), Err(Refusal::TooDeep(3)));
        for bad in ["", " 1", "1 ", "{", "nul", "[1,]", "\"\n\"", r#"{"\ud800":1}"#, "1 2"] {
            assert!(matches!(check(bad, 8), Err(Refusal::Invalid(_))), "{bad:?}");
        }
        for twins in [r#"{"a":1,"a":1}"#, r#"[{"é":{},"b":2,"\u00e9":{}}]"#] {
            assert!(matches!(check(twins, 8), Err(Refusal::Invalid(_))), "{twins}");
        }
        let many: Vec<String> = (0..20).map(|key| format!("\"k{key}\":0")).collect();
        assert_eq!(check(&format!("{{{}}}", many.join(",")), 8), Ok(1));
        assert!(check(&format!("{{{},\"k3\":1}}", many.join(",")), 8).is_err());
        assert_eq!(check(r#"["\ud800"]"#, 8), Ok(1), "as JSON.stringify escapes it, in a value");
    }

    #[test]
    fn the_quick_check_agrees() {
        for json in ["1", "[]", r#"{"a":[{"b":"]}\"["}],"c":{}}"#, r#"{"\u0001":[[]]}"#, "\"[\""] {
            assert_eq!(check_own(json, 8), check(json, 8), "{json}");
        }
        assert!(check_own(r#"{"\ud800":1}"#, 8).is_err());
        assert_eq!(check_own("[[[]]]", 2), Err(Refusal::TooDeep(3)));
    }

    #[test]
    fn at_finds_what_a_reader_would() {
        let json = r#"{"a":[1,{"b":"x"}],"__proto__":2,"e\u0301":3}"#;
        assert_eq!(at(json, &["a", "1", "b"]), Some("\"x\""));
        assert_eq!(at(json, &["__proto__"]), Some("2"));
        assert_eq!(at(json, &["e\u{301}"]), Some("3"));
        assert_eq!(at(json, &["a", "01"]), None);
        assert_eq!(at(json, &["a", "0", "x"]), None);
    }

    #[test]
    fn numbers_and_strings_read_back() {
        for value in [0.0, -1.0, 0.5, 1e300, -2.25, 9_007_199_254_740_993.0, 1e-300] {
            let mut text = String::new();
            push_number(value, &mut text);
            assert_eq!(text.parse::<f64>().unwrap(), value);
        }
        let mut text = String::new();
        push_string("a\"\\\n☃", &mut text);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "a\"\\\n☃");
    }
}
