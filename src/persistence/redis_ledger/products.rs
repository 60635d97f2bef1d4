//! Which products have an account, and of which product an order accepted here is.
//!
//! The list of products lies in Redis, so that any node goes over all accounts; what this node has entered it remembers, and
//! looks there too, in case Redis forgot. The orders accepted here are remembered in two generations of bounded size: a
//! hash map costs the hot path 50 ns an order, where a cache that orders its entries by use costs more than the script.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::RedisLedger;
use crate::domain::{OrderNo, ProductId};
use crate::persistence::error::StoreError;

/// Orders in one generation; two of them are about 5 MB.
const GENERATION_MAX: usize = 65_536;

/// What this node has learned.
#[derive(Default)]
pub(super) struct Products {
    entered: Mutex<HashSet<ProductId>>,
    orders: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<OrderNo, ProductId>,
    old: HashMap<OrderNo, ProductId>,
}

impl Products {
    /// Remembers orders accepted here.
    pub(super) fn learn(&self, product: ProductId, orders: impl Iterator<Item = OrderNo>) {
        let mut generations = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        for order_no in orders {
            if generations.young.len() >= GENERATION_MAX {
                generations.old = std::mem::take(&mut generations.young);
            }
            generations.young.insert(order_no, product);
        }
    }

    /// Of which product an order is, if it was accepted here not long ago.
    pub(super) fn of_order(&self, order_no: OrderNo) -> Option<ProductId> {
        let generations = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.get(&order_no).or_else(|| generations.old.get(&order_no)).copied()
    }

    fn is_entered(&self, product: ProductId) -> bool {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner).contains(&product)
    }
}

impl RedisLedger {
    /// Enters a product into the list before its first use by this node.
    pub(super) async fn enter(&self, product: ProductId) -> Result<(), StoreError> {
        if self.products.is_entered(product) { Ok(()) } else { self.enter_again(product).await }
    }

    /// Enters a product into the list, also if Redis has forgotten that it was there.
    pub(super) async fn enter_again(&self, product: ProductId) -> Result<(), StoreError> {
        let add = redis::cmd("SADD").arg(self.redis.products_key()).arg(product.0).to_owned();
        let () = self.redis.command("listing a product", &add).await?;
        self.products.entered.lock().unwrap_or_else(PoisonError::into_inner).insert(product);
        Ok(())
    }

    /// All products that ever had an account.
    pub(super) async fn all_products(&self) -> Result<Vec<ProductId>, StoreError> {
        let members = redis::cmd("SMEMBERS").arg(self.redis.products_key()).to_owned();
        let listed: Vec<i64> = self.redis.command("reading the list of products", &members).await?;
        let entered = self.products.entered.lock().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<ProductId> = listed.into_iter().map(ProductId).chain(entered.iter().copied()).collect();
        Ok(all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OrderNoSequence;

    #[test]
    fn an_order_is_remembered_for_a_generation_and_the_memory_is_bounded() {
        let (products, mut sequence) = (Products::default(), OrderNoSequence::new(1));
        let orders: Vec<OrderNo> = (0..3 * GENERATION_MAX as u128 + 5).map(|i| sequence.next(1, i)).collect();
        for order_no in &orders {
            products.learn(ProductId(7), [*order_no].into_iter());
        }
        assert_eq!(products.of_order(orders[0]), None);
        assert!(orders.iter().rev().take(GENERATION_MAX).all(|order| products.of_order(*order) == Some(ProductId(7))));
        let generations = products.orders.lock().unwrap();
        assert!(generations.young.len() <= GENERATION_MAX && generations.old.len() <= GENERATION_MAX);
    }
}
