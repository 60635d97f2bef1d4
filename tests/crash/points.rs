//! r54: the process dies at every named point of the purchase and saga paths, and nobody can tell afterwards.
//!
//! The points are read from the sources, so that a new one cannot be forgotten. A first, uninterrupted telling of every
//! chapter shows which points it visits and how it ends; then each point kills a process in the middle of a chapter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Not;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;

use crate::chapters::Chapter;
use crate::script::{Outcome, Script};
use crate::support::ground::is_cluster;

/// Points that simulated payment cannot reach begin so.
const AT_THE_GATEWAY: [&str; 4] = ["payment.", "notices.", "effects.postponed.", "ledger.retake."];
/// Those of them that are passed by asking again.
const OF_ASKING: [&str; 3] = ["payment.query.", "payment.refund_query.", "effects.postponed."];
/// Points that a chapter at the gateway passes more than once are tried so often.
const VISITS_MAX: u64 = 3;
/// Points of the comparison with the gateways' bills: tests/reconcile dies there.
const AT_THE_BILLS: &str = "reconcile.";
/// Points that the embedded back ends never pass.
const CLUSTER_ONLY: [&str; 3] = ["carts.move.in.after", "carts.move.out.after", "ledger.rebuild.read"];
/// Processes that die at the same time.
const WORKERS: usize = 2;
/// They wait for a gateway most of the time.
pub const GATEWAY_WORKERS: usize = 4;
const SHORT_DEADLINE: [(&str, &str); 1] = [("RUSHMALL__ORDERS__PAY_DEADLINE_MS", "700")];

