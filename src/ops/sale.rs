//! `rushmall sale`: sees and controls flash sales of a running shop, over its HTTP API.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::access::{self, ServerArgs};
use super::client::Shop;
use super::{OpsError, output};
use crate::persistence::sale_rooms::ADMISSIONS_PER_SECOND_MAX;

/// `rushmall sale …`.
#[derive(Clone, Debug, Subcommand)]
pub enum SaleCommand {
    /// Show the waiting room of a sale, or open it, close it, or leave it to the settings again
    ///
    /// All nodes do so within a second. A changed rate holds for turns that are given from then on; when a room closes, all
    /// who wait may buy at once.
    Room(RoomArgs),
}

/// Flags of `sale room`; without one of the first three it only shows the room.
#[derive(Clone, Debug, Args)]
pub struct RoomArgs {
    /// Which shop, and who asks.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the sale
    #[arg(value_name = "SALE", value_parser = clap::value_parser!(i64).range(1..))]
    pub sale: i64,
    /// Admit so many buyers a second, over all nodes
    #[arg(long, value_name = "N", conflicts_with_all = ["off", "as_settings"],
        value_parser = clap::value_parser!(u32).range(1..=i64::from(ADMISSIONS_PER_SECOND_MAX)))]
    pub per_second: Option<u32>,
    /// Nobody waits at this sale
    #[arg(long, conflicts_with = "as_settings")]
    pub off: bool,
    /// Admit as many as waiting_room.admissions_per_second says
    #[arg(long)]
    pub as_settings: bool,
}

impl RoomArgs {
    /// What the room is to be, if anything.
    fn wanted(&self) -> Option<Option<u32>> {
        match (self.per_second, self.off, self.as_settings) {
            (None, false, false) => None,
            (None, _, true) => Some(None),
            (rate, _, _) => Some(Some(rate.unwrap_or(0))),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`OpsError::Usage`]; [`OpsError::Remote`] if it was refused or not answered.
pub async fn run(command: &SaleCommand) -> Result<(), OpsError> {
    let SaleCommand::Room(args) = command;
    let (shop, token) = access::gain(&args.server).await?;
    let path = format!("/api/admin/sales/{}", args.sale);
    let room = match args.wanted() {
        Some(rate) => {
            let (path, body) = (format!("{path}/waiting-room"), json!({ "admissions_per_second": rate }));
            let answer = match shop.put(&path, &token, &body).await {
                Err(_) => shop.put(&path, &token, &body).await, // said twice it changes nothing more
                answer => answer,
            };
            Shop::accepted(&path, answer)?
        }
        None => shop.must_get(&path, &token).await?["waiting_room"].take(),
    };
    output::line(if args.server.json { room.to_string() } else { shown(&room) });
    Ok(())
}

fn shown(room: &Value) -> String {
    let rate = match room["admissions_per_second"].as_u64() {
        Some(0) => "nobody waits".to_owned(),
        Some(rate) => format!("{rate} buyers a second are admitted"),
        None => "unknown".to_owned(),
    };
    let origin = if room["is_own"] == true { "said of this sale" } else { "as the settings say" };
    let waiting = room["waiting"].as_u64().map_or("unknown how many wait".to_owned(), |n| format!("{n} wait"));
    let until = room["waiting_until"].as_str().map_or(String::new(), |until| format!(" until {until}"));
    format!("{rate} ({origin}); {waiting}{until}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_told_in_a_line() {
        let until = "2026-11-21T20:00:00+08:00";
        let open = json!({"admissions_per_second": 5, "is_own": true, "waiting": 12, "waiting_until": until});
        assert_eq!(
            shown(&open),
            "5 buyers a second are admitted (said of this sale); 12 wait until 2026-11-21T20:00:00+08:00"
        );
        let silent = json!({"admissions_per_second": 0, "is_own": false, "waiting": null, "waiting_until": null});
        assert_eq!(shown(&silent), "nobody waits (as the settings say); unknown how many wait");
    }
}
