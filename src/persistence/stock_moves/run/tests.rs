//! A move of stock is finished from wherever it stopped.

use super::super::FIXED_ID_PREFIX;
use super::super::purging::purge;
use super::super::{resume_pending, run};
use super::*;
use crate::domain::order::{CancelReason, Command};
use crate::domain::sale::SaleWindow;
use crate::domain::{Money, SaleId};
use crate::persistence::fixture::{NOW_MS, PRODUCT, Shop};
use crate::persistence::recovery;
use crate::persistence::sales::{NewSale, SaleRefusal};
use crate::persistence::testing::database_with;

const ID: &str = "01JD0000000000000000000000";

impl Shop {
    fn a_move<'a>(&'a self, move_id: &'a str) -> Move<'a> {
        Move { db: &self.db, ledger: &self.ledger, move_id, product: PRODUCT, now_ms: NOW_MS }
    }

    async fn run(&self, move_id: &str, plan: StockPlan) -> Result<MoveDone, MoveRefusal> {
        run(&self.db, &self.ledger, move_id, PRODUCT, plan, NOW_MS).await.unwrap()
    }

    async fn plan(&self, move_id: &str, opens_at_ms: i64, units_planned: i64) -> Result<sales::Sale, SaleRefusal> {
        let terms = terms(SaleId(0), opens_at_ms);
        let new = NewSale { move_id, product: PRODUCT, terms, units_planned, admissions_per_second: None };
        sales::insert(&self.db, new, NOW_MS).await.unwrap()
    }
}

fn terms(sale: SaleId, opens_at_ms: i64) -> SaleTerms {
    let window = SaleWindow::new(opens_at_ms, opens_at_ms + 1_000).unwrap();
    SaleTerms { sale, window, unit_price: Money::from_fen(5), units_per_buyer_max: 1, closed: false }
}

/// Every plan that can be cut off between steps, with what is free in the free pool and in the sale afterwards.
async fn plans(shop: &Shop) -> Vec<(StockPlan, i64, i64)> {
    let sale = shop.sale(4, 1).await; // leaves 6 free
    vec![
        (StockPlan::PutIn { units: 3 }, 9, 4),
        (StockPlan::TakeOut { units: 2 }, 4, 4),
        (StockPlan::SetFree { units: 1 }, 1, 4),
        (StockPlan::SetFree { units: 20 }, 20, 4),
        (StockPlan::RestockSale { sale, units: 5 }, 1, 9),
        (StockPlan::RestockSale { sale, units: -4 }, 10, 0),
        (StockPlan::SetSale { sale, units: 6 }, 4, 6),
        (StockPlan::SetSale { sale, units: 1 }, 9, 1),
        (StockPlan::CloseSale { sale }, 10, 0),
    ]
}

#[actix_rt::test]
async fn a_move_cut_off_after_any_step_is_finished_once() {
    finish_what_was_cut_off(async |_| {}).await;
}

#[actix_rt::test]
async fn r16_a_move_is_finished_once_though_the_ledger_was_rebuilt_in_between() {
    finish_what_was_cut_off(async |shop| {
        let rebuilt = recovery::rebuild(&shop.db, &shop.ledger, PRODUCT, NOW_MS).await.unwrap();
        assert_eq!(rebuilt, recovery::Rebuilt::Done);
    })
    .await;
}