/// Which chapter visits which points, and how it ends.
#[derive(Clone, Debug, Default)]
pub struct Atlas {
    pub endings: Vec<(Chapter, Outcome)>,
    pub visits: Vec<(&'static str, Chapter)>,
    /// How often each of those was.
    counts: BTreeMap<(&'static str, Chapter), u64>,
}

impl Atlas {
    pub fn ending(&self, chapter: Chapter) -> &Outcome {
        &self.endings.iter().find(|(known, _)| *known == chapter).expect("a chapter that was told").1
    }

    /// Each visit of a point that only a shop with a gateway passes; none of the others, which the usual chapters have.
    fn each_visit(&self, (point, chapter): (&'static str, Chapter)) -> Vec<Death> {
        // who waits until the gateway is asked again waits long: only what asking passes
        let is_wanted = is_at_the_gateway(point)
            && (chapter != Chapter::Silent || OF_ASKING.iter().any(|area| point.starts_with(area)));
        let count = if is_wanted { self.counts[&(point, chapter)].min(VISITS_MAX) } else { 0 };
        (1..=count).map(|visit| Death { point, chapter, visit, is_certain: false }).collect()
    }
}

/// Where a process is to die.
#[derive(Clone, Copy, Debug)]
struct Death {
    point: &'static str,
    chapter: Chapter,
    visit: u64,
    /// It is passed so often however fast a gateway answers.
    is_certain: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn r54_every_crash_point_recovers() {
    let started = Instant::now();
    let atlas = explore(&Chapter::usual(), &[]).await;
    let waiting = explore(&[Chapter::Deadline], &SHORT_DEADLINE).await;
    let reached: BTreeSet<&str> = atlas.visits.iter().chain(&waiting.visits).map(|(point, _)| *point).collect();
    let expected = points().into_iter().filter(|point| is_cluster() || !CLUSTER_ONLY.contains(point));
    let is_elsewhere = |point: &str| is_at_the_gateway(point) || point.starts_with(AT_THE_BILLS);
    let missed: Vec<&str> = expected.filter(|point| !is_elsewhere(point) && !reached.contains(point)).collect();
    assert!(missed.is_empty(), "points that no chapter visits: {missed:?}");

    let usual = shares(&first_visits(&once_each(&atlas)), WORKERS);
    let dying = usual.iter().map(|share| kill_at_each(share, &atlas, &[]));
    let waiting_visits = first_visits(&waiting.visits);
    let waited = kill_at_each(&waiting_visits, &waiting, &SHORT_DEADLINE);
    let (deaths, more) = futures::join!(futures::future::join_all(dying), waited);
    let deaths = deaths.iter().map(Vec::len).sum::<usize>() + more.len();
    eprintln!("{} crash points, {deaths} crashes, {:.0?}", reached.len(), started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn r54_money_survives_a_crash_at_every_point() {
    let started = Instant::now();
    let atlas = explore(&Chapter::WITH_GATEWAY, &[]).await;
    let reached: BTreeSet<&str> = atlas.visits.iter().map(|(point, _)| *point).collect();
    let missed: Vec<&str> =
        points().into_iter().filter(|point| is_at_the_gateway(point) && !reached.contains(point)).collect();
    assert!(missed.is_empty(), "points that no chapter visits: {missed:?}");

    let deaths: Vec<Death> = atlas.visits.iter().flat_map(|visit| atlas.each_visit(*visit)).collect();
    let shares = shares(&deaths, GATEWAY_WORKERS);
    let dying = shares.iter().map(|share| kill_at_each(share, &atlas, &[]));
    let died = futures::future::join_all(dying).await.concat();
    let alive: Vec<&str> =
        reached.iter().copied().filter(|point| is_at_the_gateway(point) && is_wanted(point)).collect();
    let alive: Vec<&str> = alive.into_iter().filter(|point| !died.contains(point)).collect();
    assert!(alive.is_empty(), "points that were not the end of any process: {alive:?}");
    let deaths = died.len();
    eprintln!("{} crash points with a gateway, {deaths} crashes, {:.0?}", reached.len(), started.elapsed());
}

/// True if only a shop with a gateway passes it.
pub fn is_at_the_gateway(point: &str) -> bool {
    AT_THE_GATEWAY.iter().any(|area| point.starts_with(area))
}

/// True if only these points are wanted: `RUSHMALL_TEST_POINT` is part of a name, for looking at one of them.
pub fn is_wanted(point: &str) -> bool {
    std::env::var("RUSHMALL_TEST_POINT").is_ok_and(|wanted| !point.contains(&wanted)).not()
}

/// Every `failpoint::reach("…")` in the sources.
pub fn points() -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 20, "the sources have failpoints: {found:?}");
    found
}

fn collect(directory: &Path, found: &mut BTreeSet<&'static str>) {
    for entry in std::fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        for after in text.split("failpoint::reach(\"").skip(1) {
            let name = after.split('"').next().expect("a name ends");
            found.insert(Box::leak(name.to_owned().into_boxed_str()));
        }
    }
}

/// Tells each chapter once, uninterrupted.
pub async fn explore(chapters: &[Chapter], settings: &[(&str, &str)]) -> Atlas {
    let (mut atlas, mut script) = (Atlas::default(), Script::open(chapters.iter().copied(), settings).await);
    for chapter in chapters {
        let stage = chapter.stage(&mut script).await;
        script.shop.books().await.at_rest().await;
        let before = visits(&script).await;
        chapter.play(&mut script, &stage).await;
        atlas.endings.push((*chapter, script.outcome(&stage).await));
        let after = visits(&script).await;
        for point in points() {
            let count = |visits: &BTreeMap<String, u64>| visits.get(point).copied().unwrap_or_default();
            let more = count(&after) - count(&before);
            if more > 0 {
                atlas.visits.push((point, *chapter));
                atlas.counts.insert((point, *chapter), more);
            }
        }
    }
    assert_eq!(script.deaths, 0, "nothing was armed");
    script.shop.assert_clean().await;
    atlas
}

async fn visits(script: &Script) -> BTreeMap<String, u64> {
    let data = script.admin.ask_until_heard(Method::GET, "/api/admin/failpoints", None).await.accepted();
    serde_json::from_value(data["visits"].clone()).expect("counts by point")
}

/// The first chapter that visits it, for each point.
pub fn once_each(atlas: &Atlas) -> Vec<(&'static str, Chapter)> {
    let mut seen = BTreeSet::new();
    atlas.visits.iter().filter(|(point, _)| seen.insert(*point)).copied().collect()
}

fn first_visits(visits: &[(&'static str, Chapter)]) -> Vec<Death> {
    visits.iter().map(|(point, chapter)| Death { point, chapter: *chapter, visit: 1, is_certain: true }).collect()
}

pub fn shares<T: Copy>(all: &[T], parts: usize) -> Vec<Vec<T>> {
    (0..parts).map(|part| all.iter().copied().skip(part).step_by(parts).collect()).collect()
}

/// One process after the other on the same data, each killed at one point; the points that were the end of one.
async fn kill_at_each(share: &[Death], atlas: &Atlas, settings: &[(&str, &str)]) -> Vec<&'static str> {
    let chapters = share.iter().map(|death| death.chapter);
    let (mut script, mut died) = (Script::open(chapters, settings).await, Vec::new());
    for Death { point, chapter, visit, is_certain } in share.iter().filter(|death| is_wanted(death.point)) {
        let stage = chapter.stage(&mut script).await;
        script.shop.books().await.at_rest().await;
        let before = script.deaths;
        script.admin.arm(&format!("{point}=kill@{visit}")).await.accepted();
        chapter.play(&mut script, &stage).await;
        let outcome = script.outcome(&stage).await;
        if script.deaths == before {
            script.revive(Duration::from_secs(if *is_certain { 30 } else { 2 })).await;
        }
        if *is_certain || script.deaths > before {
            assert_eq!(script.deaths, before + 1, "{point} was not the end of the process in {chapter:?}");
            died.push(*point);
        } else {
            script.admin.arm(&format!("{point}=delay(0)")).await.accepted(); // it kills no later chapter
        }
        assert_eq!(&outcome, atlas.ending(*chapter), "after dying at visit {visit} of {point} in {chapter:?}");
    }
    script.shop.assert_clean().await;
    died
}
