//! Link arguments for the addon; nothing for a plain build.

fn main() {
    #[cfg(feature = "addon")]
    napi_build::setup();
}
