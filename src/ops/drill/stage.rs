//! Prepares what a drill needs and nobody else touches: a product, its sale, the buyers.

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::Deserialize;
use serde_json::{Value, json};

use super::args::DrillArgs;
use super::client::{Answer, NoAnswer, Shop};
use crate::clock::Clock;
use crate::ops::OpsError;

/// Buyers made by one request.
const BUYERS_PER_REQUEST: u64 = 1_000;
/// The sale opened so long ago and ends so much later: our clock and the shop's may differ.
const OPENED_BEFORE_MS: i64 = 60_000;
const OPEN_FOR_MS: i64 = 24 * 3_600_000;
const CHINA_OFFSET_S: i32 = 8 * 3_600;

/// A buyer of this drill, signed in.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Buyer {
    /// For the Authorization header.
    pub token: String,
}

/// What the drill plays with.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// Made for this drill.
    pub product_id: i64,
    /// Its sale, open now.
    pub sale_id: i64,
    /// Made for this drill.
    pub buyers: Vec<Buyer>,
}

/// Makes the product and its sale; if there is no sale, no product stays behind.
pub(super) async fn prepare(shop: &Shop, admin_token: &str, args: &DrillArgs) -> Result<Stage, OpsError> {
    let now_ms = Clock::default().now_ms();
    let name = format!("演练商品 {now_ms}");
    let product = json!({ "name": name, "price": 99.00, "stock": args.stock, "description": "rushmall drill" });
    let product_id = id_of(&shop.must_post("/api/product", admin_token, &product).await?, "/api/product")?;
    let sale = json!({
        "product_id": product_id, "price": 9.90, "stock": args.stock, "per_user_limit": 1,
        "start_at": wire_time(now_ms - OPENED_BEFORE_MS), "end_at": wire_time(now_ms + OPEN_FOR_MS),
    });
    let planned = shop.must_post("/api/seckill/sale", admin_token, &sale).await;
    match planned.and_then(|data| id_of(&data, "/api/seckill/sale")) {
        Ok(sale_id) => Ok(Stage { product_id, sale_id, buyers: Vec::new() }),
        Err(error) => {
            told(shop.delete(&format!("/api/product/{product_id}"), admin_token).await);
            Err(error)
        }
    }
}

/// Makes the buyers. `made` hears how many there are so far.
pub(super) async fn make_buyers(
    shop: &Shop,
    admin_token: &str,
    args: &DrillArgs,
    stage: &mut Stage,
    made: impl Fn(u64),
) -> Result<(), OpsError> {
    let path = "/api/admin/rehearsal/buyers";
    while (stage.buyers.len() as u64) < args.buyers {
        let count = (args.buyers - stage.buyers.len() as u64).min(BUYERS_PER_REQUEST);
        let prefix = format!("drill-{}-{}-", stage.product_id, stage.buyers.len());
        let data = shop.must_post(path, admin_token, &json!({ "count": count, "prefix": prefix })).await?;
        let mut some: Vec<Buyer> = read_buyers(data)?;
        if some.is_empty() {
            return Err(OpsError::Remote(format!("{path}: made no buyers")));
        }
        stage.buyers.append(&mut some);
        made(stage.buyers.len() as u64);
    }
    Ok(())
}

/// Ends the sale and takes the product off the shelf, so that drills do not pile up in the shop window.
pub(super) async fn clear(shop: &Shop, admin_token: &str, stage: &Stage) {
    let closed = shop.delete(&format!("/api/seckill/sale/{}", stage.sale_id), admin_token).await;
    let removed = shop.delete(&format!("/api/product/{}", stage.product_id), admin_token).await;
    told(closed);
    told(removed);
}

/// Says so if something stays behind; the drill's finding does not depend on it.
fn told(outcome: Result<Answer, NoAnswer>) {
    match outcome {
        Ok(answer) if answer.code == 0 => {}
        Ok(answer) => eprintln!("warning: the drill's product or sale stays: {} {}", answer.code, answer.message),
        Err(error) => eprintln!("warning: the drill's product or sale stays: {error}"),
    }
}

/// The list itself, or the first list inside the object.
fn read_buyers(data: Value) -> Result<Vec<Buyer>, OpsError> {
    let list = match data {
        Value::Object(fields) => fields.into_iter().map(|(_, value)| value).find(Value::is_array).unwrap_or_default(),
        list => list,
    };
    serde_json::from_value(list)
        .map_err(|error| OpsError::Remote(format!("/api/admin/rehearsal/buyers: unreadable answer: {error}")))
}

fn id_of(data: &Value, path: &str) -> Result<i64, OpsError> {
    data["id"].as_i64().ok_or_else(|| OpsError::Remote(format!("{path}: answered without an id")))
}

fn wire_time(ms: i64) -> String {
    let utc = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    match FixedOffset::east_opt(CHINA_OFFSET_S) {
        Some(china) => utc.with_timezone(&china).to_rfc3339_opts(SecondsFormat::Secs, false),
        None => utc.to_rfc3339_opts(SecondsFormat::Secs, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_out_in_the_shops_zone() {
        assert_eq!(wire_time(1_136_185_445_000), "2006-01-02T15:04:05+08:00");
    }

    #[test]
    fn buyers_are_read_from_a_list_or_from_an_object_that_holds_one() {
        let list = json!([{ "user_id": 1, "username": "a", "token": "t" }]);
        assert_eq!(read_buyers(list.clone()).unwrap()[0].token, "t");
        assert_eq!(read_buyers(json!({ "count": 1, "buyers": list })).unwrap().len(), 1);
        assert!(read_buyers(json!([{ "user_id": 1 }])).is_err());
    }
}
