//! `rushmall seed`: the demo catalogue for an empty shop.
//!
//! A shop that has (or ever had) products of its own is left alone. What a crash in the middle left behind is the
//! beginning of the catalogue, which is recognised and completed; every step is safe to repeat.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::cli::NodeArgs;
use super::{OpsError, output, settings};
use crate::clock::Clock;
use crate::domain::sale::{SaleTerms, SaleWindow};
use crate::domain::{Money, ProductId, SaleId};
use crate::persistence::ledger::StockLedger;
use crate::persistence::products::{NewProduct, STATUS_ON_SHELF};
use crate::persistence::sales::NewSale;
use crate::persistence::stock_moves::{self, FIXED_ID_PREFIX, StockPlan};
use crate::persistence::{Db, categories, nothing_under_way, open_ledger, products, sales};

/// The demo sales stay open for a week, so that a demo that runs over a weekend still has them.
const SALE_MS: i64 = 7 * 24 * 3_600_000;
/// The demo sales opened a minute ago: no clock is so exact that "now" is safe.
const SALE_OPENED_BEFORE_MS: i64 = 60_000;
const UNITS_PER_BUYER_MAX: i64 = 1;

/// The demo catalogue as it is written in `catalogue.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Names in the order of the storefront.
    pub categories: Vec<String>,
    /// Products in the order of their ids.
    #[serde(rename = "product")]
    pub products: Vec<DemoProduct>,
}

/// One product of the demo catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoProduct {
    /// Shown.
    pub name: String,
    /// One of the catalogue's.
    pub category: String,
    /// Name of the picture under `assets/photos`, without extension.
    pub photo: String,
    /// Price in fen outside a sale.
    pub price_fen: i64,
    /// Units put in; the sale's units are set aside from them.
    pub units: i64,
    /// A sentence or two.
    pub description: String,
    /// Colour, size and the like.
    pub attributes: BTreeMap<String, String>,
    /// A flash sale that is open from the start.
    pub sale: Option<DemoSale>,
}

/// The flash sale of a demo product.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoSale {
    /// Price in fen.
    pub price_fen: i64,
    /// Units set aside.
    pub units: i64,
}

/// The demo catalogue.
///
/// # Errors
/// [`OpsError::Internal`] if the built-in text is broken, which a test rules out.
pub fn catalogue() -> Result<Catalogue, OpsError> {
    toml::from_str(include_str!("catalogue.toml"))
        .map_err(|error| OpsError::Internal(format!("the built-in catalogue is broken: {error}")))
}

/// `rushmall seed`.
///
/// # Errors
/// [`OpsError`] if the database fails.
pub async fn run(args: &NodeArgs) -> Result<(), OpsError> {
    let setup = settings::for_node(args)?;
    let db = settings::open_migrated(&setup).await?;
    let clock = Clock::default();
    let ledger = open_ledger(&setup.settings, &db, &clock, nothing_under_way()).await?;
    let added = fill(&db, &*ledger, clock.now_ms()).await;
    db.close().await;
    match added? {
        0 => output::line("the shop has products already, nothing was added"),
        added => output::line(format_args!("added {added} products with their flash sales")),
    }
    Ok(())
}

/// Fills an empty shop, or completes what an interrupted run began. Answers how many products were added.
///
/// # Errors
/// [`OpsError`] if the database fails; run it again.
pub async fn fill(db: &Db, ledger: &dyn StockLedger, now_ms: i64) -> Result<usize, OpsError> {
    let catalogue = catalogue()?;
    let limit = u64::try_from(catalogue.products.len()).unwrap_or(u64::MAX);
    let present = products::first_added(db, limit).await?;
    let ours = present.iter().zip(&catalogue.products).all(|((_, name), product)| *name == product.name);
    if !ours {
        return Ok(0);
    }
    let is_complete = present.len() == catalogue.products.len();
    let category_ids = if is_complete { BTreeMap::new() } else { fill_categories(db, &catalogue.categories).await? };
    // the last one present may lack its units or its sale, also if it is the catalogue's last
    let first = present.len().saturating_sub(1);
    for (index, demo) in catalogue.products.iter().enumerate().skip(first) {
        let id = match present.get(index) {
            Some((id, _)) => *id,
            None => insert(db, demo, category_ids.get(&demo.category).copied().unwrap_or(0), now_ms).await?,
        };
        stock(db, ledger, index, id, demo, now_ms).await?;
    }
    Ok(catalogue.products.len() - present.len())
}

