//! Where a notification may go.

use std::net::IpAddr;

use reqwest::Url;

/// `https` anywhere; `http` to this machine only, unless `anywhere`.
pub(in super::super) fn accepts_url(url: &str, anywhere: bool) -> Result<(), &'static str> {
    let parsed = Url::parse(url).map_err(|_| "not a URL")?;
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err("not a URL with a host");
    }
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if anywhere || is_this_machine(&parsed) => Ok(()),
        "http" => Err("https is needed (http only to this machine, or turn the knob http_notify_anywhere)"),
        _ => Err("https is needed"),
    }
}

/// True if the host is `localhost` or a loopback address, as written: no name is looked up.
pub(in super::super) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for url in ["https://shop.example/n", "http://localhost:8080/n", "http://127.0.0.1/n", "http://[::1]:9/n"] {
            assert_eq!(accepts_url(url, false), Ok(()), "{url}");
        }
        for url in ["http://shop.example/n", "http://127.0.0.1.evil.example/n", "ftp://localhost/n", "n", "file:///n"] {
            assert!(accepts_url(url, false).is_err(), "{url}");
        }
        assert_eq!(accepts_url("http://shop:8080/n", true), Ok(()));
    }
}
