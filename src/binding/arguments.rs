//! What calls are given, besides keys: numbers, texts, kinds, peers. `lib/` passes what is right;
//! anything else is a `TypeError`.

use napi::sys;

use super::error::{check, Failure};
use super::text::Text;
use crate::engine::{Offer, Refusal, ReplicaId, To};

/// Bytes of a list of nodes read without an allocation.
const NODES_BYTES_INLINE: usize = 256;
/// The numbers that JavaScript has for kinds of offers.
const OFFERS: [Offer; 3] = [Offer::Worker, Offer::Function, Offer::Event];
/// Those that it has for the outcomes of what was not run.
const REFUSALS: [(Refusal, u32); 2] = [(Refusal::NoWorker, 2), (Refusal::Busy, 6)];

/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn string<const N: usize>(
    env: sys::napi_env,
    text: &mut Text<N>,
    value: sys::napi_value,
) -> Result<&str, Failure> {
    // SAFETY: as this function's.
    let read = unsafe { text.read(env, value)? };
    read.ok_or_else(|| Failure::invalid_argument("An argument must be a string"))
}

/// Any number but `NaN`.
///
/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn number(env: sys::napi_env, value: sys::napi_value) -> Result<f64, Failure> {
    let mut number = f64::NAN;
    // SAFETY: as this function's; `number` outlives the call.
    match unsafe { sys::napi_get_value_double(env, value, &mut number) } {
        sys::Status::napi_number_expected => {}
        status => check(status)?,
    }
    if number.is_nan() {
        return Err(Failure::invalid_argument("An argument must be a number"));
    }
    Ok(number)
}

/// A time, rounded up: the shortest one there is must not be none.
///
/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn milliseconds(env: sys::napi_env, value: sys::napi_value) -> Result<u64, Failure> {
    // SAFETY: as this function's.
    let ms = unsafe { number(env, value)? };
    Ok(ms.ceil() as u64)
}

/// The number of a job or run. One that there never was is as good as one that has ended.
///
/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn id(env: sys::napi_env, value: sys::napi_value) -> Result<u64, Failure> {
    // SAFETY: as this function's.
    Ok(unsafe { number(env, value)? } as u64)
}

/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn boolean(env: sys::napi_env, value: sys::napi_value) -> Result<bool, Failure> {
    let mut boolean = false;
    // SAFETY: as this function's; `boolean` outlives the call.
    match unsafe { sys::napi_get_value_bool(env, value, &mut boolean) } {
        sys::Status::napi_boolean_expected => {
            Err(Failure::invalid_argument("An argument must be true or false"))
        }
        status => check(status).map(|()| boolean),
    }
}

/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn port(env: sys::napi_env, value: sys::napi_value) -> Result<u16, Failure> {
    // SAFETY: as this function's.
    let number = unsafe { number(env, value)? };
    let port = number as u16;
    if f64::from(port) == number {
        Ok(port)
    } else {
        Err(Failure::invalid_argument("A port must be an integer from 0 to 65535"))
    }
}

/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn offer(env: sys::napi_env, value: sys::napi_value) -> Result<Offer, Failure> {
    // SAFETY: as this function's.
    let kind = unsafe { number(env, value)? };
    let known = OFFERS.into_iter().find(|&offer| f64::from(kind_of(offer)) == kind);
    known.ok_or_else(|| Failure::invalid_argument("There is no such kind"))
}

/// The reverse of [`offer`].
pub fn kind_of(offer: Offer) -> u32 {
    OFFERS.iter().zip(0..).find(|(&known, _)| known == offer).map_or(0, |(_, kind)| kind)
}

/// Why a function is not run, by the number of the outcome that it leads to.
///
/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn refusal(env: sys::napi_env, value: sys::napi_value) -> Result<Refusal, Failure> {
    // SAFETY: as this function's.
    let outcome = unsafe { number(env, value)? };
    let known = REFUSALS.into_iter().find(|&(_, number)| f64::from(number) == outcome);
    known
        .map(|(refusal, _)| refusal)
        .ok_or_else(|| Failure::invalid_argument("A run is not refused with this outcome"))
}

/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
pub unsafe fn peer(env: sys::napi_env, value: sys::napi_value) -> Result<ReplicaId, Failure> {
    let mut text = Text::<32>::new();
    // SAFETY: as this function's.
    parse_replica(unsafe { string(env, &mut text, value)? })
}

/// Gives `f` the nodes meant: `"*"` all with this one, `"-"` all peers, else those named, joined by
/// commas.
///
/// # Safety
///
/// `env` is the environment of the running call and `to` one of its values.
pub unsafe fn with_targets<R>(
    env: sys::napi_env,
    to: sys::napi_value,
    f: impl FnOnce(To<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let mut text = Text::<NODES_BYTES_INLINE>::new();
    // SAFETY: as this function's.
    match unsafe { string(env, &mut text, to)? } {
        "*" => f(To::All),
        "-" => f(To::Others),
        list => {
            let nodes: Result<Vec<_>, Failure> = list.split(',').map(parse_replica).collect();
            f(To::Only(&nodes?))
        }
    }
}

/// 16 hexadecimal digits.
fn parse_replica(hex: &str) -> Result<ReplicaId, Failure> {
    let digits = hex.len() == 16 && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = u64::from_str_radix(hex, 16).ok().filter(|_| digits);
    id.map(ReplicaId)
        .ok_or_else(|| Failure::invalid_argument("A node must be 16 hexadecimal digits"))
}
