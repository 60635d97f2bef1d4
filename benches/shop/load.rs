//! The clients: keep-alive connections on threads of their own, one request at a time on each, no pipelining.
//!
//! *Closed*: each connection sends the next request when it has the answer; this finds the capacity. *Open*: requests
//! are due at Poisson instants whether or not the shop keeps up; latency counts from the due instant, so that a queue
//! shows. *Once*: each request is sent a single time. The runtime's timer has a grain of one millisecond, which both sides of a comparison carry alike.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rushmall::clock::monotonic;
use rushmall::random;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Threads; two, so that they do not bound what two cores can serve.
const THREADS: usize = 2;
/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// An answer fits into this.
const ANSWER_BYTES_MAX: usize = 16 * 1_024;
const ORDER_NO_CHARS: usize = 26;
const CODE_SOLD_OUT: i32 = 60_003;

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As fast as the answers come.
    Closed,
    /// So many a second, at random instants.
    Open(f64),
    /// As fast as the answers come, each request once.
    Once,
}

/// One measurement.
#[derive(Clone)]
pub struct Plan {
    /// On 127.0.0.1.
    pub port: u16,
    /// Whole requests, taken in turn.
    pub requests: Arc<Vec<Vec<u8>>>,
    /// Over all threads.
    pub connections: usize,
    /// When.
    pub pace: Pace,
    /// Length.
    pub seconds: f64,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Order numbers that were promised, with the index of the request.
    pub accepted: Vec<(usize, String)>,
    /// Refusals because everything is sold.
    pub sold_out: u64,
    /// Anything else, and the first of it in words.
    pub other: u64,
    /// The first odd answer.
    pub odd: Option<String>,
    /// Microseconds from the due instant to the answer.
    pub latencies_us: Vec<u64>,
    /// From the first request to the last answer.
    pub took: Duration,
}

impl Outcome {
    /// Answers that were wanted, a second.
    pub fn rate(&self) -> f64 {
        (self.accepted.len() as u64 + self.sold_out) as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// A percentile in milliseconds.
    pub fn percentile_ms(&self, part: f64) -> f64 {
        let mut sorted = self.latencies_us.clone();
        sorted.sort_unstable();
        let place = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default() as f64 / 1_000.0
    }

    fn join(&mut self, other: Self) {
        self.accepted.extend(other.accepted);
        self.sold_out += other.sold_out;
        self.other += other.other;
        self.odd = self.odd.take().or(other.odd);
        self.latencies_us.extend(other.latencies_us);
        self.took = self.took.max(other.took);
    }
}

/// Runs the plan on its threads; the caller's runtime goes on meanwhile.
pub async fn run(plan: Plan) -> anyhow::Result<Outcome> {
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let plan = plan.clone();
            tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                LocalSet::new().block_on(&runtime, one_thread(plan, thread))
            })
        })
        .collect();
    let mut whole = Outcome::default();
    for thread in threads {
        whole.join(thread.await??);
    }
    Ok(whole)
}

struct Shared {
    plan: Plan,
    started: Instant,
    until: Instant,
    /// When the next request is due, since the start.
    next_due: f64,
    next_request: usize,
    outcome: Outcome,
}

impl Shared {
    /// The next request and when it is due; `None` at the end.
    fn draw(&mut self) -> Option<(usize, Instant)> {
        let due = match self.plan.pace {
            Pace::Closed => monotonic(),
            Pace::Once if self.next_request >= self.plan.requests.len() => return None,
            Pace::Once => monotonic(),
            Pace::Open(rate) => {
                let uniform = (random::below(1 << 53) as f64 + 1.0) / (1_u64 << 53) as f64;
                self.next_due -= uniform.ln() / (rate / THREADS as f64);
                self.started + Duration::from_secs_f64(self.next_due)
            }
        };
        if due >= self.until {
            return None;
        }
        let request = self.next_request % self.plan.requests.len();
        self.next_request += THREADS;
        Some((request, due))
    }
}

async fn one_thread(plan: Plan, thread: usize) -> anyhow::Result<Outcome> {
    let connections = plan.connections.div_ceil(THREADS);
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(("127.0.0.1", plan.port)).await.context("no connection")?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let started = monotonic();
    let until = started + Duration::from_secs_f64(plan.seconds);
    // a random start, so that repeated runs do not favour the same buyers
    let first =
        if matches!(plan.pace, Pace::Once) { 0 } else { random::below(plan.requests.len() as u64 / 2) as usize };
    let next_request = first * THREADS + thread;
    let outcome = Outcome::default();
    let shared = Rc::new(RefCell::new(Shared { plan, started, until, next_due: 0.0, next_request, outcome }));
    let talking: Vec<_> =
        streams.into_iter().map(|stream| tokio::task::spawn_local(talk(stream, Rc::clone(&shared)))).collect();
    for one in talking {
        one.await??;
    }
    let mut outcome = std::mem::take(&mut shared.borrow_mut().outcome);
    outcome.took = started.elapsed();
    Ok(outcome)
}

/// A free connection takes the next request that is due, so a request waits only if all are busy.
async fn talk(mut stream: TcpStream, shared: Rc<RefCell<Shared>>) -> anyhow::Result<()> {
    let requests = Arc::clone(&shared.borrow().plan.requests);
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    loop {
        let Some((request, due)) = shared.borrow_mut().draw() else { return Ok(()) };
        if due > monotonic() {
            tokio::time::sleep_until(due.into()).await;
        }
        stream.write_all(&requests[request]).await?;
        let length = tokio::time::timeout(ANSWER_TIMEOUT, read_answer(&mut stream, &mut answer))
            .await
            .context("no answer")??;
        note(&mut shared.borrow_mut().outcome, request, due, &answer[..length]);
    }
}

fn note(outcome: &mut Outcome, request: usize, due: Instant, answer: &[u8]) {
    outcome.latencies_us.push(due.elapsed().as_micros() as u64);
    let text = String::from_utf8_lossy(answer);
    let after = |name: &str| text.find(name).map(|at| &text[at + name.len()..]);
    let code = after("\"code\":").and_then(|rest| rest.split([',', '}']).next()?.trim().parse::<i32>().ok());
    let number = after("\"order_no\":\"").and_then(|rest| rest.get(..ORDER_NO_CHARS));
    match (code, number) {
        (Some(0), Some(number)) => outcome.accepted.push((request, number.to_owned())),
        (Some(CODE_SOLD_OUT), _) => outcome.sold_out += 1,
        _ => {
            outcome.other += 1;
            outcome.odd.get_or_insert_with(|| text.into_owned());
        }
    }
}

/// Reads one answer with a Content-Length; its whole length.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<usize> {
    let mut read = 0;
    loop {
        let more = stream.read(&mut buffer[read..]).await?;
        anyhow::ensure!(more > 0, "connection closed");
        read += more;
        if let Some(whole) = answer_length(&buffer[..read])
            && read >= whole
        {
            return Ok(whole);
        }
        anyhow::ensure!(read < buffer.len(), "answer too long");
    }
}

/// Length of headers and body, once the headers are there.
fn answer_length(bytes: &[u8]) -> Option<usize> {
    let headers_end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let headers = String::from_utf8_lossy(&bytes[..headers_end]).to_ascii_lowercase();
    let length = headers.split("content-length:").nth(1)?.split("\r\n").next()?.trim().parse::<usize>().ok()?;
    Some(headers_end + length)
}
