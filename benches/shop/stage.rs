//! What a run plays with: signed-in buyers, made once, and a product with its sale for each run.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use rushmall::clock::Clock;
use serde_json::{Value, json};

use super::rig::Rig;

const BUYERS_PER_REQUEST: usize = 1_000;
const PLENTY: i64 = 10_000_000;
/// The most that a sale lets one buyer have.
const UNITS_PER_BUYER: i64 = 999;

/// Speaks to the shop as its administrator, and keeps the buyers.
pub struct Stage {
    client: reqwest::Client,
    base: String,
    admin_token: String,
    /// Access tokens of the buyers.
    pub tokens: Vec<String>,
}

/// A product whose sale is open.
#[derive(Clone, Copy, Debug)]
pub struct Sale {
    /// Of the product.
    pub product: i64,
    /// Of the sale.
    pub sale: i64,
    /// Put in.
    pub stock: i64,
}

impl Stage {
    /// Signs in and makes the buyers, whole thousands. Each clicks again and again: what counts is the click.
    pub async fn set(rig: &Rig, buyers: usize) -> anyhow::Result<Self> {
        let mut stage =
            Self { client: reqwest::Client::new(), base: rig.base(), admin_token: String::new(), tokens: Vec::new() };
        let login = json!({ "username": "admin", "password": rig.admin_password });
        let signed_in = stage.post("/api/user/login", &login).await?;
        stage.admin_token = signed_in["token"].as_str().context("no token")?.to_owned();
        while stage.tokens.len() < buyers {
            let prefix = format!("bench-{}-", stage.tokens.len());
            let wanted = json!({ "count": BUYERS_PER_REQUEST, "prefix": prefix });
            let made = stage.post("/api/admin/rehearsal/buyers", &wanted).await?;
            let made = made["buyers"].as_array().context("no buyers")?;
            stage.tokens.extend(made.iter().filter_map(|buyer| Some(buyer["token"].as_str()?.to_owned())));
        }
        Ok(stage)
    }

    /// A product with plenty of units in a sale that is open.
    pub async fn open_sale(&self) -> anyhow::Result<Sale> {
        self.open_sale_of(PLENTY).await
    }

    /// A product with so many units in a sale that is open.
    pub async fn open_sale_of(&self, stock: i64) -> anyhow::Result<Sale> {
        let product = json!({ "name": "bench", "price": 99.00, "stock": stock });
        let product = self.post("/api/product", &product).await?["id"].as_i64().context("no product")?;
        let sale = json!({
            "product_id": product, "price": 9.90, "stock": stock, "per_user_limit": UNITS_PER_BUYER,
            "start_at": in_china(-60_000)?, "end_at": in_china(24 * 3_600_000)?,
        });
        let sale = self.post("/api/seckill/sale", &sale).await?["id"].as_i64().context("no sale")?;
        Ok(Sale { product, sale, stock })
    }

    /// Closes it, so that it takes no part in what follows.
    pub async fn close(&self, sale: Sale) -> anyhow::Result<()> {
        let url = format!("{}/api/seckill/sale/{}", self.base, sale.sale);
        self.client.delete(url).bearer_auth(&self.admin_token).send().await?.error_for_status()?;
        Ok(())
    }

    /// The shop's own books of the product.
    pub async fn books(&self, product: i64) -> anyhow::Result<Value> {
        let url = format!("{}/api/admin/rehearsal/reconciliation?product_id={product}", self.base);
        let answer: Value = self.client.get(url).bearer_auth(&self.admin_token).send().await?.json().await?;
        Ok(answer["data"].clone())
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.admin_token).json(body);
        let answer: Value = request.send().await?.json().await?;
        ensure!(answer["code"] == 0, "{path}: {answer}");
        Ok(answer["data"].clone())
    }

    /// The click of every buyer on this product, as bytes on the wire.
    pub fn clicks(&self, product: i64) -> Arc<Vec<Vec<u8>>> {
        Self::clicks_of(&self.tokens, product)
    }

    /// The clicks of the last buyer, and those of all others.
    pub fn clicks_of_one_and_others(&self, product: i64) -> [Arc<Vec<Vec<u8>>>; 2] {
        let (others, one) = self.tokens.split_at(self.tokens.len() - 1);
        [one, others].map(|tokens| Self::clicks_of(tokens, product))
    }

    fn clicks_of(tokens: &[String], product: i64) -> Arc<Vec<Vec<u8>>> {
        let body = format!("{{\"product_id\":{product},\"quantity\":1}}");
        let click = |token: &String| {
            format!(
                "POST /api/seckill HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        };
        Arc::new(tokens.iter().map(click).collect())
    }
}

/// The shop's notation of an instant so many milliseconds from now.
fn in_china(from_now_ms: i64) -> anyhow::Result<String> {
    let utc = DateTime::from_timestamp_millis(Clock::default().now_ms() + from_now_ms).context("no such time")?;
    let china = FixedOffset::east_opt(8 * 3_600).context("no such zone")?;
    Ok(utc.with_timezone(&china).to_rfc3339_opts(SecondsFormat::Secs, false))
}
