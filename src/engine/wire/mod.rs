//! The wire: plain data and its bytes.

pub mod frame;
pub mod message;
