//! Floors never point upward: reads the `crate::` paths of every source file and holds docs/ARCHITECTURE.md's rule.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Everybody may read the time, draw randomness, mark a crash point and hand a trace on; these import nothing but each other and `domain`.
const GROUND: &[&str] = &[
    "assets",
    "clock",
    "random",
    "failpoint",
    "passwords",
    "pictures",
    "redis_link",
    "sqlite",
    "trace_context",
    "transparency",
    "domain",
];

/// What a floor may import besides itself and [`GROUND`].
fn allowed(floor: &str) -> Option<&'static [&'static str]> {
    match floor {
        "assets" | "clock" | "random" | "failpoint" | "passwords" | "pictures" | "sqlite" | "trace_context"
        | "transparency" | "config" | "domain" => Some(&[]),
        "redis_link" | "persistence" | "messaging" | "payment" | "telemetry" => Some(&["config"]),
        "actors" => Some(&["config", "persistence", "messaging", "payment"]),
        "http" | "ops" => Some(&["config", "persistence", "messaging", "payment", "actors", "telemetry"]),
        _ => None, // app, main, lib see everything
    }
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The first segments of all `crate::…` paths outside comments, also in `use crate::{a, b::c}`.
fn imports(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for letter in list.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' | ':' if depth == 0 => {
                        if !name.trim().is_empty() {
                            found.insert(name.trim().to_owned());
                        }
                        name.clear();
                        if letter == ':' {
                            depth = i32::MAX / 2; // the rest of this path is of no interest
                        }
                    }
                    _ if depth == 0 => name.push(letter),
                    _ => {}
                }
            }
            if !name.trim().is_empty() {
                found.insert(name.trim().to_owned());
            }
        } else {
            found.insert(rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect());
        }
    }
    found
}

#[test]
fn floors_never_point_upward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 40, "the sources are where they are looked for");
    let mut wrong = Vec::new();
    for file in files {
        let place = file.strip_prefix(&root).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        if name.ends_with("tests.rs") || ["fixture.rs", "testing.rs"].contains(&&*name) {
            continue; // compiled for tests only, which may look at everything
        }
        let first = place.components().next().unwrap().as_os_str().to_string_lossy().to_string();
        let floor = first.trim_end_matches(".rs");
        let Some(allowed) = allowed(floor) else { continue };
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            let is_ground = floor != "domain" && GROUND.contains(&import.as_str());
            if import != floor && !is_ground && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports crate::{import}", place.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "floors point upward:\n{}", wrong.join("\n"));
}

#[test]
fn every_source_file_opens_with_its_reason() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let silent: Vec<String> = files
        .iter()
        .filter(|file| !fs::read_to_string(file).unwrap().starts_with("//!"))
        .map(|file| file.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no //! at the top of:\n{}", silent.join("\n"));
}

/// What SIGHUP changes must be read from the settings in effect; those of the start are stale then.
#[test]
fn what_may_change_live_is_never_read_from_the_settings_of_the_start() {
    let sections = ["limits.", "waiting_room.", "alerts.", "features.", "webhooks.targets", "telemetry.log)"];
    let keys = ["http.allowed_origins", "http.trusted_proxies", "feed.sockets_per_user_max", "rehearsal()"];
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut stale = Vec::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for owner in ["self", "state", "shop"] {
            for key in sections.iter().chain(&keys) {
                if source.contains(&format!("{owner}.settings.{key}")) {
                    stale.push(format!("{}: {owner}.settings.{key}", file.display()));
                }
            }
        }
    }
    assert!(stale.is_empty(), "read them by in_effect() or from the limits in force:\n{}", stale.join("\n"));
}

#[test]
fn the_import_reader_sees_nested_lists() {
    let source = "use crate::{a, b::{c, d}};\nuse crate::e::f;\n// crate::g\nfn x() { crate::h::i() }";
    let expected = ["a", "b", "e", "h"].map(str::to_owned).into_iter().collect();
    assert_eq!(imports(source), expected);
}