async fn fill_categories(db: &Db, names: &[String]) -> Result<BTreeMap<String, i64>, OpsError> {
    for (position, name) in names.iter().enumerate() {
        // taken: an earlier run made it
        let _ = categories::insert(db, name, None, i32::try_from(position).unwrap_or(i32::MAX)).await?;
    }
    Ok(categories::list(db).await?.into_iter().map(|category| (category.name, category.id)).collect())
}

async fn insert(db: &Db, demo: &DemoProduct, category_id: i64, now_ms: i64) -> Result<ProductId, OpsError> {
    let image_url = format!("/photos/{}.svg", demo.photo);
    let text = |text: &String| serde_json::Value::String(text.clone());
    let new = NewProduct {
        name: demo.name.clone(),
        description: demo.description.clone(),
        category_id,
        price: Money::from_fen(demo.price_fen),
        images: vec![image_url.clone()],
        image_url,
        attributes: demo.attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        status: STATUS_ON_SHELF,
    };
    products::insert(db, &new, now_ms).await?.map_err(|rejection| refused(demo, &rejection))
}

/// Puts the units in and sets the sale's aside; the moves carry fixed ids, so a repeat finds them done.
async fn stock(
    db: &Db,
    ledger: &dyn StockLedger,
    index: usize,
    product: ProductId,
    demo: &DemoProduct,
    now_ms: i64,
) -> Result<(), OpsError> {
    let put_in = StockPlan::PutIn { units: demo.units };
    let moved = stock_moves::run(db, ledger, &move_id('A', index), product, put_in, now_ms).await?;
    moved.map_err(|refusal| refused(demo, &refusal))?;
    let Some(sale) = demo.sale else { return Ok(()) };
    let move_id = move_id('B', index);
    let terms = planned(db, &move_id, product, demo, sale, now_ms).await?;
    let plan = StockPlan::PlanSale { terms, units: sale.units };
    let moved = stock_moves::run(db, ledger, &move_id, product, plan, now_ms).await?;
    moved.map_err(|refusal| refused(demo, &refusal))?;
    Ok(())
}

/// The terms of the product's sale: as an interrupted run wrote them, or new.
async fn planned(
    db: &Db,
    move_id: &str,
    product: ProductId,
    demo: &DemoProduct,
    sale: DemoSale,
    now_ms: i64,
) -> Result<SaleTerms, OpsError> {
    if let Some(present) = sales::of_product(db, product).await?.into_iter().next() {
        return Ok(present.sale.terms);
    }
    let opens_at_ms = now_ms - SALE_OPENED_BEFORE_MS;
    let window = SaleWindow::new(opens_at_ms, opens_at_ms + SALE_MS).map_err(|error| refused(demo, &error))?;
    let terms = SaleTerms {
        sale: SaleId(0),
        window,
        unit_price: Money::from_fen(sale.price_fen),
        units_per_buyer_max: UNITS_PER_BUYER_MAX,
        closed: false,
    };
    let new = NewSale { move_id, product, terms, units_planned: sale.units, admissions_per_second: None };
    let inserted = sales::insert(db, new, now_ms).await?;
    Ok(inserted.map_err(|refusal| refused(demo, &refusal))?.terms)
}

/// 26 characters, the same in every run.
fn move_id(step: char, index: usize) -> String {
    format!("{FIXED_ID_PREFIX}X{step}{index:020}")
}

