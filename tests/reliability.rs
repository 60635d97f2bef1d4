//! docs/RELIABILITY.md and docs/SECURITY.md say what is so: every row of the race list is there, every test that it names exists, every
//! crash point of the sources stands in its table and every point of the table in the sources, and every test crate says
//! on which back ends it runs.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const R_ROWS: usize = 73;
const T_ROWS: usize = 34;

fn text_of(directory: &str) -> String {
    let mut text = String::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    text
}

fn page() -> String {
    document("RELIABILITY.md")
}

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// Everything between two backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let from = page.find(&format!("## {title}")).unwrap_or_else(|| panic!("a section {title}"));
    let body = &page[from + 3..];
    &body[..body.find("\n## ").unwrap_or(body.len())]
}

#[test]
fn every_race_has_its_row() {
    let page = page();
    let rows = (1..=R_ROWS).map(|row| format!("R{row}")).chain((1..=T_ROWS).map(|row| format!("T{row}")));
    for row in rows {
        assert_eq!(page.matches(&format!("\n| {row} |")).count(), 1, "row {row}");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let (page, sources) = (page(), text_of("src") + &text_of("tests"));
    let rows = page.lines().filter(|line| line.starts_with("| R") || line.starts_with("| T"));
    let in_tables = rows.flat_map(|line| quoted(line.rsplit(" | ").next().unwrap()));
    let in_prose = quoted(section(&page, "What the crash tests prove"));
    for name in in_tables.chain(in_prose.into_iter().filter(|name| name.contains('_'))) {
        assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}

/// The rows of payments, cancels and refunds.
fn money_rows() -> impl Iterator<Item = String> {
    let races = (20..=53).chain(66..=71).map(|row| format!("R{row}"));
    races.chain((11..=18).chain([26, 33]).map(|row| format!("T{row}")))
}

#[test]
fn every_row_of_money_has_its_test() {
    let page = page();
    for row in money_rows() {
        let line = page.lines().find(|line| line.starts_with(&format!("| {row} |"))).unwrap();
        let tests = line.rsplit(" | ").next().unwrap();
        let names = quoted(tests);
        let in_words = tests.split('`').step_by(2).collect::<String>();
        assert!(!in_words.contains("later") && !in_words.contains("with the payment gateways"), "{row}: {in_words}");
        assert!(names.iter().any(|name| name.contains('_')), "{row} names no test");
        println!("{row}: {}", names.into_iter().collect::<Vec<_>>().join(", "));
    }
}

#[test]
fn every_row_of_money_is_tried_at_the_gateway() {
    let (page, over_the_wire) = (page(), text_of("tests/money") + &text_of("tests/nodes") + &text_of("tests/api"));
    let untried = money_rows().filter(|row| {
        let line = page.lines().find(|line| line.starts_with(&format!("| {row} |"))).unwrap();
        let names = quoted(line.rsplit(" | ").next().unwrap());
        !names.iter().any(|name| over_the_wire.contains(&format!("fn {name}(")))
    });
    assert_eq!(untried.collect::<Vec<_>>(), [""; 0], "rows without a test against the sandbox or over HTTP");
}

#[test]
fn every_risk_has_its_row_and_every_test_that_is_named_there_exists() {
    let (page, sources) = (document("SECURITY.md"), text_of("src") + &text_of("tests"));
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| API")).collect();
    assert_eq!(rows.len(), 10);
    for (number, row) in (1..).zip(rows) {
        assert!(row.starts_with(&format!("| API{number} ")), "{row}");
        let tests = quoted(row.rsplit(" | ").next().unwrap());
        assert!(!tests.is_empty(), "{row}");
        for name in tests {
            assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
        }
    }
}

#[test]
fn every_directory_of_tests_says_on_which_back_ends_it_runs() {
    let page = page();
    let section = section(&page, "Which tests run on which back ends");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `tests/")).collect();
    let named: BTreeSet<&str> = rows.iter().flat_map(|line| quoted(line.split(" | ").next().unwrap())).collect();
    let here = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).unwrap();
    let crates: BTreeSet<String> = here
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["support", "data"].contains(&name.as_str()))
        .map(|name| format!("tests/{name}"))
        .collect();
    assert_eq!(named, crates.iter().map(String::as_str).collect());
    let makefile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Makefile")).unwrap();
    let recipe = |target: &str| makefile.split(target).nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let (whole, again) = (recipe("\ntest: "), recipe("\ntest-cluster: "));
    assert!(again.contains("RUSHMALL_TEST_BACKENDS=cluster"), "{again}");
    assert!(["test-embedded", "test-on-servers", "test-cluster"].iter().all(|part| whole.contains(part)), "{whole}");
    let repeated = rows.iter().find(|row| row.contains("`make test-cluster`")).unwrap();
    for name in quoted(repeated.split(" | ").next().unwrap()) {
        assert!(
            again.contains(&format!("--test {}", name.trim_start_matches("tests/"))),
            "{name} in make test-cluster"
        );
    }
}

#[test]
fn every_crash_point_is_in_the_table() {
    let (page, sources) = (page(), text_of("src"));
    let points: BTreeSet<&str> =
        sources.split("failpoint::reach(\"").skip(1).map(|after| after.split('"').next().unwrap()).collect();
    let section = section(&page, "Crash points");
    let table = section.lines().filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").next().unwrap());
    let listed: BTreeSet<&str> = table.flat_map(quoted).collect();
    assert_eq!(listed, points);
    assert!(section.contains(&format!("\n{} points.", points.len())), "the page counts {} points", points.len());
}
