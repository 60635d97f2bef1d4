//! The address of the client, behind proxies of ours as well.
//!
//! The peer of the connection is the only address that nobody can invent. If it is a proxy that the settings trust, what
//! it says of its own peer is believed, and so on: the hops of `X-Forwarded-For` are read from the right, and the first
//! one that is no proxy of ours is the client. Whatever stands left of it the client may have written himself.
//!
//! `Forwarded` (RFC 7239) is read only where there is no `X-Forwarded-For`: a proxy must set the one, or set the other
//! and remove the one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName};
use actix_web::{HttpMessage as _, HttpRequest};

use crate::config::LimitTerms;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Hops that are looked at; nobody has so many proxies.
const HOPS_MAX: usize = 16;

/// Where a request comes from; in the extensions of every request that came by the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// As the door found it.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<IpAddr> {
        let found = request.extensions().get::<Self>().map(|address| address.0);
        found.or_else(|| request.peer_addr().map(|peer| peer.ip().to_canonical()))
    }

    /// The same as text; empty if it is not known.
    #[must_use]
    pub fn text_of(request: &HttpRequest) -> String {
        Self::of(request).map(|address| address.to_string()).unwrap_or_default()
    }

    /// The client of a request with these headers from `peer`.
    #[must_use]
    pub fn find(peer: Option<SocketAddr>, headers: &HeaderMap, terms: &LimitTerms) -> Self {
        // a request without a connection comes from this process itself
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip().to_canonical());
        if !terms.is_proxy(peer) {
            return Self(peer);
        }
        let mut client = peer;
        for hop in hops(headers).into_iter().rev().take(HOPS_MAX) {
            // A proxy that does not say (`unknown`, `_hidden`) is as far as anybody can see.
            let Some(address) = hop else { break };
            client = address;
            if !terms.is_proxy(address) {
                break;
            }
        }
        Self(client)
    }
}

/// From the client's end to ours; `None` for what is no address.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = |name: HeaderName| headers.get_all(name).map(|line| line.to_str().unwrap_or("?"));
    let plain: Vec<_> = lines(X_FORWARDED_FOR).flat_map(|line| line.split(',')).map(address).collect();
    if !plain.is_empty() {
        return plain;
    }
    lines(FORWARDED).flat_map(|line| line.split(',')).map(forwarded_for).collect()
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address(value.trim().trim_matches('"'))
}

/// `10.0.0.1`, `10.0.0.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inside, _)| inside);
    let found = bare.parse().ok().or_else(|| bare.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    found.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::config::Settings;

    fn client(peer: &str, headers: &[(HeaderName, &str)]) -> String {
        let mut settings = Settings::default();
        settings.http.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 4_711);
        ClientAddress::find(Some(peer), &map, &LimitTerms::of(&settings)).0.to_string()
    }

    #[test]
    fn t22_a_stranger_is_who_he_is_whatever_he_claims() {
        for name in [X_FORWARDED_FOR, FORWARDED] {
            assert_eq!(client("203.0.113.9", &[(name, "for=10.0.0.1, 198.51.100.1")]), "203.0.113.9");
        }
    }

    #[test]
    fn hops_are_read_from_the_right_past_proxies_of_ours() {
        for (line, found) in [
            ("198.51.100.1", "198.51.100.1"),
            ("6.6.6.6, 198.51.100.1", "198.51.100.1"),
            ("6.6.6.6, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
            ("198.51.100.1:1234,10.9.9.9", "198.51.100.1"),
            ("6.6.6.6, [2001:db8::1]:55, fd00::2", "2001:db8::1"),
            ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("198.51.100.1, unknown, 10.9.9.9", "10.9.9.9"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, line)]), found, "{line}");
        }
        let twice = [(X_FORWARDED_FOR, "6.6.6.6"), (X_FORWARDED_FOR, "198.51.100.1, 10.9.9.9")];
        assert_eq!(client("10.0.0.1", &twice), "198.51.100.1");
    }

    #[test]
    fn forwarded_counts_where_the_proxy_sets_nothing_else() {
        let line = r#"for=6.6.6.6, For="[2001:db8::1]:4711";proto=https, for=10.9.9.9;by=10.0.0.1"#;
        assert_eq!(client("10.0.0.1", &[(FORWARDED, line)]), "2001:db8::1");
        let both = [(FORWARDED, "for=6.6.6.6"), (X_FORWARDED_FOR, "198.51.100.1")];
        assert_eq!(client("10.0.0.1", &both), "198.51.100.1");
    }
}