fn refused(demo: &DemoProduct, reason: &dyn std::fmt::Debug) -> OpsError {
    OpsError::Internal(format!("the demo product {} was refused: {reason:?}", demo.name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::assets;

    use std::collections::HashSet;

    use super::*;
    use crate::domain::Pool;
    use crate::persistence::sql_ledger::SqlLedger;
    use crate::persistence::testing::{OwnDatabase, database};

    const NOW_MS: i64 = 1_795_000_000_000;

    async fn shop() -> (OwnDatabase, Db, SqlLedger) {
        let (db, own) = database().await;
        (own, db.clone(), SqlLedger::new(db))
    }

    #[test]
    fn the_catalogue_is_complete_and_its_sales_are_bargains() {
        let Catalogue { categories, products } = catalogue().unwrap();
        assert_eq!(categories.len(), 8);
        assert!(products.len() >= 24);
        assert_eq!(products.iter().map(|p| &p.name).collect::<HashSet<_>>().len(), products.len());
        for category in &categories {
            assert!(products.iter().filter(|p| p.category == *category).count() >= 3, "{category}");
        }
        for (index, product) in products.iter().enumerate() {
            assert!(categories.contains(&product.category) && product.price_fen > 0, "{}", product.name);
            assert!(!product.description.is_empty() && !product.attributes.is_empty(), "{}", product.name);
            assert_eq!(product.sale.is_some(), index < 4, "{}", product.name);
            if let Some(sale) = product.sale {
                assert!(sale.price_fen < product.price_fen && (100..=500).contains(&sale.units), "{}", product.name);
                assert!(sale.units < product.units);
            }
        }
    }

    #[test]
    fn move_ids_have_26_characters_and_differ() {
        let ids: HashSet<String> = ['A', 'B'].iter().flat_map(|s| (0..30).map(|i| move_id(*s, i))).collect();
        assert!(ids.len() == 60 && ids.iter().all(|id| id.len() == 26));
    }

    #[actix_rt::test]
    async fn seeding_twice_changes_nothing_the_second_time() {
        let (_dir, db, ledger) = shop().await;
        let products = catalogue().unwrap().products;
        assert_eq!(fill(&db, &ledger, NOW_MS).await.unwrap(), products.len());
        let first = products::first_added(&db, 100).await.unwrap();
        assert!(first.iter().take(4).map(|(id, _)| id.0).eq(1..=4), "{first:?}");
        let sale = sales::of_product(&db, ProductId(1)).await.unwrap();
        assert_eq!((sale.len(), sale[0].units_left), (1, products[0].sale.unwrap().units));
        assert_eq!(fill(&db, &ledger, NOW_MS + 1).await.unwrap(), 0);
        assert_eq!(products::first_added(&db, 100).await.unwrap(), first);
        let again = sales::of_product(&db, ProductId(1)).await.unwrap();
        assert_eq!((again.len(), again[0].units_left), (1, sale[0].units_left));
    }

    #[actix_rt::test]
    async fn an_interrupted_run_is_completed_without_a_unit_too_many() {
        let (_dir, db, ledger) = shop().await;
        let Catalogue { products, .. } = catalogue().unwrap();
        // as if the process had died right after the second product's row
        for demo in products.iter().take(2) {
            insert(&db, demo, 0, NOW_MS).await.unwrap();
        }
        stock(&db, &ledger, 0, ProductId(1), &products[0], NOW_MS).await.unwrap();
        assert_eq!(fill(&db, &ledger, NOW_MS).await.unwrap(), products.len() - 2);
        for (index, product) in products.iter().take(2).enumerate() {
            let sale = sales::of_product(&db, ProductId(index as i64 + 1)).await.unwrap();
            assert_eq!((sale.len(), sale[0].units_left), (1, product.sale.unwrap().units));
        }
    }

    #[actix_rt::test]
    async fn the_last_product_gets_its_units_after_a_crash_right_behind_its_row() {
        let (_dir, db, ledger) = shop().await;
        let Catalogue { products, .. } = catalogue().unwrap();
        for demo in &products {
            insert(&db, demo, 0, NOW_MS).await.unwrap();
        }
        let (last_index, last) = (products.len() - 1, products.last().unwrap());
        for (index, demo) in products.iter().enumerate().take(last_index) {
            stock(&db, &ledger, index, ProductId(index as i64 + 1), demo, NOW_MS).await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(fill(&db, &ledger, NOW_MS).await.unwrap(), 0);
            let free = ledger.snapshot(ProductId(products.len() as i64)).await.unwrap().free(Pool::Free);
            assert_eq!(free, last.units);
        }
    }

    #[actix_rt::test]
    async fn a_shop_with_goods_of_its_own_is_left_alone() {
        let (_dir, db, ledger) = shop().await;
        let mut own = catalogue().unwrap().products.remove(0);
        own.name = "自家的货".to_owned();
        insert(&db, &own, 0, NOW_MS).await.unwrap();
        assert_eq!(fill(&db, &ledger, NOW_MS).await.unwrap(), 0);
        assert_eq!(products::first_added(&db, 100).await.unwrap().len(), 1);
    }

    #[test]
    fn every_product_has_a_small_picture_of_its_own() {
        let drawn: BTreeSet<String> = assets::photo_names().map(|name| name.into_owned()).collect();
        let wanted: BTreeSet<String> =
            catalogue().unwrap().products.iter().map(|product| format!("{}.svg", product.photo)).collect();
        assert_eq!(drawn, wanted);
        for name in drawn {
            let picture = assets::photo(&name).unwrap();
            assert!(picture.starts_with(b"<svg ") && picture.len() < 6_000, "{name}");
        }
    }
}
