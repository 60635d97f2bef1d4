//! Fires the clicks at their planned instants, whether or not the shop keeps up, and keeps the journal of answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::arrivals::PlannedClick;
use super::client::{Answer, NoAnswer, Shop};
use super::figures::{Clicks, Latency};
use super::stage::{Buyer, Stage};
use crate::clock::monotonic;
use crate::domain::codes::Code;

/// How one click ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With this order number.
    Accepted(String),
    SoldOut,
    Limited,
    Busy,
    Refused(i32),
    Error(String),
}

/// An order that a buyer was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    pub order_no: String,
    /// Index of the buyer.
    pub buyer: usize,
}

/// Every answer.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub clicks: Clicks,
    pub promises: Vec<Promise>,
    latencies: Vec<Duration>,
    accepted_latencies: Vec<Duration>,
    /// From the first planned click to the last answer.
    pub took: Duration,
    /// The first error and the first odd refusal, in words.
    pub notes: Vec<String>,
}

impl Journal {
    pub(super) fn latency(&self) -> Latency {
        Latency::of(&self.latencies)
    }

    pub(super) fn accepted_latency(&self) -> Latency {
        Latency::of(&self.accepted_latencies)
    }

    fn record(&mut self, buyer: usize, latency: Duration, outcome: Outcome) {
        let clicks = &mut self.clicks;
        clicks.attempted += 1;
        if !matches!(outcome, Outcome::Error(_)) {
            self.latencies.push(latency);
        }
        match outcome {
            Outcome::Accepted(order_no) => {
                clicks.accepted += 1;
                self.accepted_latencies.push(latency);
                self.promises.push(Promise { order_no, buyer });
            }
            Outcome::SoldOut => clicks.sold_out += 1,
            Outcome::Limited => clicks.limited += 1,
            Outcome::Busy => clicks.busy += 1,
            Outcome::Refused(code) => {
                clicks.refused += 1;
                if clicks.refused == 1 {
                    self.notes.push(format!("a click was refused with code {code}"));
                }
            }
            Outcome::Error(why) => {
                clicks.errors += 1;
                if clicks.errors == 1 {
                    self.notes.push(format!("a click got no readable answer: {why}"));
                }
            }
        }
    }
}

/// Runs the plan. At most `in_flight_max` requests are under way; a click that has to wait for one of them is late,
/// and its latency says so. Clicks planned after `until` are not sent.
pub(super) async fn run(
    shop: &Shop,
    stage: &Stage,
    plan: &[PlannedClick],
    in_flight_max: usize,
    until: Instant,
    progress: &ProgressBar,
) -> Journal {
    let permits = Arc::new(Semaphore::new(in_flight_max));
    let buyers: Arc<[Buyer]> = stage.buyers.as_slice().into();
    let product_id = stage.product_id;
    let started = monotonic();
    let mut journal = Journal::default();
    let mut running = JoinSet::new();
    for click in plan {
        let intended = started + click.at;
        if intended >= until {
            journal.notes.push("the time limit was reached before the last click".to_owned());
            break;
        }
        tokio::time::sleep_until(intended.into()).await;
        // never closed, so this only waits
        let permit = Arc::clone(&permits).acquire_owned().await.ok();
        let (shop, buyers, buyer) = (shop.clone(), Arc::clone(&buyers), click.buyer);
        running.spawn(async move {
            let outcome = click_once(&shop, &buyers[buyer].token, product_id).await;
            drop(permit);
            (buyer, intended.elapsed(), outcome)
        });
        while let Some(done) = running.try_join_next() {
            note(&mut journal, done, progress);
        }
    }
    while let Some(done) = running.join_next().await {
        note(&mut journal, done, progress);
    }
    journal.took = started.elapsed();
    journal
}

type Done = Result<(usize, Duration, Outcome), tokio::task::JoinError>;

fn note(journal: &mut Journal, done: Done, progress: &ProgressBar) {
    progress.inc(1);
    match done {
        Ok((buyer, latency, outcome)) => journal.record(buyer, latency, outcome),
        Err(error) => journal.record(0, Duration::ZERO, Outcome::Error(error.to_string())),
    }
}

async fn click_once(shop: &Shop, token: &str, product_id: i64) -> Outcome {
    judge(shop.post("/api/seckill", token, &json!({ "product_id": product_id, "quantity": 1 })).await)
}