async fn finish_what_was_cut_off(meanwhile: impl AsyncFn(&Shop)) {
    for plan_index in 0..9 {
        for steps_done in 0..=3 {
            let shop = Shop::with_units(10).await;
            let (plan, free_after, sale_after) = plans(&shop).await[plan_index];
            let a_move = shop.a_move(ID);
            begin(shop.db.writer(), ID, PRODUCT, plan, NOW_MS).await.unwrap();
            let (_, stored, _) = a_move.load().await.unwrap();
            if steps_done >= 1 {
                let stored = a_move.resolve(stored).await.unwrap().unwrap();
                let units = a_move.withdraw(&stored).await.unwrap().unwrap();
                if steps_done >= 2 {
                    a_move.write(Stored { units, ..stored }).await.unwrap();
                }
                if steps_done == 3 {
                    let (_, stored, _) = a_move.load().await.unwrap();
                    let to = stored.transfer.and_then(|transfer| transfer.to);
                    if let Some(to) = to {
                        let step_id = format!("{ID}:d");
                        shop.ledger.deposit(&step_id, PRODUCT, to, stored.units, NOW_MS).await.unwrap();
                    }
                }
            }
            meanwhile(&shop).await;
            assert!(!shop.report().await.is_sound(), "the pending move is seen");
            assert_eq!(resume_pending(&shop.db, &shop.ledger, 1, NOW_MS).await.unwrap(), [], "too young");
            assert_eq!(resume_pending(&shop.db, &shop.ledger, 0, NOW_MS).await.unwrap(), [PRODUCT]);
            let again = shop.run(ID, plan).await.unwrap();
            assert_eq!(shop.run(ID, plan).await.unwrap(), again);
            let sale = shop.ledger.snapshot(PRODUCT).await.unwrap().pools.iter().map(|pool| pool.free).nth(1);
            let context = format!("{plan:?} after {steps_done} steps");
            assert_eq!((shop.free(Pool::Free).await, sale), (free_after, Some(sale_after)), "{context}");
            shop.assert_sound().await;
        }
    }
}

