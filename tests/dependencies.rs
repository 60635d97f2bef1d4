//! Whose code is in the shop: every crate that it or its tests are built of has a licence that deny.toml allows and comes
//! from the registry. `cargo deny` says the same where it is installed, and knows advisories and yanked versions as well.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

impl Rules {
    fn read() -> Self {
        toml::from_str(include_str!("../deny.toml")).unwrap()
    }

    fn allow(&self, licence: &str) -> Result<(), String> {
        let allowed: Vec<Licensee> =
            self.licenses.allow.iter().map(|licence| Licensee::parse(licence).unwrap()).collect();
        // crates of old divide the names by a slash
        let expression = Expression::parse_mode(licence, ParseMode::LAX).map_err(|error| error.to_string())?;
        expression
            .evaluate_with_failures(|required| allowed.iter().any(|licensee| licensee.satisfies(required)))
            .map_err(|missing| missing.iter().map(|missing| missing.req.to_string()).collect::<Vec<_>>().join(", "))
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None is this package.
    source: Option<String>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--all-features", "--format-version", "1"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    assert!(metadata.packages.len() > 100, "{} packages", metadata.packages.len());
    metadata.packages
}

#[test]
fn every_crate_has_a_licence_that_deny_toml_allows() {
    let rules = Rules::read();
    let refused: Vec<String> = packages()
        .iter()
        .filter_map(|Package { name, version, license, .. }| {
            let why = match license {
                Some(licence) => rules.allow(licence).err()?,
                None => "names no licence".to_owned(),
            };
            Some(format!("{name} {version}: {why}"))
        })
        .collect();
    assert!(refused.is_empty(), "deny.toml does not allow:\n{}", refused.join("\n"));
}

#[test]
fn a_licence_is_allowed_if_one_way_through_its_expression_is() {
    let rules = Rules::read();
    for licence in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "(MIT OR GPL-3.0-only) AND Unicode-3.0"] {
        assert_eq!(rules.allow(licence), Ok(()), "{licence}");
    }
    for licence in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0 WITH Classpath-exception-2.0", "Beerware?"] {
        assert!(rules.allow(licence).is_err(), "{licence}");
    }
}

#[test]
fn every_crate_comes_from_one_registry_and_none_from_a_branch_of_somebodys() {
    let sources: BTreeSet<String> = packages().into_iter().filter_map(|package| package.source).collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    assert!(sources.iter().all(|source| source.starts_with("registry+")), "{sources:?}");
}
