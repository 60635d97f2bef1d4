//! `rushmall config show`: every key, its value and its origin, with the secrets masked.

use super::keys;
use super::load::{Loaded, all_keys};

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// One line of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// E.g. `http.port`.
    pub key: &'static str,
    /// As TOML would write it; secrets masked, `(unset)` for a switch that follows the environment.
    pub value: String,
    /// `default`, a file, a variable or a flag.
    pub origin: String,
    /// A running server takes over another value.
    pub live: bool,
}

/// Every key in the order of the sections.
#[must_use]
pub fn rows(loaded: &Loaded) -> Vec<Row> {
    let tree = serde_json::to_value(&loaded.settings).unwrap_or_default();
    all_keys()
        .map(|key| {
            let value = key.split('.').fold(&tree, |value, part| &value[part]);
            Row {
                key,
                value: shown(key, value),
                origin: loaded.provenance.of(key).to_string(),
                live: keys::is_live(key),
            }
        })
        .collect()
}

/// Keys whose values are never shown.
pub(super) fn is_secret(key: &str) -> bool {
    const SECRETS: [&str; 6] = [
        "alerts.webhook_secret",
        "auth.jwt_secret",
        "payment.wechat_v3.private_key",
        "payment.wechat_v3.api_v3_key",
        "payment.wechat_v2.api_key",
        "payment.alipay.private_key",
    ];
    SECRETS.contains(&key)
}

pub(super) fn shown(key: &str, value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "(unset)".to_owned(),
        serde_json::Value::String(text) if is_secret(key) => {
            if text.is_empty() {
                "\"\"".to_owned()
            } else {
                MASK.to_owned()
            }
        }
        serde_json::Value::String(text) => format!("\"{}\"", without_password(text)),
        other => without_secrets(other).to_string(),
    }
}

/// Within a list of sections.
fn without_secrets(value: &serde_json::Value) -> serde_json::Value {
    let mut shown = value.clone();
    for section in shown.as_array_mut().into_iter().flatten() {
        if section["secret"].as_str().is_some_and(|secret| !secret.is_empty()) {
            section["secret"] = MASK.into();
        }
    }
    shown
}

/// The text with the password of a URL (`scheme://user:password@host`, or `password=` in its query) masked.
#[must_use]
pub fn without_password(text: &str) -> String {
    let mut shown = text.to_owned();
    if let Some(start) = text.find("://").map(|at| at + 3) {
        let authority_end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        // a password may itself hold '/' or '@': the last '@' of the whole text ends it
        let at = text[start..].rfind('@').map(|at| start + at);
        if let Some(at) = at
            && let Some(colon) = text[start..at].find(':').map(|colon| start + colon)
            && colon < authority_end.max(at)
        {
            shown.replace_range(colon + 1..at, MASK);
        }
    }
    mask_query(&shown)
}

fn mask_query(url: &str) -> String {
    let Some((before, query)) = url.split_once('?') else { return url.to_owned() };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{before}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::super::{Sources, load};
    use super::*;

    #[test]
    fn passwords_in_urls_are_masked() {
        for (url, shown) in [
            ("", ""),
            ("sqlite:///var/lib/x.db", "sqlite:///var/lib/x.db"),
            ("mysql://shop:pa55@db:3306/shop", "mysql://shop:***@db:3306/shop"),
            ("mysql://shop:p@ss/word@db/shop", "mysql://shop:***@db/shop"),
            (
                "postgres://shop@db/shop?password=x&sslmode=require",
                "postgres://shop@db/shop?password=***&sslmode=require",
            ),
            ("http://localhost:4317", "http://localhost:4317"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn every_key_is_listed_once_with_its_origin_and_no_secret() {
        let secret = "q8Zr1xV0mJ3yKp7Tn5Lw9Bd2Gh6Sf4Ca";
        let environment = vec![
            ("RUSHMALL__AUTH__JWT_SECRET".to_owned(), secret.to_owned()),
            ("RUSHMALL__DATABASE__URL".to_owned(), "mysql://shop:hunter2@db/shop".to_owned()),
        ];
        let loaded = load(&Sources { environment, ..Sources::default() }).unwrap();
        let rows = rows(&loaded);
        let of = |key: &str| rows.iter().find(|row| row.key == key).unwrap();
        assert_eq!(of("auth.jwt_secret").value, MASK);
        assert_eq!(of("auth.jwt_secret").origin, "RUSHMALL__AUTH__JWT_SECRET");
        assert_eq!(of("database.url").value, "\"mysql://shop:***@db/shop\"");
        assert_eq!((of("http.port").value.as_str(), of("http.port").origin.as_str()), ("8080", "default"));
        assert_eq!(of("payment.simulated").value, "(unset)");
        assert!(rows.iter().all(|row| !row.value.contains("hunter2") && !row.value.contains(secret)));
    }
}
