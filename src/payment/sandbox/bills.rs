//! What happened on a day, and the bills of it at WeChat Pay in its own CSV: a title line, a line per movement whose
//! fields begin with a backtick, a title of sums, the sums. Days are Beijing's.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::ledger::{LedgerError, TradeKey, refunds_between, trade, trades_paid_between};
use super::rules::{Provider, Refund, RefundStatus, Trade, TradeKind};
use super::state::Sandbox;
use crate::domain::Money;
use crate::payment::times;

const DAY_MS: i64 = 24 * 3_600_000;
const TRADE_TITLE: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,\
付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,\
商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const TRADE_SUMS_TITLE: &str =
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const FLOW_TITLE: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),\
资金变更提交申请人,备注,业务凭证号";
const FLOW_SUMS_TITLE: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额";

/// Which bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Book {
    /// Payments and refunds.
    All,
    /// Payments.
    Payments,
    /// Refunds.
    Refunds,
    /// Movements of money.
    FundFlow,
}

/// Why there is no bill.
#[derive(Debug)]
pub(super) enum BillError {
    /// Not a day that has a bill.
    Date,
    /// Nothing happened on that day.
    Empty,
    /// The books failed.
    Failed(LedgerError),
}

impl From<LedgerError> for BillError {
    fn from(error: LedgerError) -> Self {
        Self::Failed(error)
    }
}

impl Book {
    /// By the word that both interfaces use; anything unknown is all.
    pub(super) fn of_type(word: &str) -> Self {
        match word {
            "SUCCESS" => Self::Payments,
            "REFUND" => Self::Refunds,
            _ => Self::All,
        }
    }
}

/// The bill as a gzip file; `None` if there is no memory for it.
pub(super) fn gzipped(text: &str) -> Option<Vec<u8>> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(text.as_bytes()).and_then(|()| file.finish()).ok()
}

/// A payment or refund of the day.
pub(super) enum Movement {
    Payment(Box<Trade>),
    Refund(Box<(Trade, Refund)>),
}

impl Movement {
    /// When, unix ms.
    pub(super) fn at_ms(&self) -> i64 {
        match self {
            Self::Payment(trade) => trade.payment.as_ref().map_or(0, |payment| payment.paid_ms),
            Self::Refund(both) => both.1.created_ms,
        }
    }
}

/// The bill of `date` (`2026-01-31` or `20260131`).
pub(super) async fn of_day(sandbox: &Sandbox, book: Book, date: &str) -> Result<String, BillError> {
    let movements = movements(sandbox, Provider::Wechat, date).await?;
    let kept: Vec<&Movement> = movements
        .iter()
        .filter(|movement| match (book, movement) {
            (Book::Payments, Movement::Refund(_)) | (Book::Refunds, Movement::Payment(_)) => false,
            // money of a refund flows when it has arrived
            (Book::FundFlow, Movement::Refund(both)) => both.1.status == RefundStatus::Success,
            _ => true,
        })
        .collect();
    if kept.is_empty() {
        return Err(BillError::Empty);
    }
    Ok(if book == Book::FundFlow { fund_flow(&kept) } else { trades(&kept) })
}

/// A day that has begun, and ended unless the knob says otherwise: `from..until`.
fn day_of(sandbox: &Sandbox, date: &str) -> Result<(i64, i64), BillError> {
    let compact: String = date.chars().filter(|letter| *letter != '-').collect();
    let begins = (compact.len() == 8).then(|| times::from_compact(&format!("{compact}000000"))).flatten();
    let from_ms = begins.ok_or(BillError::Date)?;
    let now_ms = sandbox.clocks.ledger_ms();
    let has_bill = if sandbox.knobs().bills_today { from_ms <= now_ms } else { from_ms + DAY_MS <= now_ms };
    if has_bill { Ok((from_ms, from_ms + DAY_MS)) } else { Err(BillError::Date) }
}

/// What happened on a day, in its order.
pub(super) async fn movements(sandbox: &Sandbox, provider: Provider, date: &str) -> Result<Vec<Movement>, BillError> {
    let (day, on) = (day_of(sandbox, date)?, sandbox.ledger.reader());
    let paid = trades_paid_between(on, provider, day).await?;
    let mut movements: Vec<Movement> = paid.into_iter().map(|trade| Movement::Payment(Box::new(trade))).collect();
    let merchant = match provider {
        Provider::Wechat => &sandbox.merchant().wechat.mchid,
        Provider::Alipay => &sandbox.merchant().alipay.app_id,
    };
    for refund in refunds_between(on, provider, day).await? {
        let key = TradeKey { provider, merchant: merchant.clone(), out_trade_no: refund.out_trade_no.clone() };
        if let Some(trade) = trade(on, &key).await? {
            movements.push(Movement::Refund(Box::new((trade, refund))));
        }
    }
    movements.sort_by_key(Movement::at_ms);
    Ok(movements)
}

