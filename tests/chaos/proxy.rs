//! The fault proxy does what it says: a chaos run proves nothing if its faults do not happen.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::fault_proxy::{Fault, FaultProxy, Hole};

const SOON: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_millis(200);

/// A server that sends everything back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    address
}

struct Talk(TcpStream);

impl Talk {
    async fn with(proxy: &FaultProxy) -> Self {
        Self(TcpStream::connect(proxy.address).await.unwrap())
    }

    async fn say(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await; // it may be reset: that is heard
    }

    /// What comes back, at most so much; `None` for silence, an empty vector for an end without a word.
    async fn hear(&mut self, most: usize, patience: Duration) -> Option<Vec<u8>> {
        let mut heard = vec![0; most];
        match tokio::time::timeout(patience, self.0.read_exact(&mut heard)).await {
            Err(_) => None,
            Ok(Ok(_)) => Some(heard),
            Ok(Err(_)) => Some(Vec::new()),
        }
    }

    async fn is_reset(&mut self) -> bool {
        let mut byte = [0; 1];
        matches!(tokio::time::timeout(SOON, self.0.read(&mut byte)).await, Ok(Err(_)))
    }
}

#[tokio::test]
async fn a_healthy_proxy_carries_both_ways_and_tells_the_end() {
    let proxy = FaultProxy::open(echo().await).await;
    let mut talk = Talk::with(&proxy).await;
    let long: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let sent = long.clone();
    let (mut from, mut to) = talk.0.split();
    let mut heard = Vec::new();
    let said = async {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    tokio::time::timeout(SOON, async { tokio::join!(said, from.read_to_end(&mut heard)) }).await.unwrap().1.unwrap();
    assert_eq!(heard, long);
    while proxy.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_reset_ends_the_open_connections_and_not_the_next() {
    let proxy = FaultProxy::open(echo().await).await;
    let mut talk = Talk::with(&proxy).await;
    talk.say(b"hello").await;
    assert_eq!(talk.hear(5, SOON).await.unwrap(), b"hello");
    proxy.reset_all();
    assert!(talk.is_reset().await);
    let mut next = Talk::with(&proxy).await;
    next.say(b"again").await;
    assert_eq!(next.hear(5, SOON).await.unwrap(), b"again");
}

#[tokio::test]
async fn a_black_hole_swallows_and_its_victims_are_reset_when_it_heals() {
    for hole in [Hole::Up, Hole::Down, Hole::Both] {
        let proxy = FaultProxy::open(echo().await).await;
        let (mut talk, mut quiet) = (Talk::with(&proxy).await, Talk::with(&proxy).await);
        quiet.say(b"before").await;
        assert_eq!(quiet.hear(6, SOON).await.unwrap(), b"before");
        proxy.break_by(Fault::BlackHole(hole));
        talk.say(b"hello").await;
        let mut late = Talk::with(&proxy).await; // new ones are accepted and hear nothing
        late.say(b"hello").await;
        assert_eq!(talk.hear(5, SILENCE).await, None, "{hole:?}");
        assert_eq!(late.hear(5, SILENCE).await, None, "{hole:?}");
        proxy.heal();
        assert!(talk.is_reset().await, "{hole:?}");
        quiet.say(b"after!").await;
        assert_eq!(quiet.hear(6, SOON).await.unwrap(), b"after!", "who lost nothing goes on ({hole:?})");
    }
}

#[tokio::test]
async fn a_delay_is_added_to_each_direction_and_not_to_each_byte() {
    let proxy = FaultProxy::open(echo().await).await;
    let mut talk = Talk::with(&proxy).await;
    proxy.break_by(Fault::Delay(Duration::from_millis(100)));
    let begun = Instant::now();
    for _ in 0..20 {
        talk.say(&[7; 1_000]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(talk.hear(20_000, SOON).await.unwrap().len(), 20_000);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert!(took < Duration::from_millis(3_500), "chunks wait beside one another: {took:?}");
}

#[tokio::test]
async fn who_is_refused_is_reset_and_who_is_inside_goes_on() {
    let proxy = FaultProxy::open(echo().await).await;
    let mut inside = Talk::with(&proxy).await;
    inside.say(b"a").await;
    assert_eq!(inside.hear(1, SOON).await.unwrap(), b"a");
    proxy.break_by(Fault::RefuseNew);
    let mut outside = Talk::with(&proxy).await;
    assert!(outside.is_reset().await);
    inside.say(b"b").await;
    assert_eq!(inside.hear(1, SOON).await.unwrap(), b"b");
    proxy.heal();
    let mut next = Talk::with(&proxy).await;
    next.say(b"c").await;
    assert_eq!(next.hear(1, SOON).await.unwrap(), b"c");
}

#[tokio::test]
async fn a_cut_comes_in_the_middle_of_a_message() {
    let proxy = FaultProxy::open(echo().await).await;
    let mut talk = Talk::with(&proxy).await;
    proxy.break_by(Fault::CutAfter(150));
    talk.say(&[1; 100]).await;
    assert_eq!(talk.hear(50, SOON).await.unwrap().len(), 50, "100 up and 50 down are the budget");
    assert!(talk.is_reset().await);
    let mut next = Talk::with(&proxy).await;
    next.say(&[1; 60]).await;
    assert_eq!(next.hear(60, SOON).await.unwrap().len(), 60, "each connection has its own budget");
    proxy.heal();
    next.say(&[1; 500]).await;
    assert_eq!(next.hear(500, SOON).await.unwrap().len(), 500);
}

#[tokio::test]
async fn a_target_that_is_away_resets_and_a_new_one_is_found() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let proxy = FaultProxy::open(nowhere).await;
    assert!(Talk::with(&proxy).await.is_reset().await);
    proxy.lead_to(echo().await);
    let mut talk = Talk::with(&proxy).await;
    talk.say(b"here").await;
    assert_eq!(talk.hear(4, SOON).await.unwrap(), b"here");
}
