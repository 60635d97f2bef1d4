//! A process that is stopped (SIGSTOP) in the middle of an order's step while another process goes on with the order, and
//! that wakes up (SIGCONT) with what it believed before: the real binary, twice, on one database, Redis and RabbitMQ.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::cluster::{Services, on_each_database, sql};
use crate::support::books::Books;
use crate::support::client::{Answer, Person};
use crate::support::ground::Ground;
use crate::support::process::ShopProcess;
use crate::support::verbs::{Product, SIMULATED};

/// How long a step lingers at its point: long enough to be stopped there.
const LINGERS: &str = "delay(4000)";
/// A lease of an effect (30 s) ends, and what it stood for is done.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(50);
const REACHED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const STOCK_SHORT: i64 = 20_003;
const ALREADY_PAID: i64 = 30_007;

/// Two nodes that run.
async fn two_nodes(services: &Services, database: &str) -> (ShopProcess, ShopProcess) {
    let mut first = ShopProcess::prepare_on(Ground::on(database, &services.redis, &services.amqp).await);
    // whoever asks waits for as long as the process is stopped, and some more
    first.set("RUSHMALL__ACTORS__ASK_TIMEOUT_MS", "9000");
    first.start().await;
    let mut second = first.beside(1);
    second.start().await;
    (first, second)
}

