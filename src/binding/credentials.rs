//! What a node proves with that it belongs: made of what JavaScript has, which is not kept.

use napi::bindgen_prelude::Uint8Array;
use napi::{Env, Result};
use napi_derive::napi;

use super::error::Failure;
use crate::net::{self, CredentialsError, Files};

/// Given to `open` and `rotate`.
#[napi]
pub struct Credentials(net::Credentials);

impl Credentials {
    pub fn inner(&self) -> net::Credentials {
        self.0.clone()
    }
}

/// Of secrets, the preferred one first.
#[napi(catch_unwind)]
pub fn secrets(env: &Env, secrets: Vec<Uint8Array>) -> Result<Credentials> {
    made(env, net::Credentials::secrets(secrets.iter().map(|secret| &secret[..])))
}

/// Of PEM, and of names of which others must have one.
#[napi(catch_unwind)]
pub fn tls(
    env: &Env,
    key: Uint8Array,
    cert: Uint8Array,
    ca: Uint8Array,
    names: Vec<String>,
) -> Result<Credentials> {
    let files = Files { key: &key, cert: &cert, ca: &ca, names: &names };
    made(env, net::Credentials::tls(&files))
}

fn made(
    env: &Env,
    credentials: std::result::Result<net::Credentials, CredentialsError>,
) -> Result<Credentials> {
    credentials.map(Credentials).map_err(|error| Failure::from(error).thrown(env))
}
