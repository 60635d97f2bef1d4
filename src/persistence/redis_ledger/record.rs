//! How tickets, terms and answers are written in Redis: short texts that Lua can take apart with one pattern.

use std::borrow::Cow;

use redis::Value;

use crate::domain::sale::{SaleTerms, SaleWindow};
use crate::domain::stock::{Claim, ClaimRejection, OrderDetails, Pool, Quantity, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, ProductId, SaleId};
use crate::persistence::dead_tickets::RawTicket;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::TicketRef;
use crate::persistence::query;

/// Details of a claim that says nothing about delivery, as most do in a rush.
const NO_DETAILS: &str = "{}";

/// A value as text; what is no text is empty.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::SimpleString(text) => Cow::Borrowed(text),
        Value::Okay => Cow::Borrowed("OK"),
        Value::Int(number) => Cow::Owned(number.to_string()),
        _ => Cow::Borrowed(""),
    }
}

pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt { what: format!("the ledger's answer to {what}") }
}

/// The account's epoch, with which an answer begins, and what comes after it.
pub(super) fn epoch_and_rest<'a>(reply: &'a [Value], what: &str) -> Result<(i64, &'a [Value]), StoreError> {
    let (epoch, rest) = reply.split_first().ok_or_else(|| corrupt(what))?;
    Ok((number(&text(epoch), what)?, rest))
}

/// A whole number in an answer.
pub(super) fn number(text: &str, what: &str) -> Result<i64, StoreError> {
    text.parse().map_err(|_| corrupt(what))
}

/// The name of a buyer's account.
pub(super) fn account(pool: Pool, buyer: BuyerId) -> String {
    format!("{}:{buyer}", i64::from(pool))
}

pub(super) const fn kind(claim: &Claim) -> &'static str {
    match claim.kind {
        TicketKind::Owed => "o",
        TicketKind::Prepared => "p",
    }
}

pub(super) fn details(claim: &Claim) -> Result<Cow<'static, str>, StoreError> {
    if claim.details == OrderDetails::default() {
        return Ok(Cow::Borrowed(NO_DETAILS));
    }
    query::to_json(&claim.details, "order details").map(Cow::Owned)
}

/// Reads `<pool>:<buyer> <units> <o|p> <price fen> <accepted ms> <details>`.
pub(super) fn ticket(order_no: OrderNo, product: ProductId, text: &str) -> Result<Ticket, StoreError> {
    let unreadable = || StoreError::Corrupt { what: format!("ticket {order_no}") };
    let parts: Vec<&str> = text.splitn(6, ' ').collect();
    let [account, units, kind, price, accepted, details] = parts.as_slice() else { return Err(unreadable()) };
    let (pool, buyer) = account.split_once(':').ok_or_else(unreadable)?;
    let number = |text: &str| text.parse::<i64>().map_err(|_| unreadable());
    let details = match *details {
        NO_DETAILS => OrderDetails::default(),
        json => query::from_json(json, || format!("details of ticket {order_no}"))?,
    };
    let claim = Claim {
        order_no,
        buyer: BuyerId(number(buyer)?),
        product,
        pool: Pool::from(number(pool)?),
        quantity: Quantity::try_from(number(units)?).map_err(|_| unreadable())?,
        unit_price: Money::from_fen(number(price)?),
        kind: match *kind {
            "o" => TicketKind::Owed,
            "p" => TicketKind::Prepared,
            _ => return Err(unreadable()),
        },
        details,
    };
    Ok(Ticket { claim, accepted_at_ms: number(accepted)?, epoch: 0 })
}

/// Whatever can be read of a ticket that [`ticket`] cannot read, and whose it is if that can be told.
pub(super) fn remains(order_no: OrderNo, product: ProductId, text: &str) -> (RawTicket, Option<TicketRef>) {
    let mut parts = text.splitn(6, ' ');
    let account = parts.next().and_then(|account| account.split_once(':'));
    let mut next = || parts.next().and_then(|part| part.parse::<i64>().ok());
    let quantity = next();
    let _kind = next();
    let (unit_price_fen, accepted_at_ms) = (next().unwrap_or(0), next().unwrap_or(0));
    let pool_and_buyer =
        account.and_then(|(pool, buyer)| Some((pool.parse::<i64>().ok()?, buyer.parse::<i64>().ok()?)));
    let pool = pool_and_buyer.map_or(0, |(pool, _)| pool);
    let whose = pool_and_buyer.zip(quantity.and_then(|units| Quantity::try_from(units).ok())).map(
        |((pool, buyer), quantity)| TicketRef {
            order_no,
            product,
            pool: Pool::from(pool),
            buyer: BuyerId(buyer),
            quantity,
        },
    );
    let quantity = quantity.unwrap_or(0);
    (RawTicket { pool, quantity, unit_price_fen, accepted_at_ms, details: text.to_owned() }, whose)
}

/// `<opens ms> <closes ms> <price fen> <units a buyer> <1 if closed>`.
pub(super) fn terms_text(terms: &SaleTerms) -> String {
    let SaleTerms { window: SaleWindow { opens_at_ms, closes_at_ms }, unit_price, units_per_buyer_max, .. } = terms;
    let closed = i32::from(terms.closed);
    format!("{opens_at_ms} {closes_at_ms} {} {units_per_buyer_max} {closed}", unit_price.fen())
}

