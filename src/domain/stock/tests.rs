//! Tables of `judge`, and random batches against a reference that counts in the simplest way.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::domain::ids::OrderNoSequence;
use crate::domain::sale::SaleWindow;

const OPENS_MS: i64 = 1_000;
const CLOSES_MS: i64 = 2_000;
const SALE: SaleId = SaleId(3);

fn number(of: u8) -> OrderNo {
    OrderNoSequence::new(0).next(1_795_000_000_000 + i64::from(of), 1)
}

fn claim(of: u8, buyer: i64, units: i64) -> Claim {
    Claim {
        order_no: number(of),
        buyer: BuyerId(buyer),
        product: ProductId(42),
        pool: Pool::Sale(SALE),
        quantity: Quantity::try_from(units).unwrap(),
        unit_price: Money::from_fen(1_999),
        kind: TicketKind::Owed,
        details: OrderDetails::default(),
    }
}

fn terms(units_per_buyer_max: i64) -> SaleTerms {
    let window = SaleWindow::new(OPENS_MS, CLOSES_MS).unwrap();
    SaleTerms { sale: SALE, window, unit_price: Money::from_fen(1_999), units_per_buyer_max, closed: false }
}

fn had(units: i64) -> Option<BuyerUnits> {
    Some(BuyerUnits { units, latest: number(0) })
}

#[test]
fn quantities_are_1_to_999() {
    for units in [i64::MIN, -1, 0, 1_000, i64::MAX] {
        assert_eq!(Quantity::try_from(units), Err(QuantityError), "{units}");
    }
    for units in [1, 999] {
        assert_eq!(Quantity::try_from(units).map(Quantity::units), Ok(units));
    }
    assert!(serde_json::from_str::<Quantity>("0").is_err() && serde_json::from_str::<Quantity>("1.5").is_err());
}

#[test]
fn reasons_are_judged_in_their_order() {
    // Each row is refused for its reason though every later reason applies, too.
    let open = OPENS_MS;
    for (marker, now_ms, buyer, units_free, verdict) in [
        (Marker::Taken, CLOSES_MS, had(2), 0, Ok(Verdict::AlreadyTaken)),
        (Marker::Returned, CLOSES_MS, had(2), 0, Err(ClaimRejection::Withdrawn)),
        (Marker::None, OPENS_MS - 1, had(2), 0, Err(ClaimRejection::NotStarted { opens_at_ms: OPENS_MS })),
        (Marker::None, CLOSES_MS, had(2), 0, Err(ClaimRejection::Ended)),
        (Marker::None, open, had(2), 0, Err(ClaimRejection::AlreadyBought { order_no: number(0) })),
        (Marker::None, open, had(1), 0, Err(ClaimRejection::OverLimit { units_per_buyer_max: 2 })),
        (Marker::None, open, None, 0, Err(ClaimRejection::SoldOut)),
        (Marker::None, open, None, -1, Err(ClaimRejection::SoldOut)),
        (Marker::None, open, None, 1, Err(ClaimRejection::StockShort { units_left: 1 })),
        (Marker::None, open, None, 2, Ok(Verdict::Take)),
        (Marker::None, CLOSES_MS - 1, had(0), 2, Ok(Verdict::Take)),
    ] {
        let answer = judge(&claim(1, 7, 2), marker, Some(&terms(2)), buyer, units_free, now_ms);
        assert_eq!(answer, verdict, "{marker:?} at {now_ms}, {buyer:?}, {units_free} free");
    }
}

#[test]
fn r1_a_repeat_is_known_when_nothing_is_left() {
    let repeat = judge(&claim(1, 7, 1), Marker::Taken, Some(&terms(1)), had(1), 0, OPENS_MS);
    assert_eq!(repeat, Ok(Verdict::AlreadyTaken));
}

#[test]
fn r10_two_claims_of_one_batch_are_both_counted() {
    let mut pool = Ledger::new(3, 2);
    assert_eq!(pool.take(&claim(1, 7, 2)), Ok(Verdict::Take));
    assert_eq!(pool.take(&claim(2, 7, 1)), Err(ClaimRejection::AlreadyBought { order_no: number(1) }));
    assert_eq!(pool.take(&claim(3, 8, 2)), Err(ClaimRejection::StockShort { units_left: 1 }));
    assert_eq!(pool.take(&claim(4, 8, 1)), Ok(Verdict::Take));
    assert_eq!(pool.take(&claim(5, 9, 1)), Err(ClaimRejection::SoldOut));
}

#[test]
fn r13_a_claim_that_was_given_back_before_it_came_is_refused() {
    let mut pool = Ledger::new(1, 1);
    pool.give_back(&claim(1, 7, 1));
    assert_eq!(pool.take(&claim(1, 7, 1)), Err(ClaimRejection::Withdrawn));
    assert_eq!(pool.units_free, 1, "no phantom unit");
}

#[test]
fn r18_a_cancelled_order_frees_the_buyers_limit_once() {
    let mut pool = Ledger::new(5, 1);
    pool.take(&claim(1, 7, 1)).unwrap();
    pool.give_back(&claim(1, 7, 1));
    pool.give_back(&claim(1, 7, 1));
    assert_eq!(pool.take(&claim(2, 7, 1)), Ok(Verdict::Take));
    assert!(matches!(pool.take(&claim(3, 7, 1)), Err(ClaimRejection::AlreadyBought { .. })));
    assert_eq!(pool.units_free, 4);
}

