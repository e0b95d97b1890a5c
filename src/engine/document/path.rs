//! Paths as sortable keys.

use std::borrow::{Borrow, Cow};
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

    /// Of bytes put together by [`push_segment`].
    pub fn from_segments(bytes: Vec<u8>) -> Self {
        PathKey(bytes.into())
    }

    /// Takes over bytes from a peer; `None` if they are not a key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        depth(bytes).map(|_| PathKey(bytes.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The keys of the paths from the whole document down to this one.
    pub fn prefixes(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.0.iter().enumerate().filter(|(_, &byte)| byte == 0);
        std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).map(|end| &self.0[..end])
    }

    pub fn starts_with(&self, ancestor: &PathKey) -> bool {
        self.0.starts_with(&ancestor.0)
    }

    /// The segments, unescaped.
    pub fn segments(&self) -> Vec<Cow<'_, str>> {
        let mut segments = Vec::with_capacity(8);
        segments.extend(self.0.split_inclusive(|&byte| byte == 0).map(|segment| {
            let raw = std::str::from_utf8(segment).unwrap_or_default().trim_end_matches('\0');
            match raw.contains('\u{1}') {
                true => Cow::Owned(unescape(raw)),
                false => Cow::Borrowed(raw),
            }
        }));
        segments
    }
}

fn unescape(raw: &str) -> String {
    let mut name = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        name.push(match char {
            '\u{1}' if chars.next() == Some('\u{1}') => '\0',
            // Its second half is gone.
            '\u{1}' => '\u{1}',
            other => other,
        });
    }
    name
}

impl fmt::Debug for PathKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments().join("."))
    }
}

impl Borrow<[u8]> for PathKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// How many segments the bytes of a key have; `None` if they are not a key.
pub fn depth(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut depth = 0;
    while at < bytes.len() {
        let end = at + bytes[at..].iter().position(|&byte| byte == 0)?;
        let segment = std::str::from_utf8(&bytes[at..end]).ok()?.as_bytes();
        let mut rest = segment.iter();
        while rest.find(|&&byte| byte == 1).is_some() {
            rest.next().filter(|&&byte| matches!(byte, 1 | 2))?;
        }
        depth += 1;
        at = end + 1;
    }
    Some(depth)
}

/// Appends one segment to the bytes of a key.
pub fn push_segment(bytes: &mut Vec<u8>, segment: &str) {
    let segment = segment.as_bytes();
    if !segment.iter().any(|&byte| byte <= 1) {
        bytes.extend_from_slice(segment);
        bytes.push(0);
        return;
    }
    for &byte in segment {
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
            let prefixes: Vec<Vec<u8>> = x.prefixes().map(<[u8]>::to_vec).collect();
            let above: Vec<_> = (0..=a.len()).map(|d| PathKey::new(&a[..d]).as_bytes().to_vec()).collect();
            prop_assert_eq!(prefixes, above);
            prop_assert_eq!(y.starts_with(&x), b.starts_with(&a));
        }

        #[test]
        fn junk_is_no_key_or_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let key = PathKey::from_bytes(&bytes);
            prop_assert_eq!(depth(&bytes), key.as_ref().map(|key| key.segments().len()));
            if let Some(key) = key {
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
