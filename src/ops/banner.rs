//! What `rushmall serve` prints once it listens: where everything is, and three lines to try.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::admin::Credentials;
use super::output;

const TRY_THIS: &str = r#"
Try a flash sale:
  TOKEN=$(curl -s {base}/api/user/register -d "username=buyer-$RANDOM&password=buyer-2026" | grep -o '"token":"[^"]*"' | cut -d'"' -f4)
  curl -s {base}/api/seckill -H "authorization: Bearer $TOKEN" -d product_id=1
  curl -s {base}/api/order -H "authorization: Bearer $TOKEN"
"#;

/// The banner for a shop that listens at `base`, e.g. `http://127.0.0.1:8080`. `demo`: the catalogue has open sales.
#[must_use]
pub fn text(base: &str, demo: bool) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "\nRushMall {} is open at {base}", env!("CARGO_PKG_VERSION"));
    for (name, path) in
        [("API", "/api/product"), ("API docs", "/swagger/"), ("health", "/health"), ("metrics", "/metrics")]
    {
        let _ = writeln!(text, "  {name:<9} {base}{path}");
    }
    if demo {
        text.push_str(&TRY_THIS.replace("{base}", base));
    }
    text
}

/// Prints [`text`] for a running shop and, on a first start, the administrator's password: the only time it is seen.
pub fn print(address: SocketAddr, scheme: &str, first_admin: Option<&Credentials>, demo: bool) {
    output::line(text(&base(scheme, address), demo));
    if let Some(Credentials { username, password, .. }) = first_admin {
        output::line(format_args!(
            "First start: administrator \"{username}\", password \"{password}\" (shown only this once;"
        ));
        output::line(format_args!(
            "change it with: rushmall admin reset-password --username {username} --password-stdin)\n"
        ));
    }
}

/// A listening address as a browser on this machine can reach it.
fn base(scheme: &str, address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => format!("{scheme}://127.0.0.1:{}", address.port()),
        _ => format!("{scheme}://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_has_urls_and_three_lines_to_try() {
        let text = text("http://127.0.0.1:8080", true);
        for path in ["/api/product", "/swagger/", "/health", "/metrics"] {
            assert!(text.contains(&format!("http://127.0.0.1:8080{path}")), "{text}");
        }
        assert_eq!(text.lines().filter(|line| line.contains("curl ")).count(), 3, "{text}");
        assert!(text.contains(r#"grep -o '"token":"[^"]*"' | cut"#), "not a part of the refresh token: {text}");
        assert!(!super::text("http://x", false).contains("curl"));
    }

    #[test]
    fn every_address_has_a_url_that_opens() {
        for (address, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://127.0.0.1:80"),
            ("[::1]:9000", "http://[::1]:9000"),
        ] {
            assert_eq!(base("http", address.parse().unwrap()), url);
        }
    }
}
