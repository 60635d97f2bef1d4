//! Typed settings of one server. Layered: defaults < file < environment `RUSHMALL__SECTION__KEY` < flags.
//!
//! Every field has a default that makes `rushmall serve` work on a bare machine; units and bounds stand in the names
//! and docs. Unknown keys are errors, so that a typo is never silently ignored. The types stand here; `keys` says what
//! each key accepts, `load` joins the layers, `show` prints them with their origins,
//! `change` says what a running server takes over, and `live` is where it finds that.

mod alerts;
mod change;
mod http;
mod keys;
mod limits;
mod live;
mod load;
mod networks;
mod payment;
mod show;
mod uploads;
mod webhooks;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use alerts::AlertSettings;
pub use change::{Change, changes};
pub use http::{ANY_ORIGIN, HttpSettings};
pub use keys::is_live;
pub use limits::{LimitSettings, LimitTerms, LiveLimits, WaitingRoomSettings};
pub use live::LiveSettings;
pub use load::{Loaded, Origin, Problem, Problems, Provenance, Sources, load};
pub use networks::Network;
pub use payment::{AlipaySettings, PaymentSettings, Secret, V2SignType, WechatV2Settings, WechatV3Settings};
pub use show::{Row, rows};
pub use uploads::UploadSettings;
pub use webhooks::{WebhookSettings, WebhookTarget};

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Development eases testing; production refuses what is unsafe.
    pub environment: Environment,
    /// This process among its peers.
    pub node: NodeSettings,
    /// The HTTP server.
    pub http: HttpSettings,
    /// The SQL database.
    pub database: DatabaseSettings,
    /// Redis: with RabbitMQ the back ends of a cluster.
    pub redis: RedisSettings,
    /// RabbitMQ: with Redis the back ends of a cluster.
    pub amqp: AmqpSettings,
    /// Tokens and passwords.
    pub auth: AuthSettings,
    /// Orders and their deadlines.
    pub orders: OrderSettings,
    /// How many requests are let in.
    pub limits: LimitSettings,
    /// In front of sales that more want to enter than they can take.
    pub waiting_room: WaitingRoomSettings,
    /// Supervised actors.
    pub actors: ActorSettings,
    /// Money.
    pub payment: PaymentSettings,
    /// Other systems that are told by HTTP.
    pub webhooks: WebhookSettings,
    /// The transparency log of payments and refunds.
    pub audit: AuditSettings,
    /// WebSocket pushes.
    pub feed: FeedSettings,
    /// What operators are told.
    pub alerts: AlertSettings,
    /// Pictures that users upload.
    pub uploads: UploadSettings,
    /// Logs, traces, metrics.
    pub telemetry: TelemetrySettings,
    /// Switches.
    pub features: FeatureSettings,
}

/// Where the server runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A developer's machine: generated secrets, simulated payment, rehearsal endpoints.
    #[default]
    Development,
    /// Real buyers: secrets must be set, rehearsal endpoints are off unless switched on.
    Production,
}

/// This process among its peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSettings {
    /// Shown in vitals and logs.
    pub name: String,
    /// 0..=15, different on every node: part of each order's integer id.
    pub slot: u8,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self { name: "node-0".to_owned(), slot: 0 }
    }
}

/// The SQL database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `sqlite://…`, `mysql://…` or `postgres://…`; empty: `rushmall.db` in the data directory.
    pub url: String,
    /// SQLite only: `full` survives a power cut, `normal` survives a killed process.
    pub synchronous: Synchronous,
    /// A read replica of a MySQL or PostgreSQL `url`; empty: reads go to `url`.
    pub read_url: String,
    /// Connections for reading (and, beyond SQLite, writing).
    pub connections_max: u32,
    /// Longest wait for a connection.
    pub acquire_timeout_ms: u64,
    /// Longest wait for the answer to a read.
    pub read_timeout_ms: u64,
    /// Longest that one writing transaction may take; after it the outcome is unknown and is asked for.
    pub transaction_timeout_ms: u64,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            read_url: String::new(),
            synchronous: Synchronous::Full,
            connections_max: 8,
            acquire_timeout_ms: 5_000,
            read_timeout_ms: 5_000,
            transaction_timeout_ms: 10_000,
        }
    }
}

