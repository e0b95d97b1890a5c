//! The frequent calls, as raw functions.
//!
//! Each function owns a share of its instance, given back when it is collected, so its data pointer
//! is valid whenever it is called.

use std::ffi::{c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::arguments::{boolean, id, milliseconds, offer, refusal, string, with_targets};
use super::error::{check, Failure};
use super::instance::Instance;
use super::text::{to_js, with_path, Root, Text};
use super::{events, memory};
use crate::engine::{Ask, JobId, Reading, RunId, Shown, Write, WriteError};

/// Bytes of a value's JSON read without an allocation.
const VALUE_BYTES_INLINE: usize = 1024;
/// What a function gave that answers with no JSON text at all.
const NO_JSON: &str =
    r#"{"name":"TypeError","message":"The result has no JSON form","code":"ERR_INVALID_VALUE"}"#;
/// What a function without a result returns.
const UNDEFINED: sys::napi_value = ptr::null_mut();

type Name = Text<256>;
type Trace = Text<256>;
type Value = Text<VALUE_BYTES_INLINE>;
type Raw = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

const FUNCTIONS: [(&CStr, Raw); 24] = [
    (c"get", get),
    (c"set", set),
    (c"increment", increment),
    (c"add", add),
    (c"delete", delete),
    (c"load", load),
    (c"loadShape", load_shape),
    (c"unwatch", unwatch),
    (c"drain", drain),
    (c"keys", keys),
    (c"shape", shape),
    (c"page", page),
    (c"count", count),
    (c"beginBatch", begin_batch),
    (c"endBatch", end_batch),
    (c"observers", observers),
    (c"changes", changes),
    (c"ask", ask),
    (c"answer", answer),
    (c"refuse", refuse),
    (c"setTimeoutOf", set_timeout_of),
    (c"cancel", cancel),
    (c"emit", emit),
    (c"beat", beat),
];

/// An object with the hot functions of an instance.
///
/// # Safety
///
/// `env` is the environment of the running call and of the instance.
pub unsafe fn functions(
    env: sys::napi_env,
    instance: &Rc<Instance>,
) -> Result<sys::napi_value, Failure> {
    let mut object = ptr::null_mut();
    // SAFETY: `env` is valid; the values made here live as long as the running call. The finalizer
    // gives back the share of the instance that `data` is, once, when the function is collected.
    unsafe {
        check(sys::napi_create_object(env, &mut object))?;
        for (name, raw) in FUNCTIONS {
            let data = memory::share(instance);
            let mut function = ptr::null_mut();
            let made = check(sys::napi_create_function(
                env,
                name.as_ptr(),
                name.count_bytes() as isize,
                Some(raw),
                data,
                &mut function,
            ))
            .and_then(|()| {
                let (hint, reference) = (ptr::null_mut(), ptr::null_mut());
                check(sys::napi_add_finalizer(env, function, data, Some(forget), hint, reference))
            });
            if made.is_err() {
                forget(env, data, ptr::null_mut());
            }
            made?;
            check(sys::napi_set_named_property(env, object, name.as_ptr(), function))?;
        }
    }
    Ok(object)
}

unsafe extern "C" fn forget(_: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` came from `share` and is given back once.
    unsafe { memory::give_back::<Instance>(data) };
}

unsafe extern "C" fn get(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key]| {
            let reading = with_path(env, key, Root::Allowed, |path| Ok(instance.read(path)))?;
            value_or_json(env, reading)
        })
    }
}

/// `get` of a key that is watched from here on: its slot then stands in word 0 of the slots. Another
/// slot is watched no longer, whatever comes of the call; 0 for none.
unsafe extern "C" fn load(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key, instead_of]| {
            unwatch_slot(env, instance, instead_of)?;
            let (reading, slot) = with_path(env, key, Root::Allowed, |path| {
                Ok(instance.watch(path, |engine| engine.reading(path)))
            })?;
            // Of a call that throws nobody takes the slot.
            value_or_json(env, reading).inspect_err(|_| instance.unwatch(slot))
        })
    }
}

/// `load`, but of what `shape` gives.
unsafe extern "C" fn load_shape(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key, instead_of]| {
            unwatch_slot(env, instance, instead_of)?;
            let (shown, slot) = with_path(env, key, Root::Allowed, |path| {
                Ok(instance.watch(path, |engine| engine.shown(path)))
            })?;
            number_of(env, shown).inspect_err(|_| instance.unwatch(slot))
        })
    }
}

/// A number as such, everything else as its JSON text, and nothing as `undefined`.
///
/// # Safety
///
/// `env` is the environment of the running call.
unsafe fn value_or_json(
    env: sys::napi_env,
    reading: Option<Reading>,
) -> Result<sys::napi_value, Failure> {
    let Some(reading) = reading else { return Ok(UNDEFINED) };
    // SAFETY: as this function's; `value` outlives the call.
    unsafe {
        if let Some(number) = reading.number() {
            let mut value = ptr::null_mut();
            check(sys::napi_create_double(env, number, &mut value))?;
            return Ok(value);
        }
        to_js(env, &reading.json())
    }
}

unsafe extern "C" fn set(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key, value]| {
            let mut text = Value::new();
            let json = text
                .read(env, value)?
                .ok_or_else(|| WriteError::InvalidValue { detail: "it has no JSON text".into() })?;
            with_path(env, key, Root::Refused, |path| instance.write(Write::Set { path, json }))?;
            Ok(UNDEFINED)
        })
    }
}

unsafe extern "C" fn increment(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key, by]| {
            let by = addend(env, by)?;
            with_path(env, key, Root::Refused, |path| {
                instance.write(Write::Increment { path, by })
            })?;
            Ok(UNDEFINED)
        })
    }
}

/// An increment that gives the new value.
unsafe extern "C" fn add(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key, by]| {
            let by = addend(env, by)?;
            let sum = with_path(env, key, Root::Refused, |path| instance.add(path, by))?;
            let mut value = ptr::null_mut();
            check(sys::napi_create_double(env, sum, &mut value))?;
            Ok(value)
        })
    }
}

/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
unsafe fn addend(env: sys::napi_env, value: sys::napi_value) -> Result<f64, Failure> {
    let mut number = 0.0;
    // SAFETY: as this function's; `number` outlives the call.
    match unsafe { sys::napi_get_value_double(env, value, &mut number) } {
        sys::Status::napi_number_expected => Err(WriteError::InvalidIncrement)?,
        status => check(status)?,
    }
    Ok(number)
}

unsafe extern "C" fn delete(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key]| {
            let found =
                with_path(env, key, Root::Refused, |path| instance.write(Write::Delete { path }))?;
            let mut value = ptr::null_mut();
            check(sys::napi_get_boolean(env, found, &mut value))?;
            Ok(value)
        })
    }
}

unsafe extern "C" fn unwatch(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [slot]| {
            unwatch_slot(env, instance, slot)?;
            Ok(UNDEFINED)
        })
    }
}

/// # Safety
///
/// `env` is the environment of the running call and `slot` one of its values.
unsafe fn unwatch_slot(
    env: sys::napi_env,
    instance: &Instance,
    slot: sys::napi_value,
) -> Result<(), Failure> {
    // SAFETY: as this function's.
    let slot = unsafe { index(env, slot)? } as u32;
    if slot != 0 {
        instance.unwatch(slot);
    }
    Ok(())
}

unsafe extern "C" fn drain(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, []| match instance.drain()? {
            Some(json) => to_js(env, &json),
            None => Ok(UNDEFINED),
        })
    }
}

unsafe extern "C" fn keys(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key]| {
            let shown = with_path(env, key, Root::Allowed, |path| Ok(instance.container(path)))?;
            let Some(container) = shown else { return Ok(UNDEFINED) };
            json(env, events::container_json(&container))
        })
    }
}

/// What a key shows, as one number: nothing, a scalar, an object, or an array plus its length.
unsafe extern "C" fn shape(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key]| {
            let shown = with_path(env, key, Root::Allowed, |path| Ok(instance.shown(path)))?;
            number_of(env, shown)
        })
    }
}

/// # Safety
///
/// `env` is the environment of the running call.
unsafe fn number_of(env: sys::napi_env, shown: Shown) -> Result<sys::napi_value, Failure> {
    let number = match shown {
        Shown::Nothing => 0,
        Shown::Number(_) | Shown::OtherScalar | Shown::Hole => 1,
        Shown::Object => 2,
        Shown::Array(length) => 3 + length,
    };
    let mut value = ptr::null_mut();
    // SAFETY: as this function's; `value` outlives the call.
    check(unsafe { sys::napi_create_uint32(env, number, &mut value) })?;
    Ok(value)
}

/// Members of an object or array after one, at most so many.
unsafe extern "C" fn page(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key, after, max]| {
            let mut text = Value::new();
            let (after, max) = (text.read(env, after)?, index(env, max)?);
            let page =
                with_path(env, key, Root::Allowed, |path| Ok(instance.page(path, after, max)))?;
            let Some(page) = page else { return Ok(UNDEFINED) };
            json(env, events::page_json(&page))
        })
    }
}

/// How many members a key shows.
unsafe extern "C" fn count(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [key]| {
            let counted = with_path(env, key, Root::Allowed, |path| Ok(instance.count(path)))?;
            let mut value = ptr::null_mut();
            check(sys::napi_create_uint32(env, counted.unwrap_or(0) as u32, &mut value))?;
            Ok(value)
        })
    }
}

unsafe extern "C" fn begin_batch(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, []| {
            instance.begin_batch();
            Ok(UNDEFINED)
        })
    }
}

unsafe extern "C" fn end_batch(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, []| {
            instance.end_batch();
            Ok(UNDEFINED)
        })
    }
}

/// Observers that have something to take, each once until it has taken it.
unsafe extern "C" fn observers(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, []| {
            let ids = instance.take_observers();
            if ids.is_empty() {
                return Ok(UNDEFINED);
            }
            json(env, serde_json::to_string(&ids))
        })
    }
}

unsafe extern "C" fn changes(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [observer, max]| {
            let (observer, max) = (index(env, observer)? as u32, index(env, max)?);
            json(env, events::changes_json(&instance.take_changes(observer, max)))
        })
    }
}

/// # Safety
///
/// `env` is the environment of the running call and `value` one of its values.
unsafe fn index(env: sys::napi_env, value: sys::napi_value) -> Result<usize, Failure> {
    let mut index = 0;
    // SAFETY: as this function's; `index` outlives the call.
    match unsafe { sys::napi_get_value_uint32(env, value, &mut index) } {
        sys::Status::napi_number_expected => {
            Err(Failure::invalid_argument("An argument must be a number"))?
        }
        status => check(status)?,
    }
    Ok(index as usize)
}

/// # Safety
///
/// `env` is the environment of the running call.
unsafe fn json(
    env: sys::napi_env,
    made: serde_json::Result<String>,
) -> Result<sys::napi_value, Failure> {
    let text = made.map_err(|error| Failure::internal(error.to_string()))?;
    // SAFETY: as this function's.
    unsafe { to_js(env, &text) }
}

unsafe extern "C" fn ask(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [kind, name, args, to, timeout, trace]| {
            let (offer, timeout_ms) = (offer(env, kind)?, milliseconds(env, timeout)?);
            let (mut name_text, mut args_text) = (Name::new(), Value::new());
            let mut trace_text = Trace::new();
            let name = string(env, &mut name_text, name)?;
            let args = string(env, &mut args_text, args)?;
            let trace = trace_text.read(env, trace)?.unwrap_or("");
            let asked = with_targets(env, to, |to| {
                Ok(instance.ask(Ask { offer, name, args, to, timeout_ms, trace })?)
            })?;
            to_js(env, &events::asked_json(&asked))
        })
    }
}

unsafe extern "C" fn answer(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [run, is_ok, json]| {
            let run = RunId(id(env, run)?);
            let ok = boolean(env, is_ok)?;
            let mut text = Value::new();
            let result = match text.read(env, json)? {
                Some(json) if ok => Ok(json),
                Some(json) => Err(json),
                None => Err(NO_JSON),
            };
            instance.answer(run, result);
            Ok(UNDEFINED)
        })
    }
}

unsafe extern "C" fn refuse(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [run, outcome]| {
            let run = RunId(id(env, run)?);
            instance.refuse(run, refusal(env, outcome)?);
            Ok(UNDEFINED)
        })
    }
}

unsafe extern "C" fn set_timeout_of(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [job, ms]| {
            let job = JobId(id(env, job)?);
            instance.set_timeout(job, milliseconds(env, ms)?);
            Ok(UNDEFINED)
        })
    }
}

unsafe extern "C" fn cancel(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [job, reason]| {
            let job = JobId(id(env, job)?);
            let mut text = Value::new();
            instance.cancel(job, text.read(env, reason)?.unwrap_or("null"));
            Ok(UNDEFINED)
        })
    }
}

unsafe extern "C" fn emit(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, [name, args, to]| {
            let (mut name_text, mut args_text) = (Name::new(), Value::new());
            let name = string(env, &mut name_text, name)?;
            let args = string(env, &mut args_text, args)?;
            let count = with_targets(env, to, |to| Ok(instance.emit(to, name, args)?))?;
            let mut value = ptr::null_mut();
            check(sys::napi_create_uint32(env, count as u32, &mut value))?;
            Ok(value)
        })
    }
}

unsafe extern "C" fn beat(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this function as `functions` made it.
    unsafe {
        enter(env, info, |instance, []| {
            instance.node().beat();
            Ok(UNDEFINED)
        })
    }
}

/// What every raw function does around its own work: takes its instance and arguments, and turns a
/// failure or a panic into an exception. Missing arguments are `undefined`.
///
/// # Safety
///
/// `env` and `info` are those of a call to a function made by [`functions`].
unsafe fn enter<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    work: impl FnOnce(&Instance, [sys::napi_value; N]) -> Result<sys::napi_value, Failure>,
) -> sys::napi_value {
    let mut arguments = [ptr::null_mut(); N];
    let mut count = N;
    let mut data = ptr::null_mut();
    // SAFETY: `arguments` has room for `count` values; the other out pointers outlive the call.
    let status = unsafe {
        let this = ptr::null_mut();
        sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), this, &mut data)
    };
    let outcome = match check(status) {
        Ok(()) => {
            // SAFETY: `data` is the share that the running function owns.
            let instance = unsafe { memory::shared::<Instance>(data) };
            catch_unwind(AssertUnwindSafe(|| work(instance, arguments)))
                .unwrap_or_else(|panic| Err(Failure::panicked(panic)))
        }
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(value) => value,
        Err(failure) => {
            // SAFETY: `env` is that of the running call.
            unsafe { failure.throw(env) };
            UNDEFINED
        }
    }
}
