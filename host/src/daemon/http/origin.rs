//! What a browser asks for a page: a page of anywhere may send requests to this machine in the name of whoever looks at it.
//!
//! With a token they fail, for a browser does not know it. Without one the address is all that protects, so a request must
//! not come from another page (`Origin`; the Fetch standard sends it with everything that changes something), and what
//! listens to this machine alone must be asked by a name that no foreign DNS server can give (`Host`; else DNS rebinding).

use crate::daemon::problem::{Code, Problem};
use axum::http::{HeaderMap, HeaderName, header};
use std::net::IpAddr;

/// Refuses what only a page of somewhere else would ask of a daemon without tokens. `loopback` is true where it listens to
/// this machine alone.
pub(super) fn check(headers: &HeaderMap, loopback: bool) -> Result<(), Problem> {
    let host = text(headers, &header::HOST);
    // Programs may leave it out (HTTP/1.0); browsers cannot.
    if loopback && !host.is_empty() && !is_own(name_of(host)) {
        return Err(refused("Host", host, "an address, or `localhost`"));
    }
    let origin = text(headers, &header::ORIGIN);
    let own = origin.split_once("://").is_some_and(|(_, it)| it == host);
    if origin.is_empty() || own { Ok(()) } else { Err(refused("Origin", origin, "none, or that of this daemon")) }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    // One that is no text is no address either.
    headers.get(name).map_or("", |it| it.to_str().unwrap_or("(not a text)"))
}

/// The host of `host:port`; an IPv6 address without its brackets.
fn name_of(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|it| it.split_once(']')) {
        return address;
    }
    host.rsplit_once(':').map_or(host, |it| it.0)
}

fn is_own(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn refused(header: &str, found: &str, expected: &str) -> Problem {
    let advice = "a daemon without tokens answers no page of another site; set auth.tokens to ask it by another name";
    Problem::new(Code::ForeignOrigin, format!("found the header {header}: {found:?}, expected {expected}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str, origin: &str) -> bool {
        allowed_at(true, host, origin)
    }

    fn allowed_at(loopback: bool, host: &str, origin: &str) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        check(&headers, loopback).is_ok()
    }

    #[test]
    fn programs_and_pages_of_the_daemon_itself_may_ask() {
        for host in ["127.0.0.1:7878", "localhost:7878", "LOCALHOST", "[::1]:7878", "10.0.0.7:80", ""] {
            assert!(allowed(host, ""), "{host}");
        }
        assert!(allowed("127.0.0.1:7878", "http://127.0.0.1:7878"));
    }

    #[test]
    fn pages_of_anywhere_else_may_not() {
        assert!(!allowed("127.0.0.1:7878", "https://example.com"));
        assert!(!allowed("127.0.0.1:7878", "http://127.0.0.1:8080"));
        assert!(!allowed("127.0.0.1:7878", "null"));
        assert!(!allowed("example.com:7878", ""));
        assert!(!allowed("127.0.0.1.example.com", ""));
    }

    #[test]
    fn what_others_are_meant_to_reach_has_any_name_and_its_own_pages_alone() {
        assert!(allowed_at(false, "wasmill.internal:7878", ""));
        assert!(!allowed_at(false, "wasmill.internal:7878", "https://example.com"));
    }
}
