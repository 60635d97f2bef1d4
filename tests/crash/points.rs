//! r54: the process dies at every named point of the purchase and saga paths, and nobody can tell afterwards.
//!
//! The points are read from the sources, so that a new one cannot be forgotten. A first, uninterrupted telling of every
//! chapter shows which points it visits and how it ends; then each point kills a process in the middle of a chapter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Not;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::chapters::Chapter;
use crate::script::{Outcome, Script};
use crate::support::ground::is_cluster;

/// Points that simulated payment cannot reach: money that comes late needs a gateway.
const BEYOND_SIMULATION: [&str; 2] = ["ledger.retake.after", "ledger.retake.before"];
/// Points that the embedded back ends never pass.
const CLUSTER_ONLY: [&str; 3] = ["carts.move.in.after", "carts.move.out.after", "ledger.rebuild.read"];
/// Processes that die at the same time.
const WORKERS: usize = 2;
const SHORT_DEADLINE: [(&str, &str); 1] = [("RUSHMALL__ORDERS__PAY_DEADLINE_MS", "700")];

/// Which chapter visits which points, and how it ends.
#[derive(Clone, Debug, Default)]
pub struct Atlas {
    pub endings: Vec<(Chapter, Outcome)>,
    pub visits: Vec<(&'static str, Chapter)>,
}

impl Atlas {
    pub fn ending(&self, chapter: Chapter) -> &Outcome {
        &self.endings.iter().find(|(known, _)| *known == chapter).expect("a chapter that was told").1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r54_every_crash_point_recovers() {
    let started = Instant::now();
    let atlas = explore(&Chapter::usual(), &[]).await;
    let waiting = explore(&[Chapter::Deadline], &SHORT_DEADLINE).await;
    let reached: BTreeSet<&str> = atlas.visits.iter().chain(&waiting.visits).map(|(point, _)| *point).collect();
    let expected = points().into_iter().filter(|point| is_cluster() || !CLUSTER_ONLY.contains(point));
    let missed: Vec<&str> = expected.filter(|point| !reached.contains(point)).collect();
    assert_eq!(missed, BEYOND_SIMULATION, "points that no chapter visits");

    let usual = shares(&once_each(&atlas), WORKERS);
    let dying = usual.iter().map(|share| kill_at_each(share, &atlas, &[]));
    let waited = kill_at_each(&waiting.visits, &waiting, &SHORT_DEADLINE);
    let (deaths, more) = futures::join!(futures::future::join_all(dying), waited);
    let deaths = deaths.iter().sum::<u32>() + more;
    eprintln!("{} crash points, {deaths} crashes, {:.0?}", reached.len(), started.elapsed());
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
    let (mut atlas, mut script) = (Atlas::default(), Script::open(settings).await);
    for chapter in chapters {
        let stage = chapter.stage(&mut script).await;
        script.shop.books().await.at_rest().await;
        let before = visits(&script).await;
        chapter.play(&mut script, &stage).await;
        atlas.endings.push((*chapter, script.outcome(&stage).await));
        let after = visits(&script).await;
        let is_new = |point: &&str| after.get(*point) > before.get(*point);
        atlas.visits.extend(points().into_iter().filter(is_new).map(|point| (point, *chapter)));
    }
    assert_eq!(script.deaths, 0, "nothing was armed");
    script.shop.assert_clean().await;
    atlas
}

async fn visits(script: &Script) -> BTreeMap<String, u64> {
    let data = script.admin.get("/api/admin/failpoints").await.accepted();
    serde_json::from_value(data["visits"].clone()).expect("counts by point")
}

/// The first chapter that visits it, for each point.
pub fn once_each(atlas: &Atlas) -> Vec<(&'static str, Chapter)> {
    let mut seen = BTreeSet::new();
    atlas.visits.iter().filter(|(point, _)| seen.insert(*point)).copied().collect()
}

fn shares<T: Copy>(all: &[T], parts: usize) -> Vec<Vec<T>> {
    (0..parts).map(|part| all.iter().copied().skip(part).step_by(parts).collect()).collect()
}

/// One process after the other on the same data, each killed at one point.
async fn kill_at_each(share: &[(&'static str, Chapter)], atlas: &Atlas, settings: &[(&str, &str)]) -> u32 {
    let mut script = Script::open(settings).await;
    for (point, chapter) in share.iter().filter(|(point, _)| is_wanted(point)) {
        let stage = chapter.stage(&mut script).await;
        script.shop.books().await.at_rest().await;
        let before = script.deaths;
        script.admin.arm(&format!("{point}=kill@1")).await.accepted();
        chapter.play(&mut script, &stage).await;
        let outcome = script.outcome(&stage).await;
        if script.deaths == before {
            script.revive(Duration::from_secs(2)).await;
        }
        assert_eq!(script.deaths, before + 1, "{point} was not the end of the process in {chapter:?}");
        assert_eq!(&outcome, atlas.ending(*chapter), "after dying at {point} in {chapter:?}");
    }
    script.shop.assert_clean().await;
    script.deaths
}