/// Redis: stock ledger, carts, rate limits and messages between nodes. Set together with [`AmqpSettings`] or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://[user:password@]host:port[/db]`; several, with commas between, are seeds of a Redis Cluster. Empty:
    /// the embedded back ends.
    pub url: String,
    /// First part of every key and channel: shops with different prefixes share a Redis.
    pub prefix: String,
    /// Longest wait for a connection.
    pub connect_timeout_ms: u64,
    /// Longest wait for the answer to a command.
    pub command_timeout_ms: u64,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self { url: String::new(), prefix: "rushmall".to_owned(), connect_timeout_ms: 2_000, command_timeout_ms: 1_000 }
    }
}

/// RabbitMQ: order queue and domain events. Set together with [`RedisSettings`] or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AmqpSettings {
    /// `amqp://user:password@host:port/vhost`. Empty: the embedded back ends.
    pub url: String,
    /// First part of every exchange's and queue's name.
    pub prefix: String,
    /// Longest wait for a connection.
    pub connect_timeout_ms: u64,
    /// Longest wait for a publisher's confirm.
    pub confirm_timeout_ms: u64,
    /// Messages that wait for their confirm at the same time.
    pub window_messages: usize,
    /// Messages that the broker hands to this node ahead of their acknowledgement.
    pub prefetch_messages: u16,
    /// Deliveries of one message before it goes to the dead messages; holds in the embedded shop as well.
    pub deliveries_max: u32,
}

impl Default for AmqpSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            prefix: "rushmall".to_owned(),
            connect_timeout_ms: 5_000,
            confirm_timeout_ms: 2_000,
            window_messages: 256,
            prefetch_messages: 64,
            deliveries_max: 20,
        }
    }
}

/// How SQLite waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// At every commit.
    Full,
    /// At every checkpoint.
    Normal,
}

/// Tokens and passwords.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// HS256 key, at least 32 bytes. Empty: made at first start and kept in the data directory (development only).
    pub jwt_secret: String,
    /// `iss` of access tokens.
    pub issuer: String,
    /// Life of an access token.
    pub access_token_s: i64,
    /// Life of a refresh token, renewed at each use.
    pub refresh_token_s: i64,
    /// Passwords hashed at the same time (each takes a core and 19 MiB).
    pub hashing_concurrency: usize,
    /// Sign-ins of one user at the same time; the oldest goes when one more comes.
    pub sessions_per_user_max: u64,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            jwt_secret: String::new(),
            issuer: "rushmall".to_owned(),
            access_token_s: 900,
            refresh_token_s: 30 * 24 * 3_600,
            hashing_concurrency: 2,
            sessions_per_user_max: 20,
        }
    }
}

/// Orders and their deadlines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderSettings {
    /// Time to pay after acceptance.
    pub pay_deadline_ms: i64,
    /// Shipped orders count as received after this.
    pub auto_complete_ms: i64,
    /// How often due deadlines and effects are looked for.
    pub sweep_interval_ms: u64,
    /// A ticket older than this without an order is published again.
    pub ticket_orphan_after_ms: i64,
    /// A prepared (all or nothing) ticket older than this without an order is given back.
    pub prepared_expires_ms: i64,
    /// Most tickets in one batch of the ledger and of the order writer.
    pub batch_tickets_max: usize,
    /// Tries before a ticket goes to the dead letters.
    pub ticket_attempts_max: u32,
    /// Distinct products in one cart.
    pub cart_lines_max: u64,
    /// Units at or below which a low-stock alert is raised.
    pub low_stock_units: i64,
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self {
            pay_deadline_ms: 30 * 60_000,
            auto_complete_ms: 7 * 24 * 3_600_000,
            sweep_interval_ms: 250,
            ticket_orphan_after_ms: 3_000,
            prepared_expires_ms: 30_000,
            batch_tickets_max: 256,
            ticket_attempts_max: 5,
            cart_lines_max: 100,
            low_stock_units: 10,
        }
    }
}

/// Supervised actors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActorSettings {
    /// Threads that run actors; 0 = one per core.
    pub arbiters: usize,
    /// Claims of one product that may wait or be in flight; one more is answered "busy".
    pub inventory_in_flight_max: usize,
    /// Messages of one user that may wait or be in flight.
    pub session_in_flight_max: usize,
    /// Messages of one order that may wait or be in flight.
    pub order_in_flight_max: usize,
    /// Session actors alive on this node.
    pub sessions_live_max: usize,
    /// Order saga actors alive on this node.
    pub orders_live_max: usize,
    /// An actor without messages for so long is put to sleep.
    pub idle_after_ms: u64,
    /// Longest wait for an actor's answer.
    pub ask_timeout_ms: u64,
}

