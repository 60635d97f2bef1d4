//! Figures: the catalogue is what the code counts, what the page of a shop that has lived shows, what dashboards and alerts
//! ask for, and what the documentation tells; and Prometheus' own tools find nothing wrong with any of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use rushmall::telemetry::catalogue::{self, FIGURES, Figure, HOT_MAX, Kind};
use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::shop::TestShop;
use crate::support::socket::Listener;

/// What dashboards show that a good day does not bring, or only a cluster.
const RARE: [&str; 21] = [
    "rushmall_actor_busy_total",
    "rushmall_actor_dead_letters_total",
    "rushmall_actor_restarts_total",
    "rushmall_amqp_blocked",
    "rushmall_amqp_confirms_total",
    "rushmall_amqp_connected",
    "rushmall_amqp_publishes_total",
    "rushmall_amqp_reconnects_total",
    "rushmall_amqp_unpublished_total",
    "rushmall_background_restarts_total",
    "rushmall_broadcast_up",
    "rushmall_database_failures_total",
    "rushmall_held_up_total",
    "rushmall_node_registered",
    "rushmall_notifications_refused_total",
    "rushmall_reconciliation_differences_total",
    "rushmall_reconciliation_failures_total",
    "rushmall_reconciliation_last_run_seconds",
    "rushmall_reconciliation_open_differences",
    "rushmall_redis_failures_total",
    "rushmall_redis_seconds",
];
/// Labels that Prometheus adds.
const ADDED: [&str; 3] = ["instance", "job", "le"];
/// Series of Prometheus itself.
const NOT_OURS: [&str; 2] = ["probe_success", "up"];

/// Longest wait for a page with everything on it.
const WHOLE_WITHIN: Duration = Duration::from_secs(30);
/// What was read from stores is shown again for a second.
const READ_EVERY: Duration = Duration::from_millis(1_100);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(below: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root().join(below)];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    assert!(!found.is_empty(), "no *.{extension} in {below}");
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

/// One line of the page.
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

fn series(page: &str) -> Vec<Series> {
    let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (what, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = what.split_once('{').unwrap_or((what, "}"));
            let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
            let label = |label: &str| {
                let (name, value) = label.split_once("=\"").expect("a label");
                (name.to_owned(), value.trim_end_matches('"').to_owned())
            };
            Series { name: name.to_owned(), labels: labels.map(label).collect(), value: value.parse().expect(line) }
        })
        .collect()
}

/// The figure that a name on the page or in a query belongs to.
fn figure(name: &str) -> Option<&'static Figure> {
    let whole = ["_bucket", "_sum", "_count"].iter().filter_map(|part| name.strip_suffix(part));
    catalogue::find(name).or_else(|| whole.filter_map(catalogue::find).find(|figure| figure.kind == Kind::Histogram))
}

