//! Servers that tests need: named by the environment, never started here.
//!
//! A variable that is not set means that its tests are not run, and they say so; with `RUSHMALL_TEST_SERVICES=1` it
//! fails them instead.

use rushmall::config::RedisSettings;
use rushmall::redis_link::RedisLink;

/// A single Redis server.
pub const REDIS: &str = "RUSHMALL_TEST_REDIS_URL";
/// Seeds of a Redis Cluster, with commas between.
pub const REDIS_CLUSTER: &str = "RUSHMALL_TEST_REDIS_CLUSTER_URL";

/// A RabbitMQ.
pub const AMQP: &str = "RUSHMALL_TEST_AMQP_URL";
/// A MariaDB or MySQL, without a database.
pub const MYSQL: &str = "RUSHMALL_TEST_MYSQL_URL";
/// A PostgreSQL, without a database.
pub const POSTGRES: &str = "RUSHMALL_TEST_POSTGRES_URL";

/// The URL in that variable.
pub fn url_of(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        let is_required = std::env::var("RUSHMALL_TEST_SERVICES").is_ok_and(|value| value == "1");
        assert!(!is_required, "RUSHMALL_TEST_SERVICES=1, but {variable} is not set");
        eprintln!("NOT RUN: {variable} is not set");
    }
    url
}

/// Settings for a Redis with a prefix that no other test has.
pub fn redis_settings(url: &str) -> RedisSettings {
    let prefix = format!("test-{}", rushmall::random::token());
    RedisSettings { url: url.to_owned(), prefix, connect_timeout_ms: 5_000, command_timeout_ms: 5_000 }
}

/// The same for a test that waits until they run out.
pub fn hasty_redis_settings(url: &str) -> RedisSettings {
    RedisSettings { connect_timeout_ms: 2_000, command_timeout_ms: 2_000, ..redis_settings(url) }
}

/// A link to each Redis that there is, with a name for messages.
pub async fn redis_links() -> Vec<(&'static str, RedisLink)> {
    let mut links = Vec::new();
    for (name, variable) in [("redis", REDIS), ("redis cluster", REDIS_CLUSTER)] {
        if let Some(url) = url_of(variable) {
            let link = RedisLink::connect(&redis_settings(&url)).await;
            links.push((name, link.unwrap_or_else(|error| panic!("{name} at {url}: {error}"))));
        }
    }
    links
}