fn trades(movements: &[&Movement]) -> String {
    let mut text = format!("\u{feff}{TRADE_TITLE}\r\n");
    let (mut settled, mut totals, mut refunded) = (0, 0, 0);
    for movement in movements {
        match movement {
            Movement::Payment(trade) => {
                settled += trade.order.total_fen;
                totals += trade.order.total_fen;
                line(&mut text, &trade_fields(trade, None));
            }
            Movement::Refund(both) => {
                refunded += both.1.asked.refund_fen;
                line(&mut text, &trade_fields(&both.0, Some(&both.1)));
            }
        }
    }
    text.push_str(TRADE_SUMS_TITLE);
    text.push_str("\r\n");
    let sums = [
        movements.len().to_string(),
        yuan(settled),
        yuan(refunded),
        yuan(0),
        "0.00000".to_owned(),
        yuan(totals),
        yuan(refunded),
    ];
    line(&mut text, &sums);
    text
}

fn trade_fields(trade: &Trade, refund: Option<&Refund>) -> Vec<String> {
    let order = &trade.order;
    let coupon = trade.payment.as_ref().map_or(0, |payment| payment.coupon_fen);
    let paid_ms = trade.payment.as_ref().map_or(0, |payment| payment.paid_ms);
    let kind = match order.kind {
        TradeKind::Native | TradeKind::Page => "NATIVE",
        TradeKind::Jsapi => "JSAPI",
        TradeKind::H5 => "MWEB",
        TradeKind::App => "APP",
    };
    let payer = trade.payment.as_ref().map_or("", |payment| payment.payer.as_str());
    let is_refund = refund.is_some();
    let refund_fen = refund.map_or(0, |refund| refund.asked.refund_fen);
    let refund_text = |of: fn(&Refund) -> &str| refund.map_or(String::new(), |refund| of(refund).to_owned());
    vec![
        times::spaced(refund.map_or(paid_ms, |refund| refund.created_ms)),
        order.appid.clone(),
        order.merchant.clone(),
        "0".to_owned(),
        String::new(),
        trade.transaction_id.clone().unwrap_or_default(),
        order.out_trade_no.clone(),
        payer.to_owned(),
        kind.to_owned(),
        if is_refund { "REFUND" } else { "SUCCESS" }.to_owned(),
        "OTHERS".to_owned(),
        "CNY".to_owned(),
        yuan(if is_refund { 0 } else { order.total_fen }),
        yuan(if is_refund { 0 } else { coupon }),
        if is_refund { refund_text(|refund| &refund.refund_id) } else { "0".to_owned() },
        if is_refund { refund_text(|refund| &refund.asked.out_refund_no) } else { "0".to_owned() },
        yuan(refund_fen),
        yuan(0),
        if is_refund { "ORIGINAL" } else { "" }.to_owned(),
        refund.map_or("", |refund| status_word(refund.status)).to_owned(),
        order.description.clone(),
        order.attach.clone(),
        "0.00000".to_owned(),
        "0.60%".to_owned(),
        yuan(if is_refund { 0 } else { order.total_fen }),
        yuan(refund_fen),
        String::new(),
    ]
}

const fn status_word(status: RefundStatus) -> &'static str {
    match status {
        RefundStatus::Processing => "PROCESSING",
        RefundStatus::Abnormal => "CHANGE",
        RefundStatus::Success => "SUCCESS",
        RefundStatus::Closed => "FAIL",
    }
}

fn fund_flow(movements: &[&Movement]) -> String {
    let mut text = format!("\u{feff}{FLOW_TITLE}\r\n");
    let (mut balance, mut income, mut incomes, mut expense, mut expenses) = (0_i64, 0_i64, 0_u64, 0_i64, 0_u64);
    for movement in movements {
        let (trade, refund, fen) = match movement {
            Movement::Payment(trade) => (&**trade, None, trade.order.total_fen),
            Movement::Refund(both) => (&both.0, Some(&both.1), both.1.asked.refund_fen),
        };
        if refund.is_some() {
            (balance, expense, expenses) = (balance - fen, expense + fen, expenses + 1);
        } else {
            (balance, income, incomes) = (balance + fen, income + fen, incomes + 1);
        }
        let (name, direction) = if refund.is_some() { ("退款", "支出") } else { ("交易", "收入") };
        let number = trade.transaction_id.clone().unwrap_or_default();
        let flow = refund.map_or_else(|| number.clone(), |refund| refund.refund_id.clone());
        let voucher = refund.map_or(&trade.order.out_trade_no, |refund| &refund.asked.out_refund_no);
        let fields = [
            times::spaced(movement.at_ms()),
            number,
            flow,
            name.to_owned(),
            name.to_owned(),
            direction.to_owned(),
            yuan(fen),
            yuan(balance),
            "system".to_owned(),
            String::new(),
            voucher.clone(),
        ];
        line(&mut text, &fields);
    }
    text.push_str(FLOW_SUMS_TITLE);
    text.push_str("\r\n");
    let count = movements.len().to_string();
    line(&mut text, &[count, incomes.to_string(), yuan(income), expenses.to_string(), yuan(expense)]);
    text
}

fn yuan(fen: i64) -> String {
    Money::from_fen(fen).to_string()
}

/// Fields must not break the line: the providers take commas and line breaks out of texts.
fn line(text: &mut String, fields: &[String]) {
    let clean = |field: &String| {
        let kept: String = field.chars().map(|letter| if ",\r\n`".contains(letter) { ' ' } else { letter }).collect();
        format!("`{kept}")
    };
    text.push_str(&fields.iter().map(clean).collect::<Vec<_>>().join(","));
    text.push_str("\r\n");
}
