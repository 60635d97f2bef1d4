//! A flash sale as clients see it.

use serde::Serialize;
use utoipa::ToSchema;

use super::times::Time;
use crate::domain::money::Yuan;
use crate::domain::sale::SalePhase;
use crate::persistence::products::ProductCard;
use crate::persistence::sales::SaleWithStock;

/// A sale.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaleJson {
    /// Its id.
    pub id: i64,
    /// Of what.
    pub product_id: i64,
    /// Name now.
    pub product_name: String,
    /// Picture now.
    pub product_image: String,
    /// Outside the sale, in yuan.
    #[schema(value_type = f64)]
    pub original_price: Yuan,
    /// In the sale, in yuan.
    #[schema(value_type = f64)]
    pub price: Yuan,
    /// Units left.
    pub stock: i64,
    /// Units planned, restocks included.
    pub total_stock: i64,
    /// Units under paid orders.
    pub sold: i64,
    /// Units one buyer may have.
    pub per_user_limit: i64,
    /// First moment.
    pub start_at: Time,
    /// First moment after it.
    pub end_at: Time,
    /// `upcoming`, `open` or `ended`, by the server's clock.
    pub status: &'static str,
    /// Ended by an administrator.
    pub closed: bool,
}

/// Sales, with the time that their windows are judged by.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaleList {
    /// Those that open first come first.
    pub list: Vec<SaleJson>,
    /// Sales on all pages.
    pub total: u64,
    /// From 1.
    pub page: u64,
    /// Entries a page.
    pub page_size: u64,
    /// Pages in all.
    pub total_page: u64,
    /// With milliseconds, for countdowns.
    pub server_time: String,
}

impl SaleJson {
    /// With the product's card, if it still has one.
    #[must_use]
    pub fn new(known: SaleWithStock, card: Option<&ProductCard>, now_ms: i64) -> Self {
        let terms = known.sale.terms;
        Self {
            id: terms.sale.0,
            product_id: known.sale.product.0,
            product_name: card.map(|card| card.name.clone()).unwrap_or_default(),
            product_image: card.map(|card| card.image_url.clone()).unwrap_or_default(),
            original_price: Yuan(card.map_or(terms.unit_price, |card| card.price)),
            price: Yuan(terms.unit_price),
            stock: known.units_left,
            total_stock: known.sale.units_planned,
            sold: known.units_sold,
            per_user_limit: terms.units_per_buyer_max,
            start_at: Time(terms.window.opens_at_ms),
            end_at: Time(terms.window.closes_at_ms),
            status: match terms.phase(now_ms) {
                SalePhase::NotStarted => "upcoming",
                SalePhase::Open => "open",
                SalePhase::Ended => "ended",
            },
            closed: terms.closed,
        }
    }
}