#[test]
fn a_sale_closed_by_hand_has_ended() {
    let closed = SaleTerms { closed: true, ..terms(1) };
    let answer = judge(&claim(1, 7, 1), Marker::None, Some(&closed), None, 5, OPENS_MS);
    assert_eq!(answer, Err(ClaimRejection::Ended));
}

#[test]
fn the_free_pool_has_neither_window_nor_limit() {
    let claim = Claim { pool: Pool::Free, ..claim(1, 7, 999) };
    assert_eq!(judge(&claim, Marker::None, None, had(5_000), 999, 0), Ok(Verdict::Take));
    let short = judge(&claim, Marker::None, None, None, 998, 0);
    assert_eq!(short, Err(ClaimRejection::StockShort { units_left: 998 }));
}

#[test]
fn t17_a_ticket_costs_price_times_quantity_to_the_fen() {
    let ticket = Ticket { claim: claim(1, 7, 3), accepted_at_ms: 0, epoch: 0 };
    assert_eq!(ticket.total().fen(), 5_997);
}

#[test]
fn r63_a_claim_and_a_ticket_keep_their_text() {
    let ticket = Ticket { claim: claim(1, 7, 3), accepted_at_ms: 9, epoch: 0 };
    let text = format!(
        r#"{{"claim":{{"order_no":"{}","buyer":7,"product":42,"pool":3,"quantity":3,"unit_price":1999,"kind":"owed","details":{{}}}},"accepted_at_ms":9}}"#,
        number(1)
    );
    assert_eq!(serde_json::to_string(&ticket).unwrap(), text);
    assert_eq!(serde_json::from_str::<Ticket>(&text).unwrap(), ticket);
    let known = Ticket { epoch: 4, ..ticket };
    let text = serde_json::to_string(&known).unwrap();
    assert!(text.ends_with(r#""accepted_at_ms":9,"epoch":4}"#), "{text}");
    assert_eq!(serde_json::from_str::<Ticket>(&text).unwrap(), known);
}

/// What a ledger does around `judge`: reads, judges, writes marker, buyer and stock together.
struct Ledger {
    terms: SaleTerms,
    units_free: i64,
    markers: HashMap<OrderNo, Marker>,
    buyers: HashMap<BuyerId, BuyerUnits>,
}

impl Ledger {
    fn new(units_free: i64, units_per_buyer_max: i64) -> Self {
        Self { terms: terms(units_per_buyer_max), units_free, markers: HashMap::new(), buyers: HashMap::new() }
    }

    fn take(&mut self, claim: &Claim) -> Result<Verdict, ClaimRejection> {
        let marker = self.markers.get(&claim.order_no).copied().unwrap_or(Marker::None);
        let buyer = self.buyers.get(&claim.buyer).copied();
        let verdict = judge(claim, marker, Some(&self.terms), buyer, self.units_free, OPENS_MS)?;
        if verdict == Verdict::Take {
            self.markers.insert(claim.order_no, Marker::Taken);
            self.units_free -= claim.quantity.units();
            let units = buyer.map_or(0, |b| b.units) + claim.quantity.units();
            self.buyers.insert(claim.buyer, BuyerUnits { units, latest: claim.order_no });
        }
        Ok(verdict)
    }

    fn give_back(&mut self, claim: &Claim) {
        if self.markers.insert(claim.order_no, Marker::Returned) == Some(Marker::Taken) {
            self.units_free += claim.quantity.units();
            if let Some(buyer) = self.buyers.get_mut(&claim.buyer) {
                buyer.units -= claim.quantity.units();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A step is a claim (its number fixes buyer and units, so a second one is a retry) or its give-back.
    #[test]
    fn any_batch_conserves_units_and_limits(
        put_in in 0..30_i64,
        units_per_buyer_max in 1..5_i64,
        shapes in prop::collection::vec((0..4_i64, 1..4_i64), 24),
        steps in prop::collection::vec((0..24_u8, prop::bool::weighted(0.25)), 0..120),
    ) {
        let mut ledger = Ledger::new(put_in, units_per_buyer_max);
        // The reference: nothing but the sets of numbers that hold units, and that were withdrawn.
        let mut holds: HashSet<u8> = HashSet::new();
        let mut withdrawn: HashSet<u8> = HashSet::new();
        let units_of = |holds: &HashSet<u8>, wanted: &dyn Fn(i64) -> bool| -> i64 {
            holds.iter().map(|of| shapes[usize::from(*of)]).filter(|(buyer, _)| wanted(*buyer)).map(|(_, u)| u).sum()
        };
        for (of, gives_back) in steps {
            let (buyer, units) = shapes[usize::from(of)];
            if gives_back {
                ledger.give_back(&claim(of, buyer, units));
                holds.remove(&of);
                withdrawn.insert(of);
            } else {
                let mine = units_of(&holds, &|b| b == buyer);
                let fits = mine + units <= units_per_buyer_max && units_of(&holds, &|_| true) + units <= put_in;
                let expected = holds.contains(&of) || (!withdrawn.contains(&of) && fits);
                let answer = ledger.take(&claim(of, buyer, units));
                prop_assert_eq!(answer.is_ok(), expected, "{:?}", answer);
                prop_assert_eq!(answer == Ok(Verdict::AlreadyTaken), holds.contains(&of));
                if expected {
                    holds.insert(of);
                }
            }
            prop_assert_eq!(ledger.units_free, put_in - units_of(&holds, &|_| true));
            prop_assert!(ledger.units_free >= 0);
            prop_assert!((0..4).all(|buyer| units_of(&holds, &|b| b == buyer) <= units_per_buyer_max));
        }
    }
}
