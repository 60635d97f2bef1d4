//! SIGTERM under load: what was accepted is finished, sockets are closed with a word, no request that was sent is lost,
//! and the process goes by itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::books::Unfinished;
use crate::support::client::Person;
use crate::support::load::{Crowd, Dice};
use crate::support::process::ShopProcess;
use crate::support::socket::Listener;

/// The server's own limit for running requests, and then for what they left.
const SHUTDOWN_MS: &str = "15000";
/// The grace before both, both, and some room.
const GONE_WITHIN: Duration = Duration::from_secs(40);
const GOING_AWAY: u16 = 1001;

#[tokio::test(flavor = "multi_thread")]
async fn t30_r62_sigterm_drains() {
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__HTTP__SHUTDOWN_TIMEOUT_MS", SHUTDOWN_MS);
    shop.set("RUSHMALL__ORDERS__PREPARED_EXPIRES_MS", "1000"); // nobody repeats a checkout
    shop.start().await;
    let admin = shop.admin().await;
    let mut products = Vec::new();
    for place in 0..3 {
        products.push(admin.make_sale(&format!("drained {place}"), 60).await.0);
    }
    let mut buyers = admin.make_buyers(200, "drain-").await;
    let mut listener = Listener::open(&buyers.pop().expect("a buyer")).await;
    let crowd = Crowd::of(buyers, &products);
    let stop = Arc::new(AtomicBool::new(false));
    let hands = crowd.rush(24, Dice::seed(), &stop);
    crowd.has_bought(21).await;
    tokio::time::sleep(Duration::from_millis(400)).await;

    let since = Instant::now();
    shop.signal(Signal::SIGTERM);
    let status = shop.wait_for_end(GONE_WITHIN).await.expect("it goes within its time limit");
    let took = since.elapsed();
    stop.store(true, Ordering::Relaxed);
    for hand in hands {
        hand.await.expect("nobody was told nonsense");
    }
    assert_eq!(status.code(), Some(0), "a graceful end");
    listener.listen(Duration::from_secs(10)).await; // to the end of the connection
    let closed = listener.closed_with.as_ref().map(|frame| u16::from(frame.code));
    assert_eq!(closed, Some(GOING_AWAY), "the socket was closed with a word");
    assert!(crowd.tally.accepted.load(Ordering::Relaxed) > 20, "there was load: {:?}", crowd.tally);

    let books = shop.books().await;
    let left = books.unfinished().await;
    // effects (units going back) and leaves are owed durably and done by the next process
    assert_eq!(Unfinished { effects: 0, unlogged: 0, ..left }, Unfinished::default(), "nothing is unsettled");
    crowd.assert_promises_kept(&books).await;
    books.close().await;
    shop.start().await;
    shop.assert_clean().await;
    eprintln!("SIGTERM to the end: {took:.0?}; {:?}", crowd.tally);
}

/// A connection that is kept: one request after the other, as a browser or a balancer sends them.
struct Kept {
    stream: BufReader<TcpStream>,
}

/// How a kept connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// An answer said that it was the last.
    Told,
    /// It was closed while nothing was asked.
    ClosedIdle,
    /// A request was sent, and no answer came.
    Lost,
}

impl Kept {
    async fn open(place: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(place).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// True if the other side has closed it, as far as can be known before something is sent.
    fn is_closed(&self) -> bool {
        !matches!(self.stream.get_ref().try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The status of the answer, and whether it is the last on this connection.
    async fn ask(&mut self, request: &str) -> io::Result<(u16, bool)> {
        self.stream.write_all(request.as_bytes()).await?;
        let (mut status, mut length, mut is_last, mut line) = (0, 0, false, String::new());
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let head = line.trim_end().to_ascii_lowercase();
            match head.split_once(": ") {
                _ if head.is_empty() => break,
                Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
                Some(("connection", value)) => is_last = value == "close",
                None => status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0),
                _ => {}
            }
        }
        self.stream.read_exact(&mut vec![0; length]).await?;
        Ok((status, is_last))
    }
}

/// Sends on one connection until it ends; how it ended, and how many requests were answered.
async fn send_until_the_end(place: String, request: String, pause: Duration) -> (Ending, usize) {
    let mut kept = Kept::open(&place).await.expect("the shop is open");
    let mut answered = 0;
    loop {
        if kept.is_closed() {
            return (Ending::ClosedIdle, answered);
        }
        match kept.ask(&request).await {
            Err(_) => return (Ending::Lost, answered),
            Ok((status, is_last)) => {
                assert_ne!(status, 0, "an answer can be read");
                answered += 1;
                if is_last {
                    return (Ending::Told, answered);
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

fn purchase(who: &Person, place: &str, product_id: i64) -> String {
    let body = format!("{{\"product_id\":{product_id},\"quantity\":1}}");
    let (token, length) = (&who.token, body.len());
    format!(
        "POST /api/seckill HTTP/1.1\r\nhost: {place}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_loses_no_request_of_a_kept_connection() {
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__HTTP__SHUTDOWN_TIMEOUT_MS", SHUTDOWN_MS);
    shop.set("RUSHMALL__HTTP__DRAIN_GRACE_MS", "6000");
    shop.start().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("kept", 500).await;
    let buyers = admin.make_buyers(48, "kept-").await;
    let place = shop.address.base().trim_start_matches("http://").to_owned();
    // from one request right after the other to one in a second
    let pauses = [0, 1, 3, 20, 100, 400, 700, 1_000].map(Duration::from_millis);
    let sending: Vec<_> = buyers
        .iter()
        .zip(pauses.iter().cycle())
        .map(|(buyer, pause)| {
            tokio::spawn(send_until_the_end(place.clone(), purchase(buyer, &place, product.id), *pause))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(700)).await;

    shop.signal(Signal::SIGTERM);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let refusal = shop.visitor().sees_ready(503).await;
    assert_eq!(refusal["reason"], "stopping", "balancers are told while requests are taken still");
    shop.visitor().get("/api/product").await.with_status(200).accepted();

    let status = shop.wait_for_end(GONE_WITHIN).await.expect("it goes within its time limit");
    assert_eq!(status.code(), Some(0), "a graceful end");
    for (sender, pause) in sending.into_iter().zip(pauses.iter().cycle()) {
        let (ending, answered) = sender.await.expect("it ends");
        assert_eq!(ending, Ending::Told, "after {answered} answers with pauses of {pause:?}");
    }
    shop.start().await;
    shop.assert_clean().await;
}
