//! Names and pictures of products for answers that must not cost a database read each.
//!
//! An answer may show a name that is up to `FRESH` old; prices and units never come from here.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::domain::ProductId;
use crate::persistence::products::{self, ProductCard};
use crate::persistence::{Db, StoreError};

const FRESH: Duration = Duration::from_secs(2);
const CARDS_MAX: u64 = 10_000;

/// Recently shown cards.
#[derive(Clone, Debug)]
pub struct ProductCards {
    cards: Cache<ProductId, Option<ProductCard>>,
}

impl Default for ProductCards {
    fn default() -> Self {
        Self::new()
    }
}

impl ProductCards {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self { cards: Cache::builder().max_capacity(CARDS_MAX).time_to_live(FRESH).build() }
    }

    /// The card, read at most once in `FRESH` however many ask.
    ///
    /// # Errors
    /// What the reader of the moment got.
    pub async fn get(&self, db: &Db, product: ProductId) -> Result<Option<ProductCard>, Arc<StoreError>> {
        self.cards.try_get_with(product, products::card(db, product)).await
    }

    /// Forgets a card that changed.
    pub async fn forget(&self, product: ProductId) {
        self.cards.invalidate(&product).await;
    }
}
