//! One run from the first process to the verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::crowd::Crowd;
use crate::inject::Injector;
use crate::office::Office;
use crate::plan::plan;
use crate::recovery::{Going, Watcher};
use crate::report::Run;
use crate::services::Database;
use crate::verdict;

const SMOKE_SECONDS: u64 = 60;
const BUYERS: usize = 240;
const HANDS: u64 = 20;
/// Peace at the end, in which the last thing that was healed shows that it works.
const CALM: Duration = Duration::from_secs(8);
/// Longest wait for that.
const RECOVERED_WITHIN: Duration = Duration::from_secs(90);
/// Longest that open questions are repeated after the run.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// A number from the environment.
fn given(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// As asked for; else a third of all seeds takes PostgreSQL.
fn database(seed: u64) -> Database {
    match std::env::var("RUSHMALL_CHAOS_DATABASE").unwrap_or_default().as_str() {
        "mariadb" => Database::Mariadb,
        "postgres" => Database::Postgres,
        "" if seed.is_multiple_of(3) => Database::Postgres,
        "" => Database::Mariadb,
        other => panic!("RUSHMALL_CHAOS_DATABASE={other}: mariadb or postgres"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_in_a_storm_loses_nothing_and_invents_nothing() {
    if std::env::var("RUSHMALL_TEST_SERVICES").as_deref() != Ok("1") {
        eprintln!("not run: RUSHMALL_TEST_SERVICES is not 1");
        return;
    }
    let seed = given("RUSHMALL_CHAOS_SEED").unwrap_or_else(|| u64::from(u32::from_le_bytes(rushmall::random::bytes())));
    let seconds = given("RUSHMALL_CHAOS_SECONDS").unwrap_or(SMOKE_SECONDS);
    eprintln!("RUSHMALL_CHAOS_SEED={seed} RUSHMALL_CHAOS_SECONDS={seconds}");
    let faults = plan(seed, seconds);
    let cluster = Arc::new(Cluster::start(database(seed)).await);
    interrupted(&cluster);
    let keeping_up: Vec<_> = cluster.nodes.iter().map(|node| tokio::spawn(Arc::clone(node).keep_up())).collect();

    let doors: Vec<_> = cluster.nodes.iter().map(|node| node.address.clone()).collect();
    let admin = cluster.admin().await;
    let office = Office::open(&admin, doors.clone()).await;
    let buyers = admin.make_buyers(BUYERS, "chaos-").await;
    let (crowd, accepted) = Crowd::new(buyers, office.products(), admin, doors);
    let (healed_at, healed) = mpsc::channel(1_024);
    let going = Arc::new(Going::default());
    let (stop, stop_watching) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let watcher = Watcher { db: cluster.db.clone(), going: Arc::clone(&going), healed, accepted };
    let watching = watcher.watch(&stop_watching);
    let begun = Instant::now();
    let (hands, desk) = (crowd.rush(HANDS, seed, &stop), office.work(seed, &stop));

    let injector = Injector::new(Arc::clone(&cluster), Arc::clone(&going), healed_at);
    let (injected, skipped) = injector.carry_out(&faults).await;
    eprintln!("{} faults in {:.0?}, all healed", injected.len(), begun.elapsed());
    tokio::time::sleep(CALM).await;
    let until = Instant::now() + RECOVERED_WITHIN;
    while going.missing.load(Ordering::Relaxed) > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for hand in hands.into_iter().chain([desk]) {
        hand.await.expect("people do not panic");
    }
    crowd.resolve(seed, ANSWERS_WITHIN).await;
    eprintln!("open questions asked again until {:.0?}", begun.elapsed());
    stop_watching.store(true, Ordering::Relaxed);
    let recoveries = watching.await.expect("it watches to the end");

    let mut verdict = verdict::judge(&cluster, &crowd, &office, &injected).await;
    verdict.violations.extend(recoveries.missing.iter().map(|healed| format!("never recovered: {healed:?}")));
    keeping_up.iter().for_each(tokio::task::JoinHandle::abort);
    let run = Run {
        seed,
        database: cluster.services.database.name(),
        seconds,
        injected: &injected,
        skipped: &skipped,
        recoveries: &recoveries,
        tally: &crowd.tally,
        office: office.done.load(Ordering::Relaxed),
        refused_starts: cluster.nodes.iter().map(|node| node.refused_starts.load(Ordering::Relaxed)).sum(),
        verdict: &verdict,
        complaints: &cluster.complaints(),
    };
    conclude(&run, &cluster);
}

/// Prints the summary, writes the report, fails the test on any violation.
fn conclude(run: &Run<'_>, cluster: &Cluster) {
    eprintln!("{}", run.text());
    if let Some(path) = std::env::var_os("RUSHMALL_CHAOS_REPORT").filter(|path| !path.is_empty()) {
        std::fs::write(&path, format!("{:#}\n", run.json())).expect("the report can be written");
    }
    if run.verdict.violations.is_empty() {
        let least = if run.seconds >= 300 { 200 } else { run.seconds.saturating_sub(20) as usize };
        assert!(run.injected.len() >= least, "only {} faults happened", run.injected.len());
        let accepted = run.tally.accepted.load(Ordering::Relaxed);
        // a crowded machine may be slow, but somebody must have bought all the time
        assert!(accepted > run.seconds, "there was no load: {accepted} orders");
        return;
    }
    for node in &cluster.nodes {
        eprintln!("node {}: {}\n{}", node.number, node.keep().display(), node.binary.log_tail(20));
    }
    eprintln!("services: {}", cluster.services.keep().display());
    eprintln!("{}", run.timeline());
    panic!("{} violations, seed {}: see above", run.verdict.violations.len(), run.seed);
}

/// Ctrl-C ends the engines and nodes too: they would survive this process.
#[expect(clippy::disallowed_methods, reason = "a test that is interrupted has nothing left to shut down")]
fn interrupted(cluster: &Arc<Cluster>) {
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cluster.end_everything().await;
            std::process::exit(130);
        }
    });
}