#[actix_rt::test]
async fn r15_set_free_is_a_difference_while_units_are_sold() {
    let shop = Shop::with_units(10).await;
    let a_move = shop.a_move(ID);
    begin(shop.db.writer(), ID, PRODUCT, StockPlan::SetFree { units: 7 }, NOW_MS).await.unwrap();
    let (_, stored, _) = a_move.load().await.unwrap();
    let resolved = a_move.resolve(stored).await.unwrap().unwrap();
    assert_eq!(resolved.transfer.unwrap().take, Withdraw::UpTo(3));
    shop.order(Pool::Free, 1, 2).await; // sold between the look and the withdrawal
    assert_eq!(a_move.finish().await.unwrap(), Ok(MoveDone { units: -3 }));
    assert_eq!(shop.free(Pool::Free).await, 5, "7 wanted, 2 of them sold");
    shop.order(Pool::Free, 1, 5).await;
    assert_eq!(shop.run("01JD0000000000000000000001", StockPlan::SetFree { units: 4 }).await.unwrap().units, 4);
    assert_eq!(shop.free(Pool::Free).await, 4);
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn a_move_holds_the_rows_of_its_product_on_one_connection() {
    let shop = Shop::on(database_with(|settings| settings.connections_max = 1).await, 10).await;
    let sale = shop.sale(4, 2).await;
    for (index, (plan, moved)) in [
        (StockPlan::SetFree { units: 9 }, 3),
        (StockPlan::SetSale { sale, units: 1 }, -3),
        (StockPlan::RestockSale { sale, units: 2 }, 2),
        (StockPlan::CloseSale { sale }, 3),
    ]
    .into_iter()
    .enumerate()
    {
        // With a second connection needed there would be no end: nobody else gives this one back.
        assert_eq!(shop.run(&format!("01JD{index:022}"), plan).await, Ok(MoveDone { units: moved }), "{plan:?}");
    }
}

#[actix_rt::test]
async fn a_sale_set_twice_to_the_same_units_has_them_once() {
    let shop = Shop::with_units(10).await;
    let sale = shop.sale(4, 2).await;
    for (move_id, moved) in [("01JD0000000000000000000001", 2), ("01JD0000000000000000000002", 0)] {
        let plan = StockPlan::SetSale { sale, units: 6 };
        assert_eq!(shop.run(move_id, plan).await, Ok(MoveDone { units: moved }));
    }
    shop.order(Pool::Sale(sale), 1, 2).await;
    let plan = StockPlan::SetSale { sale, units: 1 };
    assert_eq!(shop.run("01JD0000000000000000000003", plan).await, Ok(MoveDone { units: -3 }));
    assert_eq!((shop.free(Pool::Sale(sale)).await, shop.free(Pool::Free).await), (1, 7));
    assert_eq!(sales::find(&shop.db, sale).await.unwrap().unwrap().sale.units_planned, 3, "1 left and 2 sold");
    let plan = StockPlan::SetSale { sale, units: 99 };
    assert_eq!(shop.run(ID, plan).await, Err(MoveRefusal::Short { units_left: 7 }));
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn a_sale_gets_its_units_after_a_crash_right_behind_its_row() {
    let shop = Shop::with_units(10).await;
    let sale = shop.plan(ID, NOW_MS, 4).await.unwrap().terms.sale;
    assert_eq!(shop.plan(ID, NOW_MS, 4).await.unwrap().terms.sale, sale, "a repeat");
    resume_pending(&shop.db, &shop.ledger, 0, NOW_MS).await.unwrap();
    assert_eq!((shop.free(Pool::Sale(sale)).await, shop.free(Pool::Free).await), (4, 6));
    assert_eq!(sales::of_product(&shop.db, PRODUCT).await.unwrap().len(), 1);
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn only_moves_that_ended_a_week_ago_are_forgotten() {
    let shop = Shop::with_units(10).await;
    let fixed = format!("{FIXED_ID_PREFIX}0000000000000000000000");
    shop.run(&fixed, StockPlan::TakeOut { units: 1 }).await.unwrap();
    shop.run(ID, StockPlan::TakeOut { units: 1 }).await.unwrap();
    let pending = "01JD0000000000000000000001";
    begin(shop.db.writer(), pending, PRODUCT, StockPlan::TakeOut { units: 3 }, NOW_MS).await.unwrap();
    let a_move = shop.a_move(pending);
    let stored = a_move.resolve(a_move.load().await.unwrap().1).await.unwrap().unwrap();
    a_move.withdraw(&stored).await.unwrap().unwrap();
    let later_ms = NOW_MS + super::super::KEPT_MS;
    assert_eq!(purge(&shop.db, later_ms - super::super::KEPT_MS).await.unwrap(), 0, "too young");
    assert!(super::super::purge(&shop.db, later_ms + 1).await.unwrap() > 0);
    assert_eq!(planned(shop.db.reader(), ID).await.unwrap(), None);
    resume_pending(&shop.db, &shop.ledger, 0, NOW_MS).await.unwrap();
    shop.run(&fixed, StockPlan::TakeOut { units: 1 }).await.unwrap();
    assert_eq!(shop.free(Pool::Free).await, 5, "the pending and the fixed move took their units once");
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn short_pools_refuse_and_change_nothing() {
    let shop = Shop::with_units(3).await;
    assert_eq!(shop.run(ID, StockPlan::TakeOut { units: 4 }).await, Err(MoveRefusal::Short { units_left: 3 }));
    assert_eq!(shop.run(ID, StockPlan::TakeOut { units: 4 }).await, Err(MoveRefusal::Short { units_left: 3 }));
    let plan = StockPlan::PutIn { units: -1 };
    assert_eq!(shop.run("01JD0000000000000000000001", plan).await, Err(MoveRefusal::OutOfRange));
    let plan = StockPlan::CloseSale { sale: SaleId(9) };
    assert_eq!(shop.run("01JD0000000000000000000002", plan).await, Err(MoveRefusal::NoSuchSale));
    let move_id = "01JD0000000000000000000003";
    let sale = shop.plan(move_id, NOW_MS, 5).await.unwrap();
    let plan = StockPlan::PlanSale { terms: sale.terms, units: 5 };
    assert_eq!(shop.run(move_id, plan).await, Err(MoveRefusal::Short { units_left: 3 }));
    assert_eq!(sales::find(&shop.db, sale.terms.sale).await.unwrap(), None, "a sale without units goes");
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn units_that_only_the_ledger_has_are_put_back_there() {
    let shop = Shop::with_units(3).await;
    shop.sql("UPDATE stock SET free = 1, put_in = 1").await;
    assert_eq!(shop.run(ID, StockPlan::TakeOut { units: 2 }).await, Err(MoveRefusal::Short { units_left: 1 }));
    assert_eq!(shop.free(Pool::Free).await, 3);
    assert_eq!(shop.run(ID, StockPlan::TakeOut { units: 2 }).await, Err(MoveRefusal::Short { units_left: 1 }));
    assert_eq!(shop.free(Pool::Free).await, 3);
}

#[actix_rt::test]
async fn sales_of_one_product_never_overlap() {
    let shop = Shop::with_units(10).await;
    let insert = async |opens_at_ms| shop.plan(&shop.next_no().to_string(), opens_at_ms, 1).await;
    let first = insert(1_000).await.unwrap().terms.sale;
    assert_eq!(insert(1_999).await, Err(SaleRefusal::Overlaps { other: first }));
    let second = insert(2_000).await.unwrap().terms.sale;
    let moved = sales::check_change(&shop.db, &terms(second, 1_500)).await.unwrap();
    assert_eq!(moved, Err(SaleRefusal::Overlaps { other: first }));
    sales::check_change(&shop.db, &terms(second, 2_500)).await.unwrap().unwrap();
    shop.run(ID, StockPlan::ChangeTerms { terms: terms(second, 2_500) }).await.unwrap();
    let known = sales::find(&shop.db, second).await.unwrap().unwrap();
    assert_eq!(known.sale.terms, terms(second, 2_500));
    let in_ledger = shop.ledger.snapshot(PRODUCT).await.unwrap();
    assert_eq!(in_ledger.sales().collect::<Vec<_>>(), [&known.sale.terms]);
    shop.run("01JD0000000000000000000001", StockPlan::CloseSale { sale: first }).await.unwrap();
    assert_eq!(sales::check_change(&shop.db, &terms(first, 9_000)).await.unwrap(), Err(SaleRefusal::Closed));
    insert(1_000).await.unwrap();
    assert_eq!(sales::list(&shop.db, (None, None), 0, 10).await.unwrap().1, 3);
    assert_eq!(sales::list(&shop.db, (Some(0), None), 0, 10).await.unwrap().1, 2);
    assert_eq!(sales::list(&shop.db, (Some(2_000), None), 0, 10).await.unwrap().1, 1);
    assert_eq!(sales::list(&shop.db, (None, Some(PRODUCT)), 1, 10).await.unwrap().0.len(), 2);
    assert_eq!(sales::list(&shop.db, (None, Some(ProductId(99))), 0, 10).await.unwrap(), (Vec::new(), 0));
    assert_eq!(sales::of_product(&shop.db, PRODUCT).await.unwrap().len(), 3);
}

#[actix_rt::test]
async fn units_cancelled_into_a_closed_sale_are_found_and_brought_home() {
    let shop = Shop::with_units(10).await;
    let sale = shop.sale(4, 2).await;
    let order_no = shop.order(Pool::Sale(sale), 1, 1).await.order.order_no;
    assert_eq!(shop.moves(PRODUCT, StockPlan::CloseSale { sale }).await, 3);
    assert!(sales::stranded(&shop.db, 10).await.unwrap().is_empty());
    shop.command(order_no, &Command::Cancel { reason: CancelReason::Buyer }).await;
    shop.settle_all().await;
    assert_eq!(sales::stranded(&shop.db, 10).await.unwrap(), [(PRODUCT, sale)]);
    assert_eq!(shop.moves(PRODUCT, StockPlan::CloseSale { sale }).await, 1);
    assert_eq!(shop.free(Pool::Free).await, 10);
    let plan = StockPlan::RestockSale { sale, units: 1 };
    assert_eq!(shop.run(ID, plan).await, Err(MoveRefusal::SaleClosed));
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn r15_of_two_settings_that_overlap_the_later_sees_the_earlier() {
    let shop = Shop::with_units(10).await;
    let ids: Vec<String> = (0..6).map(|number| format!("01JD{number:022}")).collect();
    let wanted = [40, 3, 25, 0, 12, 30];
    let moves = ids.iter().zip(wanted).map(|(id, units)| shop.run(id, StockPlan::SetFree { units }));
    for outcome in futures::future::join_all(moves).await {
        outcome.unwrap();
    }
    let free = stock::of_product(&shop.db, PRODUCT).await.unwrap()[0].free;
    assert!(wanted.contains(&free), "{free} is what nobody set");
    assert_eq!(shop.ledger.snapshot(PRODUCT).await.unwrap().free(Pool::Free), free);
}
