//! What is thrown: an `Error` or a `TypeError` with a `code`.

use std::any::Any;
use std::borrow::Cow;
use std::ptr;

use napi::sys;

use super::text;
use crate::engine::{AskError, WriteError};
use crate::net::CredentialsError;

/// Why a call failed.
#[derive(Debug)]
pub enum Failure {
    /// Throw this.
    Coded { class: Class, code: &'static str, message: Cow<'static, str> },
    /// Node-API refused. If it did so because an exception is pending, that one is thrown; while an
    /// environment is torn down nothing can be.
    Refused(sys::napi_status),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Error,
    /// The caller passed what no node would accept at any time.
    TypeError,
}

impl Failure {
    pub fn invalid_key(message: &'static str) -> Self {
        Failure::type_error("ERR_INVALID_KEY", message)
    }

    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Failure::type_error("ERR_INVALID_ARGUMENT", message)
    }

    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Failure::Coded { class: Class::Error, code: "ERR_INTERNAL", message: message.into() }
    }

    pub fn panicked(panic: Box<dyn Any + Send>) -> Self {
        let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (_, Some(text)) => text.as_str(),
            _ => "no message",
        };
        Failure::internal(format!("A defect in collective-io, please report it: {message}"))
    }

    pub fn invalid_state(message: &'static str) -> Self {
        Failure::Coded { class: Class::Error, code: "ERR_INVALID_STATE", message: message.into() }
    }

    fn type_error(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Failure::Coded { class: Class::TypeError, code, message: message.into() }
    }

    /// Makes the exception pending.
    ///
    /// # Safety
    ///
    /// `env` is the environment of the running call.
    pub unsafe fn throw(self, env: sys::napi_env) {
        let (class, code, message) = match self {
            Failure::Coded { class, code, message } => (class, code, message),
            Failure::Refused(status) => {
                let mut pending = false;
                // SAFETY: `env` is valid, and `pending` outlives the call.
                let asked = unsafe { sys::napi_is_exception_pending(env, &mut pending) };
                if pending || asked != sys::Status::napi_ok {
                    return;
                }
                let message = format!("Node-API refused a call (status {status})");
                (Class::Error, "ERR_INTERNAL", message.into())
            }
        };
        let create = match class {
            Class::Error => sys::napi_create_error,
            Class::TypeError => sys::napi_create_type_error,
        };
        // Built from string values, because `napi_throw_error` takes C strings and a message that
        // quotes a key may hold a NUL.
        // SAFETY: `env` is valid, the values come from it and live as long as the running call.
        // A failure means that the environment is ending and nobody can receive the error.
        unsafe {
            let (Ok(code), Ok(message)) =
                (text::to_js(env, code), text::to_js(env, message.as_ref()))
            else {
                return;
            };
            let mut error = ptr::null_mut();
            if create(env, code, message, &mut error) == sys::Status::napi_ok {
                sys::napi_throw(env, error);
            }
        }
    }

    /// For calls that go through the derive: throws, and returns what makes it leave that alone.
    pub fn thrown(self, env: &napi::Env) -> napi::Error {
        // SAFETY: an `&Env` is that of the running call.
        unsafe { self.throw(env.raw()) };
        napi::Error::from_status(napi::Status::PendingException)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let class = match error {
            WriteError::InvalidValue { .. }
            | WriteError::NotANumber { .. }
            | WriteError::InvalidIncrement
            | WriteError::NotAnIndex { .. } => Class::TypeError,
            WriteError::KeyTooLong { .. }
            | WriteError::TooDeep { .. }
            | WriteError::ValueTooLarge { .. }
            | WriteError::StateFull { .. }
            | WriteError::Closed => Class::Error,
        };
        Failure::Coded { class, code: error.code(), message: error.to_string().into() }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let class = match error {
            AskError::InvalidName { .. } | AskError::Invalid { .. } => Class::TypeError,
            AskError::TooDeep { .. }
            | AskError::TooLarge { .. }
            | AskError::Busy { .. }
            | AskError::Closed => Class::Error,
        };
        Failure::Coded { class, code: error.code(), message: error.to_string().into() }
    }
}

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        Failure::type_error(error.code(), error.to_string())
    }
}

/// The outcome of a Node-API call as a `Result`.
pub fn check(status: sys::napi_status) -> Result<(), Failure> {
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(Failure::Refused(status))
    }
}