/// The figures of a shop that has sold, been paid through a gateway, and paid back.
async fn lived() -> (TestShop, String) {
    let shop = TestShop::with(|settings| settings.payment.sandbox = Some(true)).await;
    let gateway = Gateway::of(&shop.address.base());
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("seen", 2).await;
    let (ann, bob, cat) = (shop.register("ann").await, shop.register("bob").await, shop.register("cat").await);
    let mut socket = Listener::open(&ann).await;
    let order_no = ann.buy(&product).await.order_no();
    ann.buy(&product).await; // a second one is not for her
    ann.open_charge("wechat", &order_no).await.accepted();
    gateway.pay(&format!("{order_no}_1")).await;
    ann.sees(&order_no, 2).await;
    socket.wait_for(&order_no, 2).await;
    ann.ask_refund("wechat", &order_no, 100).await.accepted();
    let second = bob.buy(&product).await.order_no();
    bob.sees(&second, 1).await;
    bob.cancel(&second).await.accepted();
    for _ in 0..3 {
        cat.buy(&product).await;
    }
    shop.travel(15_000); // the refund ends
    shop.at_rest().await;
    let until = Instant::now() + WHOLE_WITHIN;
    loop {
        let page = shop.visitor().request(Method::GET, "/metrics").send().await.expect("an answer");
        let page = page.text().await.expect("a page");
        if tells_of_stores(&page) || Instant::now() > until {
            return (shop, page);
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

/// True if everything that is read from stores is there: what does not answer at once is left out.
fn tells_of_stores(page: &str) -> bool {
    let all = series(page);
    let is_there = |name: &str| all.iter().any(|one| one.name == name);
    let is_up = |name: &str, label: &str| {
        let mut named = all.iter().filter(|one| one.name == name && one.value >= 1.0);
        named.any(|one| one.labels.values().any(|value| value == label))
    };
    is_there("rushmall_outbox_rows")
        && is_there("rushmall_hot_product_units")
        && is_up("rushmall_dependency_up", "database")
        && is_up("rushmall_database_connections", "idle")
}

/// Names and labels that a query asks for.
fn asked(query: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let plain = query.replace("\\\"", "\"");
    let (mut names, mut labels, mut rest) = (BTreeSet::new(), BTreeSet::new(), plain.as_str());
    // what stands in quotes is a value
    let mut code = String::new();
    while let Some((before, after)) = rest.split_once('"') {
        code.push_str(before);
        code.push('"');
        rest = after.split_once('"').map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    for (at, _) in code.match_indices(['{', '(']) {
        let inside = &code[at + 1..];
        let is_matcher = code[at..].starts_with('{');
        let word = code[..at].trim_end().rsplit(|c| !is_word(c)).next().unwrap_or_default();
        let end = inside.find(['}', ')']).unwrap_or(inside.len());
        if is_matcher || ["by", "on", "without", "ignoring"].contains(&word) {
            let found = inside[..end].split(',').map(|part| part.split(['=', '!', '~']).next().unwrap_or("").trim());
            labels.extend(found.filter(|label| !label.is_empty()).map(str::to_owned));
        }
    }
    let words = code.split(|c| !is_word(c)).filter(|word| !word.contains(':'));
    let ours = |word: &&str| word.starts_with("rushmall_") || word.starts_with("process_") || NOT_OURS.contains(word);
    names.extend(words.filter(ours).map(str::to_owned));
    (names, labels)
}

/// Every query of the dashboards and alerts, with where it stands.
fn queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files("deploy/grafana/dashboards", "json") {
        let board: Value = serde_json::from_str(&read(&path)).expect("JSON");
        for panel in board["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().expect("queries") {
                let place = format!("{}: {}", path.display(), panel["title"]);
                found.push((place, target["expr"].as_str().expect("a query").to_owned()));
            }
        }
        for variable in board["templating"]["list"].as_array().expect("variables") {
            let query = variable["query"]["query"].as_str().expect("a query");
            found.push((path.display().to_string(), query.replace("label_values(", "")));
        }
    }
    for path in files("deploy/prometheus/rules", "yml") {
        // the expressions are all of the file that has these names
        found.push((path.display().to_string(), read(&path)));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_shop_that_has_lived_is_the_catalogue_and_its_labels_are_bounded() {
    let (_shop, page) = lived().await;
    let mut counts: BTreeMap<&str, BTreeSet<Vec<String>>> = BTreeMap::new();
    let all = series(&page);
    for Series { name, labels, .. } in &all {
        if name.starts_with("rushmall_test_") {
            continue;
        }
        let figure = figure(name).unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        let without_bound: Vec<(&String, &String)> = labels.iter().filter(|(label, _)| *label != "le").collect();
        let named: Vec<&str> = without_bound.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(named, figure.labels, "{name}");
        let values = without_bound.iter().map(|(_, value)| (*value).clone()).collect();
        counts.entry(figure.name).or_default().insert(values);
    }
    for (name, series) in &counts {
        let figure = catalogue::find(name).expect("known");
        assert!(series.len() <= figure.series_max, "{name}: {} series, {} at most", series.len(), figure.series_max);
        for line in [format!("# HELP {name} {}", figure.help), format!("# TYPE {name} {}", figure.kind.name())] {
            assert!(page.contains(&line), "no line {line:?}");
        }
    }
    let sum = |name: &str, label: &str, value: &str| -> f64 {
        let fits = |one: &&Series| one.name == name && one.labels.get(label).is_some_and(|is| is == value);
        all.iter().filter(fits).map(|one| one.value).sum()
    };
    for (name, label, value, at_least) in [
        ("rushmall_seckill_total", "outcome", "accepted", 2.0),
        ("rushmall_seckill_total", "outcome", "already_bought", 1.0),
        ("rushmall_order_events_total", "event", "order_placed", 2.0),
        ("rushmall_order_events_total", "status", "paid", 1.0),
        ("rushmall_order_events_total", "status", "cancelled", 1.0),
        ("rushmall_payments_total", "outcome", "captured", 1.0),
        ("rushmall_paid_fen_total", "channel", "wechat", 990.0),
        ("rushmall_refunds_total", "outcome", "succeeded", 1.0),
        ("rushmall_gateway_seconds_count", "gateway", "wechat_v3", 2.0),
        ("rushmall_actor_message_seconds_count", "kind", "inventory", 3.0),
        ("rushmall_actors", "state", "running", 3.0),
        ("rushmall_dependency_up", "dependency", "database", 1.0),
        ("rushmall_database_connections", "state", "idle", 1.0),
        ("rushmall_hot_actor_messages", "kind", "session", 5.0),
    ] {
        assert!(sum(name, label, value) >= at_least, "{name}{{{label}={value}}}: {}", sum(name, label, value));
    }
    let hot = counts.get("rushmall_hot_actor_messages").expect("busy actors");
    assert!(hot.iter().filter(|values| values[1] == "session").count() <= HOT_MAX);
    let names = queries().into_iter().flat_map(|(_, query)| asked(&query).0);
    let asked: BTreeSet<&str> = names.filter_map(|name| figure(&name).map(|figure| figure.name)).collect();
    let absent: Vec<&&str> = asked.iter().filter(|name| !counts.contains_key(*name) && !RARE.contains(name)).collect();
    assert!(absent.is_empty(), "dashboards and alerts ask for {absent:?}, which the page does not have");
    match promtool(&["check", "metrics"], &page) {
        Some(said) => assert_eq!(said.trim(), "", "promtool check metrics"),
        None => eprintln!("NOT RUN: promtool check metrics, there is no promtool (scripts/promtool installs it)"),
    }
}

/// What it prints if it is there; fails the test if it fails.
fn promtool(arguments: &[&str], input: &str) -> Option<String> {
    let is_required = std::env::var("RUSHMALL_TEST_SERVICES").is_ok_and(|value| value == "1");
    let is_there = Command::new("promtool").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_required && is_there.is_err() {
        return None;
    }
    let mut child = Command::new(root().join("scripts/promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("scripts/promtool runs");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("written");
    let ended = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "promtool {arguments:?}: {said}");
    Some(said)
}

#[test]
fn dashboards_and_alerts_ask_for_figures_and_labels_that_there_are() {
    let queries = queries();
    assert!(queries.len() > 60, "{} queries", queries.len());
    for (place, query) in &queries {
        let (names, labels) = asked(query);
        assert!(!names.is_empty(), "{place} asks for nothing: {query}");
        let mut known: BTreeSet<&str> = ADDED.into();
        // a file of alerts says in annotations which severity it has
        known.extend(["severity"]);
        for name in names.iter().filter(|name| !NOT_OURS.contains(&name.as_str())) {
            let figure = figure(name).unwrap_or_else(|| panic!("{place} asks for {name}, which nobody exports"));
            known.extend(figure.labels);
            let is_part = name != figure.name;
            assert_eq!(is_part, figure.kind == Kind::Histogram, "{place}: {name} is a {}", figure.kind.name());
        }
        if place.ends_with(".yml") {
            continue; // below, alert by alert
        }
        let strange: Vec<&String> = labels.iter().filter(|label| !known.contains(label.as_str())).collect();
        assert!(strange.is_empty(), "{place} asks for labels {strange:?}: {query}");
    }
}

#[test]
fn alerts_ask_for_labels_that_there_are_and_each_is_explained_and_tested() {
    let guide = read(&root().join("docs/OPERATIONS.md"));
    let tests = files("deploy/prometheus/tests", "yml").iter().map(|path| read(path)).collect::<String>();
    for path in files("deploy/prometheus/rules", "yml") {
        let text = read(&path);
        let rules: Vec<&str> = text.split("      - alert: ").skip(1).collect();
        assert!(rules.len() > 20, "{} alerts", rules.len());
        for rule in rules {
            let name = rule.lines().next().expect("a name").trim();
            assert!(guide.contains(&format!("`{name}`")), "docs/OPERATIONS.md does not say what to do about {name}");
            assert!(tests.contains(&format!("alertname: {name}")), "{name} has no test");
            let expression = rule.split("expr:").nth(1).and_then(|rest| rest.split("        labels:").next());
            let expression = expression.and_then(|rest| rest.split("        for:").next()).expect("an expression");
            let (names, labels) = asked(expression);
            let known: BTreeSet<&str> =
                names.iter().filter_map(|name| figure(name)).flat_map(|figure| figure.labels).copied().collect();
            let is_known = |label: &&String| known.contains(label.as_str()) || ADDED.contains(&label.as_str());
            let strange: Vec<&String> = labels.iter().filter(|label| !is_known(label)).collect();
            assert!(strange.is_empty(), "{name} asks for labels {strange:?}: {expression}");
        }
    }
}

#[test]
fn the_catalogue_is_what_the_code_counts_and_what_the_guide_tells() {
    let mut counted = BTreeSet::new();
    for path in files("src", "rs").iter().filter(|path| !path.ends_with("telemetry/catalogue.rs")) {
        for word in read(path).split('"') {
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            let is_ours = word.starts_with("process_") || (word.starts_with("rushmall_") && word != "rushmall_");
            if is_ours && word.chars().all(is_name) && !word.starts_with("rushmall_test_") {
                counted.insert(word.to_owned());
            }
        }
    }
    let known: BTreeSet<String> = FIGURES.iter().map(|figure| figure.name.to_owned()).collect();
    assert_eq!(known.len(), FIGURES.len(), "a name is there twice");
    let unknown: Vec<&String> = counted.difference(&known).collect();
    assert!(unknown.is_empty(), "counted and not in the catalogue: {unknown:?}");
    let idle: Vec<&String> = known.difference(&counted).collect();
    assert!(idle.is_empty(), "in the catalogue and never counted: {idle:?}");

    let guide = read(&root().join("docs/OPERATIONS.md"));
    let rows: Vec<String> = FIGURES.iter().map(row).collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !guide.contains(row.as_str())).collect();
    let text = missing.iter().map(|row| row.as_str()).collect::<Vec<_>>().join("\n");
    assert!(missing.is_empty(), "docs/OPERATIONS.md lacks these rows:\n{text}");
    let told = guide.lines().filter(|line| line.starts_with("| `rushmall_") || line.starts_with("| `process_")).count();
    assert_eq!(told, FIGURES.len(), "docs/OPERATIONS.md has rows of figures that are not there");
}

/// As the table of docs/OPERATIONS.md has it.
fn row(figure: &Figure) -> String {
    let labels: Vec<String> = figure.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {} | {} | {} |", figure.name, figure.kind.name(), labels.join(", "), figure.help)
}

#[test]
fn prometheus_finds_nothing_wrong_with_its_files() {
    let at = |path: &str| root().join(path).display().to_string();
    let (rules, tests) = (at("deploy/prometheus/rules/rushmall.yml"), at("deploy/prometheus/tests/rushmall.yml"));
    let config = at("deploy/prometheus/prometheus.yml");
    for arguments in [["check", "rules", &rules], ["check", "config", &config], ["test", "rules", &tests]] {
        if promtool(&arguments, "").is_none() {
            eprintln!("NOT RUN: promtool {arguments:?}, there is no promtool (scripts/promtool installs it)");
        }
    }
}

#[test]
fn what_is_asked_from_outside_is_a_module_of_the_blackbox_exporter() {
    let config = read(&root().join("deploy/prometheus/prometheus.yml"));
    let module = config.split("module: [").nth(1).and_then(|rest| rest.split(']').next()).expect("a module");
    let modules = read(&root().join("deploy/blackbox/blackbox.yml"));
    assert!(modules.lines().any(|line| line == format!("  {module}:")), "{module} is not in deploy/blackbox");
}
