//! What a drill is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};

/// Sockets that are opened if nobody says how many.
const SOCKETS_DEFAULT_MAX: usize = 500;

/// Flags of `drill`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("arrivals").multiple(false))]
pub struct DrillArgs {
    /// Base URL of the shop
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Administrator that prepares the sale; with --admin-password-stdin or RUSHMALL_ADMIN_PASSWORD
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub admin_user: String,
    /// Read the administrator's password from standard input
    #[arg(long)]
    pub admin_password_stdin: bool,
    /// Access token of an administrator, instead of name and password
    #[arg(long, value_name = "TOKEN", env = "RUSHMALL_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Data directory of a shop on this machine: without token and password, a temporary administrator is made in
    /// its database and disabled at the end
    #[arg(long, value_name = "DIR", env = "RUSHMALL_DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Settings file of that shop, if its database is not in the data directory
    #[arg(long, value_name = "FILE", env = "RUSHMALL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Buyers, each with an account of his own
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = in_range(1, 1_000_000))]
    pub buyers: u64,
    /// Units in the sale, one a buyer
    #[arg(long, value_name = "S", default_value_t = 500, value_parser = in_range(1, 1_000_000))]
    pub stock: u64,
    /// Clicks of each buyer: more than one is an impatient buyer, who must still get one unit
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = in_range(1, 100))]
    pub clicks: u64,
    /// Clicks per second, at random instants (Poisson) [default: 1000]
    #[arg(long, value_name = "PER_SECOND", group = "arrivals", value_parser = in_range(1, 1_000_000))]
    pub rate: Option<u64>,
    /// All clicks at the same instant
    #[arg(long, group = "arrivals")]
    pub burst: bool,
    /// Space the clicks of --rate evenly instead of at random
    #[arg(long, conflicts_with = "burst")]
    pub even: bool,
    /// Buyers that listen on a WebSocket [default: all, at most 500]
    #[arg(long, value_name = "N")]
    pub sockets: Option<usize>,
    /// Share of the accepted orders that is paid (0 to 1)
    #[arg(long, value_name = "SHARE", default_value_t = 0.6, value_parser = share)]
    pub pay: f64,
    /// Share of the accepted orders that is cancelled (0 to 1); the rest is left to the payment deadline
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    pub cancel: f64,
    /// Wait until the payment deadline has cancelled the rest; give the rehearsed shop a short one
    /// (RUSHMALL__ORDERS__PAY_DEADLINE_MS) and --timeout enough seconds
    #[arg(long)]
    pub await_deadline: bool,
    /// Who clicks when, who pays and who cancels follow from this number
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Longest time that the whole drill may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = in_range(5, 86_400))]
    pub timeout: u64,
    /// Requests under way at the same time, each on a connection of its own
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = in_range(1, 10_000))]
    pub connections: u64,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

impl DrillArgs {
    /// Buyers with a socket.
    pub(super) fn sockets(&self) -> usize {
        let buyers = usize::try_from(self.buyers).unwrap_or(usize::MAX);
        self.sockets.unwrap_or(SOCKETS_DEFAULT_MAX).min(buyers)
    }

    /// Longest time for everything.
    pub(super) const fn time_limit(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Requests under way at most.
    pub(super) fn in_flight_max(&self) -> usize {
        usize::try_from(self.connections).unwrap_or(usize::MAX)
    }
}

fn in_range(min: u64, max: u64) -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(min..=max)
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}
