//! What idleness costs: resident bytes of the shop for one more buyer's actor and for one more open WebSocket; and how
//! long after a SIGKILL the first order is accepted.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context};
use anyhow::ensure;
use rushmall::clock::monotonic;

use super::load::{self, Pace, Plan};
use super::probes::resident_bytes;
use super::push::Listeners;
use super::rig::Rig;
use super::stage::Stage;

/// The first ones (a fifth of the buyers) fill buffers and caches, which do not grow with what follows.
const WARM_PART: usize = 5;
const WARM_SOCKETS: usize = 100;
const SOCKETS: usize = 1_000;
const BARE_ACTORS: u64 = 50_000;
const VISIT_SECONDS_MAX: f64 = 120.0;
const ACCEPTED_WITHIN: Duration = Duration::from_secs(60);

/// Bytes of one, upper bounds: what the allocator keeps is counted as well.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// A buyer's actor and all that goes with it.
    pub actor: f64,
    /// An actix actor with a number in it.
    pub bare_actor: f64,
    /// An open and subscribed WebSocket of a buyer whose actor lives.
    pub socket: f64,
}

struct Bare(u64);

impl Actor for Bare {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        black_box(self.0);
    }
}

/// Measures; must be the first to use the buyers.
pub async fn measure(rig: &Rig, stage: &Stage) -> anyhow::Result<Idle> {
    let pid = std::process::id();
    let before = resident_bytes(pid)?;
    let bare: Vec<Addr<Bare>> = (0..BARE_ACTORS).map(|number| Bare(number).start()).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let bare_actor = resident_bytes(pid)?.saturating_sub(before) as f64 / BARE_ACTORS as f64;
    drop(bare);
    let (warm, rest) = stage.tokens.split_at(stage.tokens.len() / WARM_PART);
    visit(rig, warm).await?;
    let before = resident_bytes(rig.shop_pid())?;
    visit(rig, rest).await?;
    let actor = resident_bytes(rig.shop_pid())?.saturating_sub(before) as f64 / rest.len() as f64;
    let _warm = Listeners::open(rig.port, &warm[..WARM_SOCKETS]).await?;
    let before = resident_bytes(rig.shop_pid())?;
    let _sockets = Listeners::open(rig.port, &rest[..SOCKETS]).await?;
    let socket = resident_bytes(rig.shop_pid())?.saturating_sub(before) as f64 / SOCKETS as f64;
    Ok(Idle { actor, bare_actor, socket })
}

/// Each looks at his profile, which starts his actor.
async fn visit(rig: &Rig, tokens: &[String]) -> anyhow::Result<()> {
    let look = |token: &String| {
        format!("GET /api/user/profile HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n")
            .into_bytes()
    };
    let requests = Arc::new(tokens.iter().map(look).collect::<Vec<_>>());
    let plan = Plan { port: rig.port, requests, connections: 16, pace: Pace::Once, seconds: VISIT_SECONDS_MAX };
    let outcome = load::run(plan).await?;
    let odd = outcome.odd.unwrap_or_default();
    ensure!(odd.starts_with("HTTP/1.1 200"), "profile: {odd}");
    ensure!(outcome.latencies_us.len() == tokens.len(), "not every buyer was seen in {VISIT_SECONDS_MAX} s");
    Ok(())
}

/// Seconds from the start of a new process after SIGKILL to the first accepted order.
pub async fn recovery(rig: &mut Rig, stage: &Stage) -> anyhow::Result<f64> {
    let sale = stage.open_sale().await?;
    let client = reqwest::Client::new();
    rig.kill_and_restart()?;
    let started = monotonic();
    loop {
        let click = client
            .post(format!("{}/api/seckill", rig.base()))
            .bearer_auth(&stage.tokens[0])
            .json(&serde_json::json!({ "product_id": sale.product, "quantity": 1 }));
        if let Ok(answer) = click.send().await
            && answer.json::<serde_json::Value>().await.is_ok_and(|answer| answer["code"] == 0)
        {
            return Ok(started.elapsed().as_secs_f64());
        }
        ensure!(started.elapsed() < ACCEPTED_WITHIN, "nothing accepted after the restart");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
