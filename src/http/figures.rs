//! `GET /metrics`: what was counted as it happened, and what is looked up when somebody asks: servers, pools, lags, and
//! the busiest actors and products.
//!
//! The page is open to whoever reaches the port, so a look-up serves everybody for a moment, and none waits for a server
//! that is silent. What is shown one by one (actors, products) is written here and not recorded: a recorder would keep
//! every key that was ever among the busiest.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Mutex;

use super::dependencies::probe_all;
use super::state::AppState;
use crate::actors::kit::AnyDirectory;
use crate::clock;
use crate::domain::ProductId;
use crate::payment::gateway::Wire;
use crate::persistence::backlog;
use crate::telemetry::catalogue::{self, HOT_MAX};

/// A page answers everybody for so long.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// Longest wait for what is looked up in stores.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// Pools of one product that are shown.
const POOLS_MAX: usize = 8;

/// The latest page.
#[derive(Debug, Default)]
pub struct Page(Mutex<Option<(Instant, String)>>);

/// The figures in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, content_type = "text/plain")))]
pub async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    let hot = looked_up(&state).await;
    let text = state.metrics.as_ref().map(PrometheusHandle::render).unwrap_or_default() + &hot;
    let mut response = HttpResponse::build(StatusCode::OK).body(text);
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

/// Looks while administrators watch: each pulse asks for what the next one is to tell. Never ends, so spawn it and drop it
/// at shutdown.
pub async fn look_when_asked(state: web::Data<AppState>) {
    let figures = &state.shop.controls.figures;
    loop {
        figures.asked().await;
        figures.take(&looked_up(&state).await);
    }
}

/// What was looked up just now and is not recorded: the first to ask looks; who comes meanwhile waits for that and gets
/// the same.
async fn looked_up(state: &AppState) -> String {
    let mut page = state.figures.0.lock().await;
    if let Some((at, hot)) = &*page
        && at.elapsed() < FRESH_FOR
    {
        return hot.clone();
    }
    let hot = look(state).await;
    *page = Some((clock::monotonic(), hot.clone()));
    hot
}

