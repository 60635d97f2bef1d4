//! The matrix: which cells there must be, what became of each, and how docs/SANDBOX.md shows it.

use std::collections::BTreeMap;
use std::fmt;

use crate::columns::{COLUMNS, Column, Line, Wire};

/// A cell's name in each column, and what it promises.
type Rows = &'static [(&'static str, &'static str)];

/// Rows of v3.
const V3: Rows = &[
    ("create_native", "native order"),
    ("create_again", "the same again: a fresh code"),
    ("create_other_amount", "the number with another amount: `OUT_TRADE_NO_USED`"),
    ("create_jsapi", "JSAPI order"),
    ("create_h5", "H5 order"),
    ("create_app", "app order"),
    ("query_unpaid", "query, unpaid"),
    ("query_paid", "query, paid"),
    ("query_by_transaction", "query by the provider's number"),
    ("query_unknown", "query, unknown: 404"),
    ("create_paid", "order of a paid number: `ORDERPAID`"),
    ("close", "close: 204, signed"),
    ("close_paid", "close, paid: `ORDERPAID`"),
    ("create_closed", "order of a closed number: `ORDER_CLOSED`"),
    ("refund_part", "refund in part"),
    ("refund_again", "the same refund again: once"),
    ("refund_too_much", "refund of too much: refused"),
    ("refund_unpaid", "refund, unpaid: refused"),
    ("query_refund", "query of a refund"),
    ("query_refund_unknown", "query of an unknown refund: 404"),
    ("bill_of_trades", "bill of trades, SHA-1"),
    ("bill_of_funds", "bill of funds, SHA-1"),
    ("certificates", "certificates (public key: there are none, 404)"),
    ("bad_signature", "wrong signature: 401"),
    ("stale_request", "timestamp 301 s off: 401"),
    ("unknown_serial", "unknown merchant serial: 401"),
    ("forged_answer", "wrongly signed answer: the SDK refuses"),
    ("stale_answer", "answer of ten minutes ago: the SDK refuses"),
    ("notice_of_payment", "notification of a payment, opened by the SDK"),
    ("notice_of_refund", "notification of a refund, opened by the SDK"),
    ("notice_forged", "forged notification: the SDK refuses"),
    ("notice_broken_tag", "broken resource: the SDK refuses"),
    ("shop_refuses_tampered", "tampered notification: the shop refuses"),
    ("shop_refuses_stale", "notification signed 301 s ago: the shop refuses"),
    ("shop_accepts", "notification made by the SDK: the shop's order is paid"),
    ("rotation", "the platform's certificate changes"),
];

/// Rows of v2.
const V2: Rows = &[
    ("create_native", "unifiedorder, NATIVE"),
    ("create_again", "the same again: a fresh code"),
    ("create_other_amount", "the number with another amount: `OUT_TRADE_NO_USED`"),
    ("create_jsapi", "unifiedorder, JSAPI"),
    ("create_h5", "unifiedorder, MWEB"),
    ("query_unpaid", "orderquery, unpaid"),
    ("query_paid", "orderquery, paid"),
    ("query_unknown", "orderquery, unknown: `ORDERNOTEXIST`"),
    ("create_paid", "order of a paid number: `ORDERPAID`"),
    ("close", "closeorder"),
    ("close_paid", "closeorder, paid: `ORDERPAID`"),
    ("create_closed", "order of a closed number: `ORDERCLOSED`"),
    ("refund_part", "refund in part"),
    ("refund_again", "the same refund again: once"),
    ("refund_too_much", "refund of too much: refused"),
    ("refund_unpaid", "refund, unpaid: refused"),
    ("query_refund", "refundquery"),
    ("query_refund_unknown", "refundquery, unknown: `REFUNDNOTEXIST`"),
    ("bill_of_trades", "downloadbill"),
    ("bad_signature", "wrong signature: `FAIL`, unsigned"),
    ("forged_answer", "wrongly signed answer: the SDK refuses"),
    ("notice_of_payment", "notification of a payment, verified by the SDK"),
    ("notice_of_refund", "notification of a refund, opened by the SDK"),
    ("notice_forged", "forged notification: the SDK refuses"),
    ("shop_refuses_tampered", "tampered notification: the shop refuses"),
    ("shop_accepts", "notification made by the SDK: the shop's order is paid"),
];

/// Rows of Alipay.
const ALIPAY: Rows = &[
    ("precreate", "precreate"),
    ("precreate_again", "the same again: a fresh code"),
    ("precreate_other_amount", "the number with another amount: `CONTEXT_INCONSISTENT`"),
    ("page_pay", "page pay: the URL leads to the cashier"),
    ("query_unscanned", "query before the scan: `TRADE_NOT_EXIST`"),
    ("query_unpaid", "query, scanned: `WAIT_BUYER_PAY`"),
    ("query_paid", "query, paid"),
    ("query_unknown", "query, unknown: `TRADE_NOT_EXIST`"),
    ("precreate_paid", "precreate of a paid number: `TRADE_HAS_SUCCESS`"),
    ("close", "close"),
    ("close_unscanned", "close before the scan: `TRADE_NOT_EXIST`"),
    ("close_paid", "close, paid: `TRADE_STATUS_ERROR`"),
    ("precreate_closed", "precreate of a closed number: `TRADE_HAS_CLOSE`"),
    ("refund_part", "refund in part: `fund_change` Y"),
    ("refund_again", "the same refund again: `fund_change` N"),
    ("refund_too_much", "refund of too much: refused"),
    ("query_refund", "query of a refund"),
    ("query_refund_unknown", "query of an unknown refund: says nothing"),
    ("bill_of_trades", "bill"),
    ("bad_signature", "wrong signature: `isv.invalid-signature`"),
    ("unknown_app", "unknown app: `isv.invalid-app-id`"),
    ("forged_answer", "wrongly signed answer: the SDK refuses"),
    ("notice_of_payment", "notification of a payment, verified by the SDK"),
    ("notice_of_refund", "notification of a refund, verified by the SDK"),
    ("notice_forged", "forged notification: the SDK refuses"),
    ("shop_refuses_tampered", "tampered notification: the shop refuses"),
    ("shop_accepts", "notification made with the SDK: the shop's order is paid"),
];