fn judge(answer: Result<Answer, NoAnswer>) -> Outcome {
    let Answer { code, data, message } = match answer {
        Ok(answer) => answer,
        Err(error) => return Outcome::Error(error.to_string()),
    };
    match Code(code) {
        Code::OK => match data["order_no"].as_str().filter(|number| !number.is_empty()) {
            Some(number) => Outcome::Accepted(number.to_owned()),
            None => Outcome::Error("accepted without an order number".to_owned()),
        },
        Code::SECKILL_SOLD_OUT | Code::PRODUCT_STOCK_SHORT => Outcome::SoldOut,
        Code::SECKILL_ALREADY_BOUGHT | Code::SECKILL_LIMIT | Code::SECKILL_TOO_FREQUENT | Code::TOO_MANY_REQUESTS => {
            Outcome::Limited
        }
        // With a number the shop does not know itself what became of the click: the order may come.
        Code::SECKILL_BUSY | Code::UNAVAILABLE if data["order_no"].is_string() => {
            Outcome::Error(format!("{code} without an outcome: {message}"))
        }
        Code::SECKILL_BUSY | Code::UNAVAILABLE => Outcome::Busy,
        Code::INTERNAL => Outcome::Error(format!("500 {message}")),
        Code(other) => Outcome::Refused(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answered(code: i32, data: Value) -> Outcome {
        judge(Ok(Answer { code, message: "m".to_owned(), data }))
    }

    #[test]
    fn busy_with_a_number_may_become_an_order() {
        let busy = Code::SECKILL_BUSY.0;
        assert!(matches!(answered(busy, json!({ "order_no": "01JD" })), Outcome::Error(_)));
        assert!(matches!(answered(busy, Value::Null), Outcome::Busy));
    }

    #[test]
    fn every_answer_is_counted_as_what_it_is() {
        let number = json!({ "order_no": "01ARZ3NDEKTSV4RRFFQ69G5FAV" });
        assert_eq!(answered(0, number.clone()), Outcome::Accepted("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()));
        assert!(matches!(answered(0, json!({})), Outcome::Error(_)));
        assert_eq!(answered(60_003, json!(null)), Outcome::SoldOut);
        assert_eq!(answered(60_004, number), Outcome::Limited);
        assert_eq!(answered(60_010, json!(null)), Outcome::Limited);
        assert_eq!(answered(503, json!(null)), Outcome::Busy);
        assert_eq!(answered(60_001, json!(null)), Outcome::Refused(60_001));
        assert!(matches!(answered(500, json!(null)), Outcome::Error(_)));
        assert!(matches!(judge(Err(NoAnswer("reset".to_owned()))), Outcome::Error(_)));
    }

    #[test]
    fn the_journal_adds_up() {
        let mut journal = Journal::default();
        let ms = Duration::from_millis;
        journal.record(3, ms(5), Outcome::Accepted("A".to_owned()));
        journal.record(4, ms(7), Outcome::SoldOut);
        journal.record(5, ms(9), Outcome::Error("reset".to_owned()));
        journal.record(5, ms(9), Outcome::Error("reset".to_owned()));
        let Clicks { attempted, accepted, sold_out, errors, .. } = journal.clicks;
        assert_eq!((attempted, accepted, sold_out, errors), (4, 1, 1, 2));
        assert_eq!(journal.promises, [Promise { order_no: "A".to_owned(), buyer: 3 }]);
        assert_eq!((journal.latencies.len(), journal.notes.len()), (2, 1));
    }

    /// Answers one request after 50 ms each, on one connection at a time.
    async fn slow_shop() -> Shop {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4_096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let body = r#"{"code":60003,"message":"sold out","data":null}"#;
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Shop::at(&format!("http://{address}")).unwrap()
    }

    #[actix_rt::test]
    async fn latency_counts_from_the_planned_instant_so_a_queue_shows() {
        let shop = slow_shop().await;
        let stage = Stage { product_id: 1, sale_id: 1, buyers: vec![Buyer { token: "t".to_owned() }] };
        let plan = [PlannedClick { at: Duration::ZERO, buyer: 0 }; 4];
        let until = monotonic() + Duration::from_secs(10);
        let journal = run(&shop, &stage, &plan, 1, until, &ProgressBar::hidden()).await;
        assert_eq!(journal.clicks.sold_out, 4);
        // one connection, 50 ms each: the fourth was answered 200 ms after its planned instant
        assert!(journal.latency().max_ms >= 190.0, "{:?}", journal.latency());
        assert!(journal.latency().p50_ms >= 90.0, "{:?}", journal.latency());
    }
}
