//! SIGTERM under load: what was accepted is finished, sockets are closed with a word, and the process goes by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::books::Unfinished;
use crate::support::load::{Crowd, Dice};
use crate::support::process::ShopProcess;
use crate::support::socket::Listener;

/// The server's own limit for running requests, set below, and some room.
const SHUTDOWN_MS: &str = "5000";
const GONE_WITHIN: Duration = Duration::from_secs(8);
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
    listener.listen(Duration::from_millis(200)).await;
    let closed = listener.closed_with.as_ref().map(|frame| u16::from(frame.code));
    assert_eq!(closed, Some(GOING_AWAY), "the socket was closed with a word");
    assert!(crowd.tally.accepted.load(Ordering::Relaxed) > 20, "there was load: {:?}", crowd.tally);

    let books = shop.books().await;
    let left = books.unfinished().await;
    // effects (units going back) are owed durably and done by the next process
    assert_eq!(Unfinished { effects: 0, ..left }, Unfinished::default(), "nothing is unsettled");
    crowd.assert_promises_kept(&books).await;
    books.close().await;
    shop.start().await;
    shop.assert_clean().await;
    eprintln!("SIGTERM to the end: {took:.0?}; {:?}", crowd.tally);
}
