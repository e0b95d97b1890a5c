//! Paths as sortable keys.

use std::fmt;

/// The segments of a path in one byte string, sorted as the tree is walked: a path before what
/// lies below it, siblings by their names' bytes.
///
/// Each segment ends with `00`. The bytes `00` and `01` of a name become `01 01` and `01 02`. So
/// "Q lies at or below P" is "the key of Q starts with the key of P".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PathKey(Box<[u8]>);

impl PathKey {
    pub fn new<S: AsRef<str>>(path: &[S]) -> Self {
        let mut bytes = Vec::with_capacity(path.iter().map(|s| s.as_ref().len() + 1).sum());
        for segment in path {
            push_segment(&mut bytes, segment.as_ref());
        }
        PathKey(bytes.into())
    }

    /// Takes over bytes from a peer; `None` if they are not a key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = PathKey(bytes.into());
        key.checked_segments().map(|_| key)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn starts_with(&self, ancestor: &PathKey) -> bool {
        self.0.starts_with(&ancestor.0)
    }

    /// The segments, unescaped.
    pub fn segments(&self) -> Vec<Box<str>> {
        self.checked_segments().unwrap_or_default()
    }

    fn checked_segments(&self) -> Option<Vec<Box<str>>> {
        let mut segments = Vec::new();
        let mut name = Vec::new();
        let mut bytes = self.0.iter();
        let mut ended = true;
        while let Some(&byte) = bytes.next() {
            ended = byte == 0;
            match byte {
                0 => segments.push(String::from_utf8(std::mem::take(&mut name)).ok()?.into()),
                1 => name.push(match bytes.next()? {
                    1 => 0,
                    2 => 1,
                    _ => return None,
                }),
                _ => name.push(byte),
            }
        }
        ended.then_some(segments)
    }
}

impl fmt::Debug for PathKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments().join("."))
    }
}

/// Appends one segment to the bytes of a key.
pub fn push_segment(bytes: &mut Vec<u8>, segment: &str) {
    for &byte in segment.as_bytes() {
        match byte {
            0 => bytes.extend([1, 1]),
            1 => bytes.extend([1, 2]),
            _ => bytes.push(byte),
        }
    }
    bytes.push(0);
}

/// The index that a segment names in an array: a canonical decimal.
pub fn array_index(segment: &str) -> Option<u32> {
    let bytes = segment.as_bytes();
    let canonical = matches!(bytes, [b'0'] | [b'1'..=b'9', ..])
        && bytes.len() <= 9
        && bytes.iter().all(u8::is_ascii_digit);
    canonical.then(|| segment.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_round_trip_and_sort_like_the_tree(
            a in proptest::collection::vec("[\0\u{1}a-c]{0,3}", 0..4),
            b in proptest::collection::vec("[\0\u{1}a-c]{0,3}", 0..4),
        ) {
            let (x, y) = (PathKey::new(&a), PathKey::new(&b));
            prop_assert_eq!(x.segments().iter().map(|s| s.to_string()).collect::<Vec<_>>(), a.clone());
            prop_assert_eq!(PathKey::from_bytes(x.as_bytes()), Some(x.clone()));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(y.starts_with(&x), b.starts_with(&a));
        }

        #[test]
        fn junk_is_no_key_or_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Some(key) = PathKey::from_bytes(&bytes) {
                prop_assert_eq!(PathKey::new(&key.segments()), key);
            }
        }
    }

    #[test]
    fn only_canonical_decimals_are_indexes() {
        assert_eq!(array_index("0"), Some(0));
        assert_eq!(array_index("65535"), Some(65_535));
        for other in ["", "00", "01", "-1", "+1", "1.0", "1e3", " 1", "x", "4294967296"] {
            assert_eq!(array_index(other), None, "{other:?}");
        }
    }
}
