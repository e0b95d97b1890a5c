//! What is refused: of the application with an error, of a peer as malformed.

use std::sync::Arc;

use super::{Jobs, NAME_BYTES_MAX, TRACE_BYTES_MAX};
use crate::engine::error::AskError;
use crate::engine::text;
use crate::engine::wire::message::{Call, Malformed};

impl Jobs {
    pub(super) fn check(&self, name: &str, args: &str) -> Result<(), AskError> {
        if self.left {
            return Err(AskError::Closed);
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(AskError::InvalidName { bytes: name.len(), limit: NAME_BYTES_MAX });
        }
        let limits = &self.config.limits;
        if args.len() > limits.value_bytes_max {
            let (bytes, limit) = (args.len(), limits.value_bytes_max);
            return Err(AskError::TooLarge { bytes, limit });
        }
        if !args.starts_with('[') {
            return Err(AskError::Invalid { detail: "no array".into() });
        }
        let (depth, limit) = (text::nesting(args), limits.depth_max + 1);
        if depth > limit {
            return Err(AskError::TooDeep { depth, limit });
        }
        Ok(())
    }

    /// The description of the error that an answer over the limits is turned into.
    pub(super) fn refusal(&self, json: &str) -> Option<String> {
        let limits = &self.config.limits;
        let error = if json.len() > limits.value_bytes_max {
            AskError::TooLarge { bytes: json.len(), limit: limits.value_bytes_max }
        } else {
            let depth = text::nesting(json);
            if depth <= limits.depth_max {
                return None;
            }
            AskError::TooDeep { depth, limit: limits.depth_max }
        };
        let message = error.to_string().replacen("The arguments", "The answer", 1);
        Some(describe(&message, error.code()))
    }

    pub(super) fn check_call(&self, call: Call<'_>, trace: &str) -> Result<(), Malformed> {
        if trace.len() > TRACE_BYTES_MAX {
            return Err(Malformed);
        }
        self.check_told(call.name, call.args)
    }

    pub(super) fn check_told(&self, name: &str, args: &str) -> Result<(), Malformed> {
        text::validate(args).map_err(|_| Malformed)?;
        self.check(name, args).or_else(|error| match error {
            AskError::Closed => Ok(()),
            _ => Err(Malformed),
        })
    }

    /// A value from a peer.
    pub(super) fn told(&self, json: &str) -> Result<Arc<str>, Malformed> {
        let limits = &self.config.limits;
        text::validate(json).map_err(|_| Malformed)?;
        if json.len() > limits.value_bytes_max || text::nesting(json) > limits.depth_max {
            return Err(Malformed);
        }
        Ok(json.into())
    }
}

/// JSON text of an error of the engine's own.
pub(super) fn describe(message: &str, code: &str) -> String {
    serde_json::json!({ "name": "Error", "message": message, "code": code }).to_string()
}
