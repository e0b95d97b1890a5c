//! JSON text as all of the engine sees it: valid or not, and how deep.

use serde::de::IgnoredAny;

/// Whether a text is one JSON value without white space around it. Nested at most 127 levels deep.
pub fn validate(json: &str) -> Result<(), String> {
    if json.trim_ascii().len() != json.len() || json.is_empty() {
        return Err("white space around the value, or no value".into());
    }
    serde_json::from_str::<IgnoredAny>(json).map(|_| ()).map_err(|error| error.to_string())
}

/// How deep a valid text is nested: 0 for a scalar, 1 for `[]`.
pub fn nesting(json: &str) -> usize {
    let open = |byte: &u8| matches!(byte, b'{' | b'[');
    if json.as_bytes().iter().filter(|byte| open(byte)).count() <= 1 {
        // At the start, or in a string.
        return usize::from(json.as_bytes().first().is_some_and(open));
    }
    scan(json, |_| false).unwrap_or_default()
}

/// The same, without a shortcut; `None` if an escape stands in a string whose letter is one to stop at.
pub fn scan(json: &str, stops: impl Fn(u8) -> bool) -> Option<usize> {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json.as_bytes() {
        if in_string {
            if escaped {
                if stops(byte) {
                    return None;
                }
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                in_string = false;
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Some(deepest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_not_fooled_by_strings() {
        for (json, depth) in
            [("1", 0), ("[]", 1), (r#"{"a":[{"b":"]}\"[\\"}],"c":{}}"#, 3), (r#""[{""#, 0)]
        {
            assert_eq!(validate(json), Ok(()));
            assert_eq!(nesting(json), depth, "{json}");
        }
    }

    #[test]
    fn what_is_no_value_is_told_apart() {
        for bad in ["", " 1", "1 ", "{", "nul", "[1,]", "\"\n\"", "1 2", &"[".repeat(200)] {
            assert!(validate(bad).is_err(), "{bad:?}");
        }
    }
}
