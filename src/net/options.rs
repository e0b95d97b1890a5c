//! What a node is opened with.

use super::secure::Credentials;
use crate::engine::{Address, Config};

pub struct Options {
    /// `advertised` is filled in from the listening address when it is missing or its port is 0.
    pub config: Config,
    /// Host and port to listen on; no host (an empty one) means 127.0.0.1, port 0 a free one.
    pub listen: Option<(String, u16)>,
    /// Addresses to stay connected to, for ever.
    pub connect: Vec<Address>,
    /// Entropy for the engine.
    pub seed: [u8; 32],
    /// What peers must prove that they belong. `None`: everybody may come, and all goes in the
    /// clear.
    pub credentials: Option<Credentials>,
    /// Listen beyond loopback although nothing proves who connects.
    pub insecure: bool,
}

/// Cuts `host:port` (an IPv6 address in brackets) in two.
pub(super) fn split_address(text: &str) -> Option<(&str, u16)> {
    Address::split(text)
}

/// The reverse of [`split_address`].
pub(super) fn join_address(host: &str, port: u16) -> Address {
    if host.contains(':') {
        Address::new(format!("[{host}]:{port}"))
    } else {
        Address::new(format!("{host}:{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut_and_joined() {
        for (text, host, port) in
            [("127.0.0.1:80", "127.0.0.1", 80), ("[::1]:0", "::1", 0), ("a.b:65535", "a.b", 65535)]
        {
            assert_eq!(split_address(text), Some((host, port)));
            assert_eq!(&*join_address(host, port).0, text);
        }
        for text in ["", "a", "a:", ":1", "::1:80", "[::1:80", "a:65536", "a:-1", "a:+1", "a:1 "] {
            assert_eq!(split_address(text), None, "{text}");
        }
    }
}
