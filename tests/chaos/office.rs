//! The administrator's day: sales are planned, restocked and closed, stock is set, while everybody buys and things break.
//!
//! Nobody touches the ordinary stock of the first products after they were made: whatever is moved in and out of their
//! sales, what was put in stays what it was, to the unit. That is known without asking the shop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::client::{Address, Person};
use crate::support::load::Dice;
use crate::support::verbs::{Product, Sale, SalePlan};

/// Units of a product at the beginning.
pub const UNITS: i64 = 1_500;

/// The administrator and what he does.
#[derive(Clone)]
pub struct Office {
    admin: Person,
    doors: Vec<Address>,
    /// Only their sales change.
    sealed: Vec<Product>,
    /// Their ordinary stock is set too.
    restocked: Vec<Product>,
    /// Acknowledged changes.
    pub done: Arc<AtomicU64>,
}

impl Office {
    /// Makes the products, each with an open sale.
    pub async fn open(admin: &Person, doors: Vec<Address>) -> Self {
        let mut products = Vec::new();
        for name in ["sealed one", "sealed two", "restocked one", "restocked two"] {
            let product = admin.make_product(name, 59.9, UNITS).await;
            admin.plan_sale(&product, SalePlan::open_now(60).per_buyer(2)).await;
            products.push(product);
        }
        let restocked = products.split_off(2);
        Self { admin: admin.clone(), doors, sealed: products, restocked, done: Arc::default() }
    }

    /// All products.
    pub fn products(&self) -> Vec<Product> {
        [&self.sealed[..], &self.restocked].concat()
    }

    /// Those whose put-in units never change.
    pub fn sealed(&self) -> &[Product] {
        &self.sealed
    }

    /// Works until `stop` is raised.
    pub fn work(&self, seed: u64, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
        let (mut office, stop) = (self.clone(), Arc::clone(stop));
        let mut dice = Dice::new(seed ^ 0x0ff1ce);
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                office.act(&mut dice).await;
                tokio::time::sleep(Duration::from_millis(100 + dice.below(400))).await;
            }
        })
    }

    /// Looks at a product's sale and does something about it. An answer that is lost is seen at the next look.
    async fn act(&mut self, dice: &mut Dice) {
        let products = self.products();
        let product = products[dice.below(products.len() as u64) as usize];
        self.admin.address = self.doors[dice.below(self.doors.len() as u64) as usize].clone();
        if self.restocked.contains(&product) && dice.below(4) == 0 {
            self.note(self.admin.set_stock(&product, 300 + dice.below(600) as i64).await.is_accepted());
            return;
        }
        let sales = self.admin.get("/api/seckill?page_size=100").await;
        let Some(list) = sales.data["list"].as_array().filter(|_| sales.is_accepted()) else { return };
        let current = list.iter().find(|sale| sale["product_id"] == product.id && sale["closed"] == Value::Bool(false));
        let done = match current {
            None => {
                let plan = SalePlan::open_now(20 + dice.below(100) as i64).per_buyer(1 + dice.below(3) as i64);
                self.admin.plan_sale_by_clock(&product, plan).await
            }
            Some(sale) => {
                let sale = Sale { id: sale["id"].as_i64().unwrap_or_default(), product };
                match dice.below(10) {
                    0..4 => self.admin.close_sale(&sale).await,
                    4..7 => self.admin.change_sale(&sale, &json!({ "stock": dice.below(80) })).await,
                    _ => return,
                }
            }
        };
        self.note(done.is_accepted());
    }

    fn note(&self, is_done: bool) {
        self.done.fetch_add(u64::from(is_done), Ordering::Relaxed);
    }
}