/// Cells in which the SDK itself cannot do it; any other limit is red, and so is one of these that has gone.
const LIMITS: &[(&str, &str)] = &[("wechatpayv3", "stale_answer")];

const WIRES: [(&str, Wire, Rows); 3] =
    [("WeChat Pay v3", Wire::V3, V3), ("WeChat Pay v2", Wire::V2, V2), ("Alipay", Wire::Alipay, ALIPAY)];

/// What became of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cell {
    Green,
    Limit(String),
    Red(String),
}

/// All cells, by the column's place and the row's name.
#[derive(Default)]
pub struct Matrix {
    cells: BTreeMap<(usize, String), Cell>,
}

impl Matrix {
    /// What a column printed.
    pub fn add(&mut self, column: &Column, lines: Vec<Line>) {
        for line in lines {
            let is_limited = LIMITS.contains(&(column.sdk, line.row.as_str()));
            let cell = match (line.seen, line.limit, line.failed) {
                (Some(_), None, None) if !is_limited => Cell::Green,
                (Some(seen), None, None) => Cell::Red(format!("the SDK can do it now: {seen}")),
                (None, Some(why), None) if is_limited => Cell::Limit(why),
                (None, Some(why), None) => Cell::Red(format!("a limit that is not known: {why}")),
                (_, _, why) => Cell::Red(why.unwrap_or_default()),
            };
            let is_new = self.cells.insert((place(column), line.row.clone()), cell).is_none();
            assert!(is_new, "{} printed {} twice", column.sdk, line.row);
        }
    }

    /// Turns a cell red.
    pub fn fail(&mut self, column: &Column, row: &str, why: &str) {
        self.cells.insert((place(column), row.to_owned()), Cell::Red(why.to_owned()));
    }

    /// Every cell that must be there is green or a known limit, and there is no other.
    pub fn assert_green(&self) {
        let mut wrong = Vec::new();
        let mut expected = 0;
        for (_, wire, rows) in WIRES {
            for (at, column) in COLUMNS.iter().enumerate().filter(|(_, column)| column.wire == wire) {
                for (row, _) in rows {
                    expected += 1;
                    let why = match self.cells.get(&(at, (*row).to_owned())) {
                        Some(Cell::Green | Cell::Limit(_)) => continue,
                        Some(Cell::Red(why)) => why.as_str(),
                        None => "missing",
                    };
                    wrong.push(format!("{} {} {row}: {why}", column.sdk, column.mode));
                }
            }
        }
        assert!(wrong.is_empty(), "{} cells are not green:\n{}", wrong.len(), wrong.join("\n"));
        assert_eq!(self.cells.len(), expected, "there are cells that no row describes: {:?}", self.cells.keys());
    }

    /// docs/SANDBOX.md shows this matrix.
    pub fn assert_documented(&self) {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SANDBOX.md")).unwrap();
        assert!(page.contains(&self.to_string()), "docs/SANDBOX.md has another matrix than the one above");
    }
}

/// As Markdown.
impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, wire, rows) in WIRES {
            let columns: Vec<(usize, &Column)> =
                COLUMNS.iter().enumerate().filter(|(_, column)| column.wire == wire).collect();
            write!(f, "| {name} |")?;
            for (_, column) in &columns {
                write!(f, " `{}`, {} |", column.sdk, column.mode)?;
            }
            writeln!(f, "\n|---|{}", "---|".repeat(columns.len()))?;
            for (row, promise) in rows {
                write!(f, "| {promise} |")?;
                for (at, _) in &columns {
                    write!(f, " {} |", self.word(*at, row))?;
                }
                writeln!(f)?;
            }
            writeln!(f)?;
        }
        let count = |wanted: fn(&Cell) -> bool| self.cells.values().filter(|cell| wanted(cell)).count();
        let (green, limits) = (count(|cell| *cell == Cell::Green), count(|cell| matches!(cell, Cell::Limit(_))));
        write!(f, "{} cells: {green} green, {limits} beyond the SDK", self.cells.len())?;
        let red = self.cells.len() - green - limits;
        if red > 0 {
            write!(f, ", {red} RED")?;
        }
        write!(f, ".")
    }
}

impl Matrix {
    fn word(&self, column: usize, row: &str) -> &'static str {
        match self.cells.get(&(column, row.to_owned())) {
            Some(Cell::Green) => "yes",
            Some(Cell::Limit(_)) => "no: SDK",
            Some(Cell::Red(_)) => "**RED**",
            None => "**MISSING**",
        }
    }
}

fn place(column: &Column) -> usize {
    COLUMNS.iter().position(|one| std::ptr::eq(one, column)).expect("a column of the matrix")
}