/// Stops the process while it lingers at the point, for the `turn`-th time. Its log tells, because its actors may not
/// answer meanwhile.
async fn stop_at(shop: &ShopProcess, point: &str, turn: usize) {
    let until = Instant::now() + REACHED_WITHIN;
    let told = format!("lingering at a failpoint point=\"{point}\"");
    while shop.log_text().matches(&told).count() < turn {
        assert!(Instant::now() < until, "{point} was not reached");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    shop.signal(Signal::SIGSTOP);
}

/// Waits until the administrator's node has come to the point since its start.
async fn until_reached(admin: &Person, point: &str) {
    let until = Instant::now() + REACHED_WITHIN;
    loop {
        let data = admin.get("/api/admin/failpoints").await.accepted();
        if data["visits"][point].as_u64() > Some(0) {
            return;
        }
        assert!(Instant::now() < until, "{point} was not reached: {data}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The order's history by the names of its events.
async fn history(who: &Person, order_no: &str) -> Vec<String> {
    let data = who.order(order_no).await.accepted();
    let steps = data["timeline"].as_array().expect("a timeline").clone();
    for (seq, step) in (1..).zip(&steps) {
        assert_eq!(step["seq"], seq, "a history without gaps: {data}");
    }
    steps.iter().map(|step| step["event"].as_str().expect("a name").to_owned()).collect()
}

async fn until_no_effect_is_owed(books: &Books) {
    let until = Instant::now() + TAKEN_OVER_WITHIN;
    while books.count("SELECT COUNT(*) AS n FROM effects").await > 0 {
        assert!(Instant::now() < until, "nobody took the effect over");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the paused node is asked, and what the buyer says to the other one meanwhile.
struct Contest {
    paused: &'static str,
    other: &'static str,
    /// What the paused node must answer in the end.
    refusal: i64,
    history: &'static [&'static str],
}

const CONTESTS: [Contest; 3] = [
    Contest { paused: "pay", other: "cancel", refusal: 30_003, history: &["order_placed", "order_cancelled"] },
    Contest {
        paused: "cancel",
        other: "pay",
        refusal: ALREADY_PAID,
        history: &["order_placed", "payment_started", "payment_captured"],
    },
    Contest {
        paused: "pay",
        other: "pay",
        refusal: ALREADY_PAID,
        history: &["order_placed", "payment_started", "payment_captured"],
    },
];

async fn say(who: &Person, order_no: &str, verb: &str) -> Answer {
    let body = if verb == "pay" { json!({ "pay_type": SIMULATED }) } else { json!({}) };
    who.post(&format!("/api/order/{order_no}/{verb}"), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r55_a_process_paused_in_a_decision_loses_to_the_one_that_went_on() {
    on_each_database(|services, database| async move {
        let (first, second) = two_nodes(&services, &database).await;
        let admin = first.admin().await;
        let product = admin.make_product("paused in a decision", 9.9, 10).await;
        let ann = first.register("ann").await;
        for (turn, contest) in (1..).zip(CONTESTS) {
            let order_no = ann.place_order(&product, 1).await.order_no();
            assert_eq!(second.meets(&ann).order_status(&order_no).await, 1, "the other node knows the order");
            admin.arm(&format!("journal.commit.before={LINGERS}")).await.accepted();
            let asking = say(&ann, &order_no, contest.paused);
            let meanwhile = async {
                stop_at(&first, "journal.commit.before", turn).await;
                say(&second.meets(&ann), &order_no, contest.other).await.accepted();
                first.signal(Signal::SIGCONT);
            };
            let (answer, ()) = futures::join!(asking, meanwhile);
            answer.rejected(contest.refusal);
            for node in [&first, &second] {
                assert_eq!(history(&node.meets(&ann), &order_no).await, contest.history);
            }
        }
        let books = first.books().await;
        assert_eq!(books.count("SELECT COUNT(*) AS n FROM payments").await, 2, "each paid order has one payment");
        books.close().await;
        first.assert_clean().await;
    })
    .await;
}

/// How long a process is stopped in the middle of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// Until its lease has ended by itself. When it wakes up it gives its actor up, which seems stuck, and with it the
    /// step wherever it is.
    OfItsLease,
    /// Until the test has ended its lease: its actor is trusted still, and goes on where it stood.
    Short,
}

/// An effect in whose middle the first process is stopped, until the second has done it.
struct Interrupted {
    first: ShopProcess,
    second: ShopProcess,
    product: Product,
    ann: Person,
    bob: Person,
    order_no: String,
    pause: Pause,
}

/// The only unit of a product is ordered at the first node, which is stopped at `point` of the effect that `cause` owes;
/// the second node, which was stopped until then, takes the effect over.
async fn interrupted_at(
    services: &Services,
    database: &str,
    (point, pause): (&str, Pause),
    cause: impl AsyncFnOnce(&Person, &Person, &str),
) -> Interrupted {
    let (first, second) = two_nodes(services, database).await;
    let admin = first.admin().await;
    let product = admin.make_product("paused in an effect", 9.9, 1).await;
    let (ann, bob) = (first.register("ann").await, second.register("bob").await);
    let order_no = ann.place_order(&product, 1).await.order_no();
    ann.order_status(&order_no).await;
    let books = second.books().await;
    books.at_rest().await;
    second.signal(Signal::SIGSTOP);
    admin.arm(&format!("{point}={LINGERS}")).await.accepted();
    cause(&ann, &admin, &order_no).await;
    stop_at(&first, point, 1).await;

    second.signal(Signal::SIGCONT);
    assert_eq!(books.count("SELECT COUNT(*) AS n FROM effects").await, 1, "leased by the first process");
    if pause == Pause::Short {
        sql(books.db(), "UPDATE effects SET lease_until_ms = 0").await;
    }
    until_no_effect_is_owed(&books).await;
    books.close().await;
    Interrupted { first, second, product, ann, bob, order_no, pause }
}

impl Interrupted {
    /// Another buyer gets the unit at the second node; the first one wakes up, and nobody gets a second unit.
    async fn wakes_up(&self, wanted: &[&str]) {
        let Self { first, second, product, ann, bob, order_no, pause } = self;
        bob.place_order(product, 1).await.order_no();
        assert_eq!(history(&second.meets(ann), order_no).await, wanted, "before the first process woke up");
        first.signal(Signal::SIGCONT);

        let until = Instant::now() + TAKEN_OVER_WITHIN;
        let carol = loop {
            let answer = first.visitor().get("/ready").await;
            if answer.status == 200 {
                break first.register("carol").await;
            }
            assert!(Instant::now() < until, "the process that was paused is not ready again: {answer:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let books = first.books().await;
        if *pause == Pause::Short {
            until_reached(&first.admin().await, "effects.done.after").await; // it went on where it stood
        }
        for node in [first, second] {
            node.meets(&carol).place_order(product, 1).await.rejected(STOCK_SHORT);
            assert_eq!(history(&node.meets(ann), order_no).await, wanted, "after it");
        }
        let units = books.units(product.id).await;
        assert_eq!((units[0].put_in, units[0].free), (1, 0), "one unit, and bob has it: {units:?}");
        books.close().await;
        first.assert_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r55_a_process_paused_while_it_gives_units_back_gives_none_twice() {
    on_each_database(|services, database| async move {
        for pause in [Pause::Short, Pause::OfItsLease] {
            let cancelled = async |ann: &Person, _: &Person, order_no: &str| {
                ann.cancel(order_no).await.accepted();
            };
            let at = ("ledger.release.before", pause);
            let interrupted = interrupted_at(&services, &database, at, cancelled).await;
            interrupted.wakes_up(&["order_placed", "order_cancelled"]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r55_a_process_paused_with_the_result_of_a_refund_reports_it_to_nobody() {
    on_each_database(|services, database| async move {
        let refunded = async |ann: &Person, admin: &Person, order_no: &str| {
            ann.pay(order_no).await.accepted();
            admin.refund(order_no).await.accepted();
        };
        let at = ("effect.run.after", Pause::Short);
        let interrupted = interrupted_at(&services, &database, at, refunded).await;
        let history = ["order_placed", "payment_started", "payment_captured", "refund_requested", "refund_reported"];
        interrupted.wakes_up(&history).await;
        let books = interrupted.first.books().await;
        assert_eq!(books.count("SELECT COUNT(*) AS n FROM refunds").await, 1, "money went back once");
        books.close().await;
    })
    .await;
}
