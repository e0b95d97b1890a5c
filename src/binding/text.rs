//! Strings in both directions, and keys.

use std::ptr;

use napi::sys;

use super::error::{check, Failure};
use super::memory::Room;

/// Bytes of a key read without an allocation.
const KEY_BYTES_INLINE: usize = 256;
/// Segments of a key split without an allocation. Small: the array is filled at every call.
const SEGMENTS_INLINE: usize = 16;

/// Whether a call takes `null` for the whole document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    Allowed,
    Refused,
}

/// Room for the UTF-8 text of one JavaScript string: on the stack while it is short.
pub struct Text<const N: usize>(Room<N>);

impl<const N: usize> Text<N> {
    pub const fn new() -> Self {
        Text(Room::new())
    }

    /// The text of `value`; `None` if it isn't a string. Lone surrogates come as U+FFFD.
    ///
    /// # Safety
    ///
    /// `env` is the environment of the running call and `value` one of its values.
    pub unsafe fn read(
        &mut self,
        env: sys::napi_env,
        value: sys::napi_value,
    ) -> Result<Option<&str>, Failure> {
        let fill = |room, bytes| {
            let mut length = 0;
            // SAFETY: Node-API writes at most `bytes` bytes, a final NUL included, and without a
            // room it only counts.
            let status =
                unsafe { sys::napi_get_value_string_utf8(env, value, room, bytes, &mut length) };
            match status {
                sys::Status::napi_string_expected => Err(None),
                status => check(status).map(|()| length).map_err(Some),
            }
        };
        // SAFETY: Node-API cuts between characters and reports how many bytes it has initialised,
        // the NUL not counted.
        let bytes = match unsafe { self.0.read(fill) } {
            Ok(bytes) => bytes,
            Err(None) => return Ok(None),
            Err(Some(failure)) => return Err(failure),
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Failure::internal("Node-API gave a string that is not UTF-8")),
        }
    }
}

/// Gives `f` the path that a dotted key names: `'a.b'` has two segments, `''` one (the empty name),
/// `null` none; or that of an array of its segments.
///
/// # Safety
///
/// `env` is the environment of the running call and `key` one of its values.
pub unsafe fn with_path<R>(
    env: sys::napi_env,
    key: sys::napi_value,
    root: Root,
    f: impl FnOnce(&[&str]) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let mut text = Text::<KEY_BYTES_INLINE>::new();
    // SAFETY: as this function's.
    let Some(key_text) = (unsafe { text.read(env, key)? }) else {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: as this function's; `kind` outlives the call.
        check(unsafe { sys::napi_typeof(env, key, &mut kind) })?;
        if kind != sys::ValueType::napi_null {
            // SAFETY: as this function's.
            let segments = unsafe { read_segments(env, key)? };
            return f(&segments.iter().map(String::as_str).collect::<Vec<_>>());
        }
        return match root {
            Root::Allowed => f(&[]),
            Root::Refused => {
                Err(Failure::invalid_key("The document as a whole cannot be written: name a key"))
            }
        };
    };
    // Node-API turns a lone surrogate into U+FFFD silently; two such keys would then be one. A key
    // that holds a true U+FFFD is fine, so only the UTF-16 text can tell.
    if !key_text.is_ascii()
        && key_text.contains(char::REPLACEMENT_CHARACTER)
        // SAFETY: as this function's, and `key` is a string.
        && unsafe { has_lone_surrogate(env, key)? }
    {
        return Err(Failure::invalid_key(
            "The key holds half of a surrogate pair, which has no UTF-8 form",
        ));
    }

    // A plain loop: keys are too short for the searches of the standard library to pay.
    let mut inline = [""; SEGMENTS_INLINE];
    let (mut count, mut start) = (0, 0);
    for (at, byte) in key_text.bytes().enumerate() {
        if byte == b'.' {
            if count == SEGMENTS_INLINE - 1 {
                return f(&key_text.split('.').collect::<Vec<_>>());
            }
            inline[count] = &key_text[start..at];
            count += 1;
            start = at + 1;
        }
    }
    inline[count] = &key_text[start..];
    f(&inline[..=count])
}

/// The strings of an array, at least one.
///
/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
unsafe fn read_segments(
    env: sys::napi_env,
    value: sys::napi_value,
) -> Result<Vec<String>, Failure> {
    let (mut is_array, mut length) = (false, 0);
    // SAFETY: as this function's; what is written to outlives the call.
    unsafe {
        check(sys::napi_is_array(env, value, &mut is_array))?;
        if is_array {
            check(sys::napi_get_array_length(env, value, &mut length))?;
        }
    }
    if length == 0 {
        return Err(Failure::invalid_key("The key must be a string, or an array of some"));
    }
    let mut segments = Vec::new();
    for index in 0..length {
        let mut text = Text::<KEY_BYTES_INLINE>::new();
        let mut element = ptr::null_mut();
        // SAFETY: as this function's; `element` outlives the call and is a value of it.
        let segment = unsafe {
            check(sys::napi_get_element(env, value, index, &mut element))?;
            text.read(env, element)?
        };
        // `lib/` has seen to it that no string holds half of a surrogate pair.
        let segment = segment.ok_or_else(|| Failure::invalid_key("A segment must be a string"))?;
        segments.push(segment.to_owned());
    }
    Ok(segments)
}

/// # Safety
///
/// `env` is the environment of the running call and `value` one of its strings.
unsafe fn has_lone_surrogate(env: sys::napi_env, value: sys::napi_value) -> Result<bool, Failure> {
    let mut length = 0;
    // SAFETY: without a buffer Node-API only counts.
    check(unsafe {
        sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &mut length)
    })?;
    let mut units = vec![0u16; length + 1];
    // SAFETY: Node-API writes at most `units.len()` units, a final NUL included.
    check(unsafe {
        let room = units.as_mut_ptr();
        sys::napi_get_value_string_utf16(env, value, room, units.len(), &mut length)
    })?;
    Ok(char::decode_utf16(units[..length].iter().copied()).any(|unit| unit.is_err()))
}

/// A JavaScript string. ASCII takes V8's one-byte path, which spares it the decoding.
///
/// # Safety
///
/// `env` is the environment of the running call.
pub unsafe fn to_js(env: sys::napi_env, text: &str) -> Result<sys::napi_value, Failure> {
    let create =
        if text.is_ascii() { sys::napi_create_string_latin1 } else { sys::napi_create_string_utf8 };
    let mut value = ptr::null_mut();
    // SAFETY: Node-API copies `text.len()` bytes; a `str` is at most `isize::MAX` bytes long.
    check(unsafe { create(env, text.as_ptr().cast(), text.len() as isize, &mut value) })?;
    Ok(value)
}
