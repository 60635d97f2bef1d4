//! The gateway's own durable books: one SQLite file, write-ahead log, `synchronous=FULL`.
//!
//! Whatever is answered was committed before, so a kill at any moment loses nothing that a merchant was told. There is
//! one writer; every change reads, decides by [`super::rules`] and writes in one `BEGIN IMMEDIATE`. Rows hold the whole
//! object as JSON beside the columns that are searched.

mod error;
mod log;
mod notices;
mod refunds;
mod schema;
mod settings;
mod store;
mod trades;

pub use error::LedgerError;
pub use log::{LogLine, add_log_lines, log_lines};
pub use notices::{
    Event, Notice, NoticeState, add_notice, due_notice, due_notices, finish_notice, list_notices, postpone_notice,
    resend_notice,
};
pub use refunds::{
    RefundKey, due_refunds, list_refunds, put_refund, refund, refund_by_id, refunds_between, refunds_of,
};
pub use settings::{read_setting, write_setting};
pub use store::Ledger;
pub use trades::{
    TradeKey, add_code, code, list_trades, put_trade, totals, trade, trade_by_transaction, trades_paid_between,
};

#[cfg(test)]
mod tests;