pub(super) fn terms(sale: SaleId, text: &str) -> Result<SaleTerms, StoreError> {
    let what = "terms of a sale";
    let parts = text.split(' ').map(|part| number(part, what)).collect::<Result<Vec<i64>, _>>()?;
    let &[opens_at_ms, closes_at_ms, price, units_per_buyer_max, closed] = parts.as_slice() else {
        return Err(corrupt(what));
    };
    let window = SaleWindow { opens_at_ms, closes_at_ms };
    Ok(SaleTerms { sale, window, unit_price: Money::from_fen(price), units_per_buyer_max, closed: closed == 1 })
}

/// Reads a refusal of `lua/reserve.lua`; `None` if the text is none.
pub(super) fn refusal(answer: &str) -> Option<ClaimRejection> {
    let (letter, rest) = answer.split_at_checked(1)?;
    let number = || rest.parse().ok();
    Some(match letter {
        "W" => ClaimRejection::Withdrawn,
        "P" => ClaimRejection::PoolNotFound,
        "N" => ClaimRejection::NotStarted { opens_at_ms: number()? },
        "E" => ClaimRejection::Ended,
        "B" => ClaimRejection::AlreadyBought { order_no: rest.parse().ok()? },
        "L" => ClaimRejection::OverLimit { units_per_buyer_max: number()? },
        "O" => ClaimRejection::SoldOut,
        "K" => ClaimRejection::StockShort { units_left: number()? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stock::AddressSnapshot;

    const ORDER: &str = "01KAGWXYZ00000000000000000";

    #[test]
    fn terms_are_text_and_back() {
        let window = SaleWindow::new(1_000, 2_000).unwrap();
        let unit_price = Money::from_fen(999);
        for closed in [false, true] {
            let before = SaleTerms { sale: SaleId(7), window, unit_price, units_per_buyer_max: 3, closed };
            assert_eq!(terms(SaleId(7), &terms_text(&before)).unwrap(), before);
        }
        assert!(terms(SaleId(7), "1 2 3").is_err() && terms(SaleId(7), "1 2 3 4 x").is_err());
    }

    #[test]
    fn a_ticket_is_read_as_the_script_wrote_it() {
        let order_no: OrderNo = ORDER.parse().unwrap();
        let text = r#"3:42 2 p 999 1795000000000 {"remark":"two words, {braced}"}"#;
        let read = ticket(order_no, ProductId(5), text).unwrap();
        assert_eq!((read.claim.pool, read.claim.buyer), (Pool::Sale(SaleId(3)), BuyerId(42)));
        assert_eq!((read.claim.kind, read.claim.unit_price), (TicketKind::Prepared, Money::from_fen(999)));
        assert_eq!((read.accepted_at_ms, &*read.claim.details.remark), (1_795_000_000_000, "two words, {braced}"));
        assert_eq!((kind(&read.claim), &*details(&read.claim).unwrap()), ("p", r#"{"remark":"two words, {braced}"}"#));
        let (receiver, phone) = ("A B".to_owned(), "1".to_owned());
        let address = AddressSnapshot { receiver, phone, region: "r".to_owned(), detail: "d".to_owned() };
        let delivery = OrderDetails { address: Some(address), remark: String::new() };
        let claim = Claim { details: delivery, kind: TicketKind::Owed, ..read.claim };
        let written = format!("3:42 2 {} 999 1795000000000 {}", kind(&claim), details(&claim).unwrap());
        assert_eq!(ticket(order_no, ProductId(5), &written).unwrap().claim, claim);
    }

    #[test]
    fn what_remains_of_a_broken_ticket_says_whose_the_units_are() {
        let order_no: OrderNo = ORDER.parse().unwrap();
        let broken = "3:42 2 o 999 1795000000000 {";
        assert!(ticket(order_no, ProductId(5), broken).is_err());
        let (raw, whose) = remains(order_no, ProductId(5), broken);
        let whose = whose.unwrap();
        assert_eq!((raw.quantity, raw.unit_price_fen, raw.accepted_at_ms), (2, 999, 1_795_000_000_000));
        assert_eq!((whose.pool, whose.buyer, whose.quantity.units()), (Pool::Sale(SaleId(3)), BuyerId(42), 2));
        for rubbish in ["", "?", "3:x 2 o 1 1 {}", "3:42 0 o 1 1 {}"] {
            assert!(remains(order_no, ProductId(5), rubbish).1.is_none(), "{rubbish}");
        }
    }

    #[test]
    fn refusals_are_read_with_their_numbers() {
        let order_no: OrderNo = ORDER.parse().unwrap();
        for (answer, expected) in [
            ("W", ClaimRejection::Withdrawn),
            ("P", ClaimRejection::PoolNotFound),
            ("N5", ClaimRejection::NotStarted { opens_at_ms: 5 }),
            ("E", ClaimRejection::Ended),
            ("B01KAGWXYZ00000000000000000", ClaimRejection::AlreadyBought { order_no }),
            ("L2", ClaimRejection::OverLimit { units_per_buyer_max: 2 }),
            ("O", ClaimRejection::SoldOut),
            ("K3", ClaimRejection::StockShort { units_left: 3 }),
        ] {
            assert_eq!(refusal(answer), Some(expected), "{answer}");
        }
        assert!(["", "?", "N", "Bx", "é"].into_iter().all(|text| refusal(text).is_none()));
    }
}