/// Sets what is looked up, and answers what is written here.
async fn look(state: &AppState) -> String {
    look_at_process(state);
    look_at_gateways(state);
    let (dependencies, (), products) = futures::join!(probe_all(state), look_at_stores(state), hot_products(state));
    for dependency in dependencies {
        let up = if dependency.is_up() { 1.0 } else { 0.0 };
        metrics::gauge!("rushmall_dependency_up", "dependency" => dependency.name).set(up);
        let seconds = Duration::from_micros(dependency.latency_us).as_secs_f64();
        metrics::gauge!("rushmall_dependency_seconds", "dependency" => dependency.name).set(seconds);
    }
    for (pool, open, idle) in state.db.connections() {
        let used = open.saturating_sub(idle);
        metrics::gauge!("rushmall_database_connections", "pool" => pool, "state" => "used").set(used);
        metrics::gauge!("rushmall_database_connections", "pool" => pool, "state" => "idle").set(idle);
    }
    hot_actors(state) + &products
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn look_at_stores(state: &AppState) {
    let looking = async {
        let read = async {
            let lags = backlog::read(&state.db, state.clock.now_ms()).await?;
            Ok::<_, crate::persistence::StoreError>((lags, backlog::open_orders(&state.db).await?))
        };
        let (read, depth) = futures::join!(read, state.shop.queue.depth());
        if let Ok(depth) = depth {
            metrics::gauge!("rushmall_order_queue_depth").set(depth as f64);
        }
        let Ok((lags, open)) = read else { return };
        let of = [("outbox", lags.outbox_ms), ("effects", lags.effects_ms), ("deadlines", lags.deadlines_ms)];
        for (of, ms) in of {
            metrics::gauge!("rushmall_lag_seconds", "of" => of).set(ms as f64 / 1_000.0);
        }
        metrics::gauge!("rushmall_outbox_rows").set(lags.outbox_rows as f64);
        metrics::gauge!("rushmall_orders_in_review").set(lags.reviews as f64);
        for (status, count) in backlog::OPEN.into_iter().zip(open) {
            metrics::gauge!("rushmall_orders", "status" => status.name()).set(count as f64);
        }
    };
    if tokio::time::timeout(LOOK_WITHIN, looking).await.is_err() {
        tracing::debug!("stores did not answer in time for the figures");
    }
}

/// As the guards that are in their places now have it: one that was replaced since says nothing any more.
fn look_at_gateways(state: &AppState) {
    let gateways = state.shop.desk.gateways();
    let tripped: Vec<Wire> = gateways.tripped().collect();
    for wire in gateways.wires() {
        let is_open = if tripped.contains(&wire) { 1.0 } else { 0.0 };
        metrics::gauge!("rushmall_gateway_open", "gateway" => wire.name()).set(is_open);
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn look_at_process(state: &AppState) {
    /// Of every Linux that the shop runs on.
    const PAGE_BYTES: f64 = 4_096.0;
    metrics::gauge!("rushmall_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let age = state.started.elapsed().as_secs_f64();
    metrics::gauge!("process_start_time_seconds").set(state.clock.now_ms() as f64 / 1_000.0 - age);
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    if let Some(pages) = pages.and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok()) {
        metrics::gauge!("process_resident_memory_bytes").set(pages * PAGE_BYTES);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(files.count() as f64);
    }
}

fn hot_actors(state: &AppState) -> String {
    let busiest = |kind: &dyn AnyDirectory| {
        let kind_name = kind.kind();
        kind.busiest(HOT_MAX).into_iter().map(move |hot| (kind_name, hot)).collect::<Vec<_>>()
    };
    let hot: Vec<_> = state.shop.controls.kinds.all().flat_map(busiest).collect();
    let answered = hot.iter().map(|(kind, hot)| ([("kind", *kind), ("key", &*hot.key)], hot.handled));
    let held = hot.iter().map(|(kind, hot)| ([("kind", *kind), ("key", &*hot.key)], u64::from(hot.held)));
    written("rushmall_hot_actor_messages", answered) + &written("rushmall_hot_actor_messages_held", held)
}

/// The units of the products whose actors are the busiest, as the gate has them now.
async fn hot_products(state: &AppState) -> String {
    let hot = state.shop.controls.kinds.get("inventory").map(|kind| kind.busiest(HOT_MAX)).unwrap_or_default();
    let products = hot.iter().filter_map(|hot| hot.key.parse::<ProductId>().ok());
    let reading = products.map(|product| async move { (product, state.shop.ledger.glance(product).await) });
    let Ok(read) = tokio::time::timeout(LOOK_WITHIN, futures::future::join_all(reading)).await else {
        return String::new();
    };
    let mut rows: Vec<(String, String, u64)> = Vec::new();
    for (product, snapshot) in read {
        for pool in snapshot.iter().flat_map(|snapshot| snapshot.pools.iter().take(POOLS_MAX)) {
            rows.push((product.to_string(), pool.pool.to_string(), u64::try_from(pool.free).unwrap_or(0)));
        }
    }
    let units = rows.iter().map(|(product, pool, free)| ([("product", &**product), ("pool", &**pool)], *free));
    written("rushmall_hot_product_units", units)
}

/// Series of one figure as the page has them; nothing if there are none. Keys are numbers: nothing is to be escaped.
fn written<'a>(name: &str, series: impl Iterator<Item = ([(&'a str, &'a str); 2], u64)>) -> String {
    let mut lines = String::new();
    for ([(first, one), (second, two)], value) in series {
        let _ = writeln!(lines, "{name}{{{first}=\"{one}\",{second}=\"{two}\"}} {value}");
    }
    if lines.is_empty() {
        return lines;
    }
    let help = catalogue::find(name).map_or("", |figure| figure.help);
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n{lines}\n")
}