impl Default for ActorSettings {
    fn default() -> Self {
        Self {
            arbiters: 0,
            inventory_in_flight_max: 16_384,
            session_in_flight_max: 256,
            order_in_flight_max: 64,
            sessions_live_max: 200_000,
            orders_live_max: 50_000,
            idle_after_ms: 60_000,
            ask_timeout_ms: 5_000,
        }
    }
}

/// The transparency log of payments and refunds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// Name of the log and of its key, for ever: a domain of the shop with a path, without scheme, spaces and `+`.
    pub origin: String,
    /// Ed25519 secret as 64 hex digits, the same on every node. Empty: `audit.key` in the data directory, made at first
    /// start.
    pub key_file: String,
    /// A head is signed at most so often, and only if something was added.
    pub head_every_s: i64,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { origin: "rushmall/money".to_owned(), key_file: String::new(), head_every_s: 60 }
    }
}

/// WebSocket pushes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedSettings {
    /// Sockets of one user at the same time.
    pub sockets_per_user_max: usize,
    /// Sockets of `/ws/stock`, which ask for no account, on this node.
    pub visitor_sockets_max: usize,
    /// Frames that wait for one slow socket before it is closed.
    pub frames_queued_max: usize,
    /// Largest frame from a client, bytes.
    pub frame_bytes_max: usize,
    /// A socket silent for so long is closed; pings go out at a third of it.
    pub idle_timeout_ms: u64,
    /// Life of a single-use ticket.
    pub ticket_ms: i64,
    /// Tickets that may be outstanding on this node.
    pub tickets_max: u64,
}

impl Default for FeedSettings {
    fn default() -> Self {
        Self {
            sockets_per_user_max: 10,
            visitor_sockets_max: 5_000,
            frames_queued_max: 256,
            frame_bytes_max: 16 * 1024,
            idle_timeout_ms: 90_000,
            ticket_ms: 30_000,
            tickets_max: 200_000,
        }
    }
}

/// Logs, traces, metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// `tracing` filter, e.g. `info,rushmall=debug`.
    pub log: String,
    /// `pretty` or `json`.
    pub log_format: LogFormat,
    /// OTLP gRPC endpoint (e.g. Jaeger's `http://localhost:4317`); empty: no traces leave the process.
    pub otlp_endpoint: String,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { log: "info".to_owned(), log_format: LogFormat::Pretty, otlp_endpoint: String::new() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// Switches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureSettings {
    /// Endpoints of the drill (buyers in bulk, reconciliation). Unset: on outside production.
    pub rehearsal: Option<bool>,
}

impl Settings {
    /// True if Redis and RabbitMQ carry ledger, queue and messages between nodes.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        !self.redis.url.is_empty() && !self.amqp.url.is_empty()
    }

    /// Where the secret is that heads of the transparency log are signed with.
    #[must_use]
    pub fn audit_key_file(&self, data_dir: &std::path::Path) -> PathBuf {
        if self.audit.key_file.is_empty() { data_dir.join("audit.key") } else { PathBuf::from(&self.audit.key_file) }
    }

    /// True if simulated payment is offered.
    #[must_use]
    pub fn simulated_payment(&self) -> bool {
        self.payment.simulated.unwrap_or(self.environment != Environment::Production)
    }

    /// True if the sandbox gateway is mounted and used.
    #[must_use]
    pub fn sandbox_payment(&self) -> bool {
        let is_alone = !self.is_cluster() && self.environment != Environment::Production && !self.has_tls();
        self.payment.sandbox.unwrap_or(is_alone && !self.payment.has_gateway())
    }

    /// True if the drill's endpoints are offered.
    #[must_use]
    pub fn rehearsal(&self) -> bool {
        self.features.rehearsal.unwrap_or(self.environment != Environment::Production)
    }
}

/// The settings together with the directory that holds this node's files.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The settings.
    pub settings: Settings,
    /// Database file, generated secrets, uploads.
    pub data_dir: PathBuf,
}
