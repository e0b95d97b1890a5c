//! System errors under the names that Node.js gives them.

use std::io;

/// What an error without a row is called, as in libuv.
pub(super) const UNKNOWN: &str = "UNKNOWN";

/// One system error: its name, libuv's words for it, and its number on each kind of system (0:
/// has none there).
struct Row {
    code: &'static str,
    text: &'static str,
    linux: i32,
    bsd: i32,
    windows: i32,
}

const fn row(code: &'static str, text: &'static str, linux: i32, bsd: i32, windows: i32) -> Row {
    Row { code, text, linux, bsd, windows }
}

/// Everything that listening, dialling, reading and writing can meet.
const TABLE: &[Row] = &[
    row("EACCES", "permission denied", 13, 13, 10013),
    row("EADDRINUSE", "address already in use", 98, 48, 10048),
    row("EADDRNOTAVAIL", "address not available", 99, 49, 10049),
    row("EAFNOSUPPORT", "address family not supported", 97, 47, 10047),
    row("ECONNABORTED", "software caused connection abort", 103, 53, 10053),
    row("ECONNREFUSED", "connection refused", 111, 61, 10061),
    row("ECONNRESET", "connection reset by peer", 104, 54, 10054),
    row("EHOSTUNREACH", "host is unreachable", 113, 65, 10065),
    row("EINVAL", "invalid argument", 22, 22, 10022),
    row("EMFILE", "too many open files", 24, 24, 10024),
    row("ENETDOWN", "network is down", 100, 50, 10050),
    row("ENETUNREACH", "network is unreachable", 101, 51, 10051),
    row("ENFILE", "file table overflow", 23, 23, 0),
    row("ENOBUFS", "no buffer space available", 105, 55, 10055),
    row("ENOMEM", "not enough memory", 12, 12, 0),
    row("ENOTCONN", "socket is not connected", 107, 57, 10057),
    row("ENOTFOUND", "the name was not found", 0, 0, 0),
    row("EPERM", "operation not permitted", 1, 1, 0),
    row("EPIPE", "broken pipe", 32, 32, 0),
    row("ETIMEDOUT", "connection timed out", 110, 60, 10060),
];

/// The name of a system error.
pub(super) fn code(error: &io::Error) -> &'static str {
    let Some(number) = error.raw_os_error().filter(|&number| number != 0) else { return UNKNOWN };
    let row = TABLE.iter().find(|row| {
        number
            == if cfg!(windows) {
                row.windows
            } else if cfg!(any(target_os = "linux", target_os = "android")) {
                row.linux
            } else {
                row.bsd
            }
    });
    row.map_or(UNKNOWN, |row| row.code)
}

/// The name of a failed lookup. The resolver's own numbers do not reach us, so that every failure
/// but one of the system underneath is `ENOTFOUND`.
pub(super) fn lookup_code(error: &io::Error) -> &'static str {
    if error.raw_os_error().is_some() {
        code(error)
    } else {
        "ENOTFOUND"
    }
}

/// The words for a name.
pub(super) fn text(code: &str) -> &'static str {
    TABLE.iter().find(|row| row.code == code).map_or("unknown error", |row| row.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_the_standard_library() {
        use io::ErrorKind::*;
        for (kind, name) in [
            (AddrInUse, "EADDRINUSE"),
            (AddrNotAvailable, "EADDRNOTAVAIL"),
            (BrokenPipe, "EPIPE"),
            (ConnectionAborted, "ECONNABORTED"),
            (ConnectionRefused, "ECONNREFUSED"),
            (ConnectionReset, "ECONNRESET"),
            (HostUnreachable, "EHOSTUNREACH"),
            (NetworkDown, "ENETDOWN"),
            (NetworkUnreachable, "ENETUNREACH"),
            (NotConnected, "ENOTCONN"),
            (TimedOut, "ETIMEDOUT"),
        ] {
            let named: Vec<_> = (1..12_000)
                .map(io::Error::from_raw_os_error)
                .filter(|error| error.kind() == kind && code(error) != UNKNOWN)
                .map(|error| code(&error))
                .collect();
            assert_eq!(named, [name], "{kind:?}");
        }
    }

    #[test]
    fn an_error_without_a_number_has_a_name_too() {
        assert_eq!(code(&io::Error::other("anything")), UNKNOWN);
        assert_eq!(lookup_code(&io::Error::other("anything")), "ENOTFOUND");
        assert_eq!(text("EADDRINUSE"), "address already in use");
    }
}
