//! Every figure of `GET /metrics`: its name, labels and meaning, and how many series it can have at most.
//!
//! Here is what a reader of a dashboard may rely on. A test compares it with the code, with the page of a shop that has
//! lived, with the dashboards and alerts in `deploy/` and with the table in docs/OPERATIONS.md.

/// What a figure does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size: `_bucket`, `_sum`, `_count`.
    Histogram,
}

impl Kind {
    /// As in Prometheus' text format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// Names of its labels, in the order of the alphabet.
    pub labels: &'static [&'static str],
    /// Combinations of label values at most, whatever callers send.
    pub series_max: usize,
    /// What it says.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], series_max: usize, help: &'static str) -> Figure {
    Figure { name, kind: Kind::Counter, labels, series_max, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], series_max: usize, help: &'static str) -> Figure {
    Figure { name, kind: Kind::Gauge, labels, series_max, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    series_max: usize,
    help: &'static str,
) -> Figure {
    Figure { name, kind: Kind::Histogram, labels, series_max, help }
}

/// Actors of a kind that are shown one by one, and products whose units are shown.
pub const HOT_MAX: usize = 10;
/// Kinds of actors.
const KINDS: usize = 4;

/// All of them.
pub const FIGURES: &[Figure] = &[
    // HTTP
    histogram(
        "rushmall_http_request_seconds",
        &["method", "route", "status"],
        2_000,
        "Time to the answer, by route template and class of status",
    ),
    gauge("rushmall_websockets", &[], 1, "Open WebSockets of this node"),
    gauge("rushmall_visitor_websockets", &[], 1, "Open WebSockets of visitors of this node"),
    gauge("rushmall_admin_websockets", &[], 1, "Open WebSockets of administrators of this node"),
    counter("rushmall_held_up_total", &["class"], 16, "Requests beyond a rate limit"),
    counter("rushmall_shed_total", &["at"], 2, "Purchases that waited too long and were refused before any work"),
    // business
    counter("rushmall_waiting_room_total", &["outcome"], 8, "Buyers at waiting rooms, by what they were told"),
    counter("rushmall_seckill_total", &["outcome"], 16, "Flash-sale clicks, by what they were told"),
    counter(
        "rushmall_order_events_total",
        &["event", "status"],
        60,
        "Steps of orders, with the state that each led to",
    ),
    gauge("rushmall_orders", &["status"], 3, "Orders in the states that somebody waits in"),
    gauge("rushmall_orders_in_review", &[], 1, "Orders that wait for a human"),
    counter("rushmall_payments_total", &["channel", "outcome"], 32, "Payment attempts, by what became of them"),
    counter("rushmall_paid_fen_total", &["channel"], 4, "Money that came, in fen"),
    counter("rushmall_refunds_total", &["outcome"], 8, "Refunds, by what became of them"),
    counter("rushmall_refund_requested_fen_total", &[], 1, "Money that is to go back, in fen"),
    counter("rushmall_refunds_refused_total", &[], 1, "Refunds that a gateway refused"),
    gauge("rushmall_hot_product_units", &["pool", "product"], 80, "Units left at the gate of the busiest products"),
    counter("rushmall_low_stock_alerts_total", &[], 1, "Pools that a commit of any node brought to the low-stock mark"),
    counter("rushmall_settings_reloads_total", &["outcome"], 3, "Settings read anew while the shop was open"),
    // gateways
    histogram("rushmall_gateway_seconds", &["gateway", "outcome"], 24, "Calls of payment gateways"),
    gauge(
        "rushmall_gateway_open",
        &["gateway"],
        4,
        "1 from when a gateway's circuit breaker trips until a call succeeds",
    ),
    counter("rushmall_notifications_total", &["wire"], 4, "Notifications of gateways that were taken"),
    counter("rushmall_notifications_refused_total", &["why", "wire"], 32, "Notifications that were not believed"),
    counter("rushmall_notifications_stuck_total", &[], 1, "Notifications that could not be worked off"),
    gauge("rushmall_reconciliation_open_differences", &["state"], 8, "Differences between bills and books"),
    gauge(
        "rushmall_reconciliation_last_run_seconds",
        &["channel"],
        4,
        "When the last bill was compared, Unix time; 0: never",
    ),
    counter("rushmall_reconciliation_differences_total", &["kind"], 16, "Differences found between bills and books"),
    counter("rushmall_reconciliation_failures_total", &["channel"], 4, "Bills that could not be compared"),
    // actors
    gauge("rushmall_actor_live", &["kind"], KINDS, "Actors in memory"),
    gauge("rushmall_actor_quarantined", &["kind"], KINDS, "Actors that died too often and wait for a human"),
    gauge("rushmall_actors", &["kind", "state"], 7 * KINDS, "Actors in memory by state"),
    gauge("rushmall_actor_messages_held", &["kind"], KINDS, "Messages that wait or are worked on"),
    histogram("rushmall_actor_message_seconds", &["kind"], KINDS, "From the start of a message to its answer"),
    histogram("rushmall_actor_wait_seconds", &["kind"], KINDS, "How long messages waited before they were started"),
    counter("rushmall_actor_restarts_total", &["kind"], KINDS, "Actors that died and were started again"),
    counter("rushmall_actor_busy_total", &["kind"], KINDS, "Actors that were on one message for too long"),
    counter("rushmall_actor_dead_letters_total", &["kind", "reason"], 8 * KINDS, "Messages that were given up"),
    gauge("rushmall_hot_actor_messages", &["key", "kind"], HOT_MAX * KINDS, "Messages the busiest actors answered"),
    gauge("rushmall_hot_actor_messages_held", &["key", "kind"], HOT_MAX * KINDS, "Messages the busiest actors hold"),
    counter("rushmall_background_restarts_total", &["loop"], 32, "Loops that ended and were started again"),
    counter("rushmall_alerts_told_total", &["kind", "state"], 48, "Alerts that were told, and told to be over"),
    counter("rushmall_alert_webhook_total", &["outcome"], 4, "Alerts told by HTTP, by what became of them"),
    counter("rushmall_webhooks_delivered_total", &["target"], 16, "Order events that a webhook target took"),
    counter("rushmall_webhooks_failed_total", &["target"], 16, "Tries that a webhook target did not take"),
    counter("rushmall_webhooks_dead_total", &["target"], 16, "Order events that were given up for a webhook target"),
    // stores and servers
    gauge("rushmall_dependency_up", &["dependency"], 3, "1 if the server answered at this scrape and takes writes"),
    gauge("rushmall_dependency_seconds", &["dependency"], 3, "How long it took to answer at this scrape"),
    gauge("rushmall_database_connections", &["pool", "state"], 6, "Connections to the database"),
    histogram("rushmall_database_seconds", &["kind"], 2, "Reads and transactions, the wait for a connection included"),
    counter("rushmall_database_failures_total", &["kind"], 2, "Reads and transactions that failed"),
    histogram("rushmall_redis_seconds", &["command"], 48, "Commands to Redis"),
    counter("rushmall_redis_failures_total", &["command"], 48, "Commands to Redis that failed or were not answered"),
    gauge("rushmall_lag_seconds", &["of"], 3, "Age of the oldest thing that is due and not done"),
    gauge("rushmall_outbox_rows", &[], 1, "Commits that are still to be told"),
    gauge("rushmall_order_queue_depth", &[], 1, "Messages with tickets that wait in the order queue"),
    histogram("rushmall_ledger_batch_claims", &[], 1, "Claims in one call of the ledger"),
    counter("rushmall_ledger_rebuilds_total", &[], 1, "Accounts of the ledger that were lost and rebuilt"),
    counter("rushmall_tickets_written_without_queue_total", &[], 1, "Tickets written at once, the queue being away"),
    counter("rushmall_dead_tickets_total", &[], 1, "Tickets that could not become orders"),
    counter("rushmall_buckets_closed_total", &[], 1, "Buyers held up for too many clicks on all nodes"),
    gauge("rushmall_amqp_connected", &["link"], 4, "1 while connected to RabbitMQ"),
    gauge("rushmall_amqp_blocked", &["link"], 4, "1 while RabbitMQ takes no messages"),
    counter("rushmall_amqp_reconnects_total", &["link"], 4, "Connections to RabbitMQ that were made again"),
    counter("rushmall_amqp_publishes_total", &["kind"], 4, "Messages sent to RabbitMQ"),
    counter("rushmall_amqp_confirms_total", &["kind"], 4, "Messages that RabbitMQ has confirmed"),
    counter("rushmall_amqp_unpublished_total", &["kind", "reason"], 32, "Messages that were not confirmed"),
    counter("rushmall_amqp_redeliveries_total", &[], 1, "Deliveries that came again"),
    counter("rushmall_amqp_dead_messages_total", &[], 1, "Messages that nobody could read"),
    gauge("rushmall_broadcast_up", &[], 1, "1 while the other nodes are heard"),
    counter("rushmall_broadcast_gaps_total", &[], 1, "Times that messages of other nodes may have been missed"),
    gauge("rushmall_node_registered", &[], 1, "1 while this node holds its slot"),
    // the process
    gauge("rushmall_build_info", &["version"], 1, "1; which build this is"),
    gauge("process_resident_memory_bytes", &[], 1, "Memory of the process"),
    gauge("process_open_fds", &[], 1, "Open files and sockets of the process"),
    gauge("process_start_time_seconds", &[], 1, "When the process started, Unix time"),
];

/// Gives each its text on the page, and lets counters without labels begin at 0, so that their first step is seen.
pub(super) fn describe() {
    for figure in FIGURES {
        let (name, help) = (figure.name, figure.help);
        match figure.kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
        if figure.kind == Kind::Counter && figure.labels.is_empty() {
            metrics::counter!(name).increment(0);
        }
    }
}

/// The figure of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}
