//! A TCP proxy that misbehaves on command: between a node and the server it needs, or between people and a node.
//!
//! What a network can do to a connection, without privileges: resets, silence in one or both directions, delay, refusal,
//! an end in the middle of a message. Everything is bounded: connections, bytes that wait, the time to reach the
//! target. Healing a black hole resets the connections that lost bytes in it, because their streams have a gap that no
//! real network would show.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Connections at the same time; one more is reset.
const CONNECTIONS_MAX: usize = 2_048;
/// Longest wait for the target to take a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks of one direction that wait for their time.
const CHUNKS_WAITING_MAX: usize = 64;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the target.
    Up,
    /// From the target to the client.
    Down,
}

/// Where bytes disappear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    Up,
    Down,
    Both,
}

impl Hole {
    fn swallows(self, direction: Direction) -> bool {
        matches!((self, direction), (Self::Both, _) | (Self::Up, Direction::Up) | (Self::Down, Direction::Down))
    }
}

/// How the proxy misbehaves until it is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes are accepted and go nowhere; connections are accepted and nobody answers.
    BlackHole(Hole),
    /// Every byte comes so much later.
    Delay(Duration),
    /// New connections are reset; those that are open go on.
    RefuseNew,
    /// Each connection is reset once it has carried so many more bytes, in both directions together.
    CutAfter(u64),
}

/// What connections look at; `era` changes with every fault, so that budgets start anew.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    fault: Option<Fault>,
    era: u64,
    /// Connections that were opened before this many resets are to end.
    resets: u64,
}

/// Counts since the proxy was opened.
#[derive(Debug, Default)]
pub struct Traffic {
    pub connections: AtomicU64,
    pub resets: AtomicU64,
    pub bytes_forwarded: AtomicU64,
    pub bytes_swallowed: AtomicU64,
    open: AtomicUsize,
}

/// A proxy; dropping it ends it with all its connections.
#[derive(Debug)]
pub struct FaultProxy {
    /// Where clients connect.
    pub address: SocketAddr,
    pub traffic: Arc<Traffic>,
    target: Arc<Mutex<SocketAddr>>,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free port of the loopback and forwards to `target`.
    pub async fn open(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (weather, _) = watch::channel(Weather::default());
        let (target, traffic) = (Arc::new(Mutex::new(target)), Arc::new(Traffic::default()));
        let door = Door { target: Arc::clone(&target), traffic: Arc::clone(&traffic), weather: weather.subscribe() };
        let accepting = tokio::spawn(door.accept(listener));
        Self { address, traffic, target, weather, accepting }
    }

    /// New connections go there.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.target.lock().unwrap() = target;
    }

    /// Misbehaves from now on.
    pub fn break_by(&self, fault: Fault) {
        self.weather.send_modify(|weather| {
            weather.fault = Some(fault);
            weather.era += 1;
        });
    }

    /// Behaves again.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| {
            weather.fault = None;
            weather.era += 1;
        });
    }

    /// Resets every open connection, once.
    pub fn reset_all(&self) {
        self.weather.send_modify(|weather| weather.resets += 1);
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.traffic.open.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort(); // connections see the sender of the weather go
    }
}

