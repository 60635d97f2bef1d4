//! What an inventory actor knows from the stores, and how it learns of changes.
//!
//! **Invariant**: a claim that comes after a change was told to this node ([`News::note`]) is judged by what was read after
//! it, even if the actor was paused or too busy to be told. News are noted first and then told; what nobody could
//! tell in time the actor reads before its next claim.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::prelude::*;
use dashmap::DashMap;
use tokio::sync::oneshot;

use super::{InventoryActor, InventoryDeps, REFRESH_AGAIN_AFTER, RefreshInventory, ReserveRefusal};
use crate::domain::ProductId;
use crate::domain::stock::Ticket;
use crate::persistence::StoreError;
use crate::persistence::ledger::LedgerSnapshot;
use crate::persistence::products::{self, ProductCard};
use crate::persistence::sold_out;

type Answer = Result<Ticket, ReserveRefusal>;
type Judge = dyn FnOnce(&mut InventoryActor, &mut Context<InventoryActor>) -> ResponseFuture<Answer>;

/// Products of which this node has heard that they changed, and which their actors have not read since. One entry at most
/// for each actor in memory; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct News {
    heard: Arc<DashMap<ProductId, u64>>,
    latest: Arc<AtomicU64>,
}

impl News {
    /// Something about the product changed.
    pub fn note(&self, product: ProductId) {
        let number = self.latest.fetch_add(1, Ordering::Relaxed) + 1;
        self.heard.insert(product, number);
    }

    /// True if the product's actor has not read what changed.
    #[must_use]
    pub fn has(&self, product: ProductId) -> bool {
        self.heard.contains_key(&product)
    }

    /// What a read that begins now will know of.
    fn number(&self) -> u64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// A read that began at this [`News::number`] is known to the actor.
    fn forget(&self, product: ProductId, number: u64) {
        self.heard.remove_if(&product, |_, heard| *heard <= number);
    }
}

/// What the stores say of a product.
pub(super) struct Known {
    card: Option<ProductCard>,
    flagged_since_ms: Option<i64>,
    snapshot: LedgerSnapshot,
    /// Of the [`News`] before the first question.
    number: u64,
}

impl Known {
    pub async fn read(deps: &InventoryDeps, product: ProductId) -> Result<Self, StoreError> {
        let number = deps.news.number();
        Ok(Self {
            card: products::card(&deps.db, product).await?,
            flagged_since_ms: sold_out::since(&deps.db, product).await?,
            snapshot: deps.ledger.snapshot(product).await?,
            number,
        })
    }
}

/// A claim that waits until its actor has read the news.
pub(super) struct Unread {
    judge: Box<Judge>,
    reply: oneshot::Sender<Answer>,
}

impl InventoryActor {
    /// Reads card, flag, terms and levels again; false if that failed, and it is then repeated.
    pub(super) fn refresh(&mut self) -> impl ActorFuture<Self, Output = bool> + use<> {
        self.reads_begun += 1;
        let (deps, product, number) = (self.deps.clone(), self.product, self.reads_begun);
        let reading = async move { Known::read(&deps, product).await };
        reading.into_actor(self).map(move |read, actor, ctx| match read {
            Ok(known) if number > actor.read_adopted => {
                actor.read_adopted = number;
                actor.adopt(known);
                true
            }
            Ok(_) => true, // a later read has been adopted
            Err(error) => {
                tracing::warn!(product = %actor.product, %error, "inventory not refreshed, trying again");
                ctx.notify_later(RefreshInventory, REFRESH_AGAIN_AFTER);
                false
            }
        })
    }

    pub(super) fn adopt(&mut self, Known { card, flagged_since_ms, snapshot, number }: Known) {
        (self.card, self.flagged_since_ms) = (card, flagged_since_ms);
        self.sales = snapshot.sales().copied().collect();
        self.levels = snapshot.pools.iter().map(|pool| (pool.pool, pool.free)).collect();
        self.sold_out_until_ms.clear();
        self.deps.news.forget(self.product, number);
    }

    /// Judges a claim, after the news have been read if there are any. What waits for that is bounded as all that the actor
    /// holds is.
    pub(super) fn judge_fresh(
        &mut self,
        ctx: &mut Context<Self>,
        judge: impl FnOnce(&mut Self, &mut Context<Self>) -> ResponseFuture<Answer> + 'static,
    ) -> ResponseFuture<Answer> {
        if self.unread.is_empty() && !self.deps.news.has(self.product) {
            return judge(self, ctx);
        }
        let (reply, answer) = oneshot::channel();
        self.unread.push(Unread { judge: Box::new(judge), reply });
        if self.unread.len() == 1 {
            self.read_news(ctx);
        }
        Box::pin(async move { answer.await.unwrap_or(Err(ReserveRefusal::OutcomeUnknown)) })
    }

    fn read_news(&mut self, ctx: &mut Context<Self>) {
        let reading = self.refresh();
        ctx.spawn(reading.map(|is_read, actor, ctx| {
            if is_read && actor.deps.news.has(actor.product) {
                return actor.read_news(ctx); // something changed meanwhile
            }
            for Unread { judge, reply } in std::mem::take(&mut actor.unread) {
                if is_read {
                    let answer = judge(actor, ctx);
                    actix_rt::spawn(async move { reply.send(answer.await) });
                } else {
                    let retry_after_ms = u64::try_from(REFRESH_AGAIN_AFTER.as_millis()).unwrap_or(u64::MAX);
                    let _ = reply.send(Err(ReserveRefusal::Overloaded { retry_after_ms }));
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_stay_until_a_read_that_began_after_them() {
        let (news, product) = (News::default(), ProductId(7));
        let before = news.number();
        news.note(product);
        news.note(ProductId(8));
        news.forget(product, before);
        assert!(news.has(product), "that read may not have seen it");
        let after = news.number();
        news.note(product);
        news.forget(product, after);
        assert!(news.has(product), "it changed again");
        news.forget(product, news.number());
        assert!(!news.has(product));
        assert!(news.has(ProductId(8)));
    }
}
