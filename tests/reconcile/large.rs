//! A large day: 100,000 payments within 30 s, in memory that does not grow with the bill. Measured on a process of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rushmall::clock::Clock;
use rushmall::domain::reconciliation::BillDay;
use sea_orm::ConnectionTrait as _;
use serde_json::Value;

use crate::peer::{Bill, Line, Peer};
use crate::stage::pay_at_environment;
use crate::support::ground::is_cluster;
use crate::support::process::ShopProcess;

const PAYMENTS: usize = 100_000;
const ROWS: usize = 500;
/// A bill of others' payments, three times as long.
const FOREIGN: usize = 300_000;
/// What a large bill may cost over an empty one, 32 MB of the database's pages included.
const GROWTH_KIB_MAX: u64 = 96 * 1024;
const WORK_MAX: Duration = Duration::from_secs(30);
/// Longer than that it waits, and not only for a core.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// One in so many is unknown here, another one missing there.
const ODD_EVERY: usize = 500;

fn order_no(number: usize) -> String {
    format!("01JD00000000000000{number:08}")
}

/// What a comparison cost.
#[derive(Debug)]
struct Cost {
    took: Duration,
    /// On all cores; waiting for one is no work.
    worked: Duration,
    /// The most memory that it had.
    peak_kib: u64,
}

/// The time of a process on all cores.
fn worked(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // after the name in brackets: user and system time are the 12th and the 13th, in hundredths of a second
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks = fields.skip(11).take(2).filter_map(|text| text.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// Compares a day without telling anybody: the report, and what it cost.
async fn compare(shop: &ShopProcess, day: BillDay) -> (Value, Cost) {
    let (date, report) = (day.to_string(), shop.data_dir().join("report.json"));
    let started = Instant::now();
    let arguments = ["reconcile", "--date", &date, "--dry-run", "--report", report.to_str().unwrap()];
    let mut child = shop.begin_run(&arguments);
    let mut cost = Cost { took: Duration::ZERO, worked: Duration::ZERO, peak_kib: 0 };
    while child.try_wait().expect("the process is ours").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        cost.peak_kib = cost.peak_kib.max(kib);
        cost.worked = cost.worked.max(worked(child.id()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cost.took = started.elapsed();
    let text = std::fs::read_to_string(&report).expect("a report");
    (serde_json::from_str(&text).expect("JSON"), cost)
}

async fn put_in(shop: &ShopProcess, captured_ms: i64) {
    let books = shop.books().await;
    for portion in (0..PAYMENTS).collect::<Vec<_>>().chunks(ROWS) {
        let row = |number: &usize| {
            let order_no = order_no(*number);
            let is_known = number % ODD_EVERY != 1;
            let (state, at) =
                if is_known { ("captured", captured_ms.to_string()) } else { ("open", "NULL".to_owned()) };
            format!("('{order_no}_1', '{order_no}', 1, 2, 1980, '{state}', '', {captured_ms}, {at})")
        };
        let rows: Vec<String> = portion.iter().map(row).collect();
        let insert = format!(
            "INSERT INTO payments (payment_no, order_no, attempt, channel, amount_fen, state, transaction_id, \
             created_at_ms, captured_at_ms) VALUES {}",
            rows.join(", ")
        );
        books.db().writer().execute_unprepared(&insert).await.expect("payments are put in");
    }
    books.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_payments_are_compared_in_half_a_minute() {
    let peer = Peer::start().await;
    let mut shop = ShopProcess::prepare();
    for (name, value) in pay_at_environment(&peer) {
        shop.set(name, &value);
    }
    // each connection of SQLite may keep 16 MB of pages: as few as can be, so that the clerk's own memory is seen
    shop.set("RUSHMALL__DATABASE__CONNECTIONS_MAX", if is_cluster() { "4" } else { "1" });
    let day = BillDay::of(Clock::default().now_ms()).previous();
    put_in(&shop, day.begins_ms() + 12 * 3_600_000).await;
    let missing = |number: &usize| number % ODD_EVERY == 2;
    let numbers: Arc<Vec<usize>> = Arc::new((0..PAYMENTS).filter(|number| !missing(number)).collect());
    let on_bill = numbers.len();
    let ours = move |at: usize| Line::Paid { payment_no: format!("{}_1", order_no(numbers[at])), fen: 1_980 };
    let foreign = |at: usize| Line::Paid { payment_no: format!("SHOP2-{at:020}"), fen: 1_980 };
    let (empty, others) = (day.earlier(10), day.earlier(20));
    peer.bill(empty, Bill::Lines(vec![]));
    peer.bill(others, Bill::Made(FOREIGN, Arc::new(foreign)));
    peer.bill(day, Bill::Made(on_bill, Arc::new(ours)));

    let (_, least) = compare(&shop, empty).await;
    let (report, foreign) = compare(&shop, others).await;
    assert_eq!(report["run"]["unknown_lines"], FOREIGN);
    let (report, cost) = compare(&shop, day).await;
    eprintln!(
        "{PAYMENTS} payments and {on_bill} lines: {cost:.1?}; {FOREIGN} lines of others: {foreign:.1?}; an empty bill: \
         {least:.1?}"
    );
    let list = report["differences"].as_array().expect("a list");
    let count = |kind: &str| list.iter().filter(|found| found["kind"] == kind).count();
    assert_eq!(report["run"]["lines"], on_bill);
    assert_eq!(count("paid_there_unpaid_here"), PAYMENTS / ODD_EVERY);
    assert_eq!(count("paid_here_missing_there"), PAYMENTS / ODD_EVERY);
    assert_eq!(list.len(), 2 * PAYMENTS / ODD_EVERY);
    assert!(cost.worked < WORK_MAX && cost.took < WAIT_MAX, "{cost:?}");
    for some in [foreign, cost] {
        assert!(some.peak_kib < least.peak_kib + GROWTH_KIB_MAX, "{some:?}, {least:?} with an empty bill");
    }
}