struct Door {
    target: Arc<Mutex<SocketAddr>>,
    traffic: Arc<Traffic>,
    weather: watch::Receiver<Weather>,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        loop {
            let Ok((client, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await; // out of descriptors: it passes
                continue;
            };
            let traffic = Arc::clone(&self.traffic);
            traffic.connections.fetch_add(1, Ordering::Relaxed);
            let is_refused = self.weather.borrow().fault == Some(Fault::RefuseNew);
            if is_refused || traffic.open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
                if !is_refused {
                    traffic.open.fetch_sub(1, Ordering::Relaxed);
                }
                reset(client, &traffic);
                continue;
            }
            let (target, weather) = (*self.target.lock().unwrap(), self.weather.clone());
            tokio::spawn(async move {
                carry(client, target, weather, &traffic).await;
                traffic.open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

fn reset(stream: TcpStream, traffic: &Traffic) {
    traffic.resets.fetch_add(1, Ordering::Relaxed);
    let _ = stream.set_zero_linger(); // closing it then sends RST
}

/// Carries one connection to its end.
async fn carry(mut client: TcpStream, target: SocketAddr, weather: watch::Receiver<Weather>, traffic: &Traffic) {
    let _ = client.set_nodelay(true);
    let Ok(Ok(mut server)) = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(target)).await else {
        return reset(client, traffic);
    };
    let _ = server.set_nodelay(true);
    let ended = {
        let budget = Budget::default();
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let lane = |direction| Lane { direction, weather: weather.clone(), budget: &budget, traffic };
        let both = async {
            tokio::try_join!(
                lane(Direction::Up).pump(from_client, to_server),
                lane(Direction::Down).pump(from_server, to_client),
            )
        };
        tokio::select! {
            ended = both => ended.map(|_| ()),
            () = until_reset(weather.clone()) => Err(Broken),
        }
    };
    if ended.is_err() {
        reset(client, traffic);
        reset(server, traffic);
    }
}

/// The connection is to be reset.
struct Broken;

/// Ends when all connections are reset, or the proxy is gone.
async fn until_reset(mut weather: watch::Receiver<Weather>) {
    let resets = weather.borrow_and_update().resets;
    while weather.changed().await.is_ok() {
        if weather.borrow().resets != resets {
            return;
        }
    }
}

/// Bytes that a connection has carried under one fault.
#[derive(Debug, Default)]
struct Budget {
    era: AtomicU64,
    used: AtomicU64,
}

impl Budget {
    /// How many of `wanted` bytes may still go.
    fn take(&self, era: u64, wanted: u64, most: u64) -> u64 {
        if self.era.swap(era, Ordering::Relaxed) != era {
            self.used.store(0, Ordering::Relaxed);
        }
        let used = self.used.fetch_add(wanted, Ordering::Relaxed);
        wanted.min(most.saturating_sub(used))
    }
}

/// One direction of one connection.
struct Lane<'a> {
    direction: Direction,
    weather: watch::Receiver<Weather>,
    budget: &'a Budget,
    traffic: &'a Traffic,
}

/// Bytes and when they are due; empty: the sender has ended its half.
type Chunk = (Instant, Vec<u8>);

impl Lane<'_> {
    async fn pump(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> Result<(), Broken> {
        let (sender, waiting) = mpsc::channel::<Chunk>(CHUNKS_WAITING_MAX);
        let traffic = self.traffic;
        tokio::try_join!(self.read(from, sender), write(to, waiting, traffic))?;
        Ok(())
    }

    async fn read(mut self, mut from: ReadHalf<'_>, sender: mpsc::Sender<Chunk>) -> Result<(), Broken> {
        let mut swallowed = false;
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let read = tokio::select! {
                read = from.read(&mut buffer) => read.map_err(|_| Broken)?,
                changed = self.weather.changed() => {
                    let is_hole = matches!(self.weather.borrow().fault, Some(Fault::BlackHole(_)));
                    if changed.is_err() || (swallowed && !is_hole) {
                        return Err(Broken);
                    }
                    continue;
                }
            };
            let weather = *self.weather.borrow();
            let mut due = Instant::now();
            let mut keep = read;
            match weather.fault {
                Some(Fault::BlackHole(hole)) if hole.swallows(self.direction) => {
                    if read == 0 {
                        return self.until_healed().await; // not even the end is told
                    }
                    swallowed = true;
                    self.traffic.bytes_swallowed.fetch_add(read as u64, Ordering::Relaxed);
                    continue;
                }
                Some(Fault::Delay(delay)) => due += delay,
                Some(Fault::CutAfter(most)) => {
                    keep = usize::try_from(self.budget.take(weather.era, read as u64, most)).unwrap_or(read);
                }
                _ => {}
            }
            // an empty chunk tells the end of the stream
            if (keep > 0 || read == 0) && sender.send((due, buffer[..keep].to_vec())).await.is_err() {
                return Err(Broken);
            }
            if keep < read {
                tokio::time::sleep(Duration::from_millis(5)).await; // let the last bytes out first
                return Err(Broken);
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// The stream has a gap: it ends when the hole does.
    async fn until_healed(mut self) -> Result<(), Broken> {
        while matches!(self.weather.borrow_and_update().fault, Some(Fault::BlackHole(_))) {
            self.weather.changed().await.map_err(|_| Broken)?;
        }
        Err(Broken)
    }
}

async fn write(mut to: WriteHalf<'_>, mut waiting: mpsc::Receiver<Chunk>, traffic: &Traffic) -> Result<(), Broken> {
    while let Some((due, bytes)) = waiting.recv().await {
        tokio::time::sleep_until(due).await;
        if bytes.is_empty() {
            return to.shutdown().await.map_err(|_| Broken);
        }
        to.write_all(&bytes).await.map_err(|_| Broken)?;
        traffic.bytes_forwarded.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}
