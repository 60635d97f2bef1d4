//! What differs between the settings in effect and those that were read anew, key by key, and which of it a running
//! server cannot take over.

use serde_json::Value;

use super::load::{Loaded, Problem, Problems, all_keys};
use super::{WebhookSettings, keys, show};

const TARGETS: &str = "webhooks.targets";

/// A key whose value differs. Values are as [`super::rows`] shows them: without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// E.g. `limits.seckill_per_second`.
    pub key: &'static str,
    /// In effect.
    pub from: String,
    /// Read anew.
    pub to: String,
    /// Where it was read.
    pub origin: String,
}

/// What differs between `old` and `new`, in the order of the sections.
///
/// # Errors
/// [`Problems`] with every key that differs and needs a restart; the others do not count then.
pub fn changes(old: &Loaded, new: &Loaded) -> Result<Vec<Change>, Problems> {
    let (before, after) = (tree(old), tree(new));
    let (mut changes, mut fixed) = (Vec::new(), Vec::new());
    for key in all_keys() {
        let (from, to) = (value_of(&before, key), value_of(&after, key));
        if from == to {
            continue;
        }
        let (shown_from, shown_to) = (show::shown(key, from), show::shown(key, to));
        if may_change(key, old, new) {
            let origin = new.provenance.of(key).to_string();
            changes.push(Change { key, from: shown_from, to: shown_to, origin });
        } else {
            fixed.push(needs_restart(new, key, shown_from, shown_to));
        }
    }
    if fixed.is_empty() { Ok(changes) } else { Err(Problems(fixed)) }
}

fn needs_restart(new: &Loaded, key: &str, from: String, to: String) -> Problem {
    let expected = match key {
        TARGETS => "the targets of the start by name (others need a restart)".to_owned(),
        _ if show::is_secret(key) => "the value of the start (another needs a restart)".to_owned(),
        _ => format!("{from} until a restart"),
    };
    Problem::Value { origin: new.provenance.of(key).clone(), key: key.to_owned(), got: to, expected }
}

/// Targets have loops and rows of their own by name: what stands behind a name may change.
fn may_change(key: &str, old: &Loaded, new: &Loaded) -> bool {
    let names = |webhooks: &WebhookSettings| -> Vec<String> {
        webhooks.targets.iter().map(|target| target.name.clone()).collect()
    };
    let (before, after) = (&old.settings, &new.settings);
    match key {
        TARGETS => names(&before.webhooks) == names(&after.webhooks),
        // a listener speaks TLS or it does not
        "http.tls_certificate_file" | "http.tls_key_file" => before.has_tls() == after.has_tls(),
        _ => keys::is_live(key),
    }
}

fn tree(loaded: &Loaded) -> Value {
    serde_json::to_value(&loaded.settings).unwrap_or_default()
}

fn value_of<'a>(tree: &'a Value, key: &str) -> &'a Value {
    key.split('.').fold(tree, |value, part| &value[part])
}

#[cfg(test)]
mod tests {
    use super::super::{Sources, load};
    use super::*;

    fn loaded(text: &str) -> Loaded {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.toml");
        std::fs::write(&file, text).unwrap();
        load(&Sources { file: Some(file), ..Sources::default() }).unwrap()
    }

    #[test]
    fn what_may_change_live_is_told_with_both_values() {
        let (old, new) = (loaded(""), loaded("[limits]\nseckill_per_second = 2\n[telemetry]\nlog = \"debug\""));
        let changes = changes(&old, &new).unwrap();
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert_eq!((changes[0].from.as_str(), changes[0].to.as_str()), ("5", "2"));
        assert!(changes[0].origin.ends_with("shop.toml") && changes[1].key == "telemetry.log", "{changes:?}");
    }

    #[test]
    fn one_key_that_needs_a_restart_refuses_all() {
        let new = loaded("[http]\nport = 9000\n[limits]\nseckill_per_second = 2");
        let told = changes(&loaded(""), &new).unwrap_err().to_string();
        assert!(told.ends_with("shop.toml: http.port: got 9000, expected 8080 until a restart"), "{told}");
        assert_eq!(told.lines().count(), 1);
        let back = changes(&new, &loaded("")).unwrap_err().to_string();
        assert_eq!(back, "default: http.port: got 8080, expected 9000 until a restart");
    }

    #[test]
    fn secrets_change_without_being_told() {
        let old =
            loaded("[auth]\njwt_secret = \"first-first-first\"\n[alerts]\nwebhook_secret = \"sixteen bytes or more\"");
        let new =
            loaded("[auth]\njwt_secret = \"other-other-other\"\n[alerts]\nwebhook_secret = \"sixteen bytes or other\"");
        let told = changes(&old, &new).unwrap_err().to_string();
        assert!(told.contains("auth.jwt_secret") && !told.contains("first") && !told.contains("other-"), "{told}");
        let settings = super::super::Settings { auth: old.settings.auth.clone(), ..new.settings };
        let told = changes(&old, &Loaded { settings, ..new }).unwrap();
        assert_eq!((told[0].key, told[0].to.as_str()), ("alerts.webhook_secret", "***"));
    }

    #[test]
    fn targets_of_webhooks_change_behind_their_names() {
        let target = |name: &str, url: &str| {
            loaded(&format!(
                "[[webhooks.targets]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"sixteen bytes or more\"\nevents = [\"*\"]"
            ))
        };
        let old = target("warehouse", "https://warehouse.example");
        let moved = changes(&old, &target("warehouse", "https://elsewhere.example")).unwrap();
        assert!(moved.len() == 1 && !format!("{moved:?}").contains("sixteen"), "{moved:?}");
        assert!(changes(&old, &target("office", "https://warehouse.example")).is_err());
        assert!(changes(&old, &loaded("")).is_err());
    }
}
