//! How Alipay writes trades, in answers and in notifications. Amounts are yuan.

use serde_json::{Value, json};

use crate::domain::Money;
use crate::payment::alipay::signing::Params;
use crate::payment::sandbox::keys::AlipayAccount;
use crate::payment::sandbox::rules::{Refund, Terms, Trade, TradeState};
use crate::payment::times;

/// How the one buyer of the sandbox signs in, masked.
pub(super) const BUYER_LOGIN: &str = "san***@sandbox.example";

/// A trade that is known, as it stands at `now_ms`.
pub(super) fn trade(trade: &Trade, terms: &Terms, now_ms: i64) -> Value {
    let mut body = json!({
        "trade_no": trade.transaction_id,
        "out_trade_no": trade.order.out_trade_no,
        "buyer_logon_id": BUYER_LOGIN,
        "trade_status": status(trade, terms, now_ms),
        "total_amount": yuan(trade.order.total_fen),
        "point_amount": "0.00",
        "invoice_amount": "0.00",
        "receipt_amount": "0.00",
        "buyer_pay_amount": "0.00",
    });
    if let Some(payment) = &trade.payment {
        body["send_pay_date"] = json!(times::spaced(payment.paid_ms));
        body["receipt_amount"] = json!(yuan(trade.order.total_fen));
        body["buyer_pay_amount"] = json!(yuan(trade.payer_fen()));
        body["invoice_amount"] = json!(yuan(trade.payer_fen()));
        body["buyer_user_id"] = json!(payment.payer);
        body["fund_bill_list"] = json!([{ "fund_channel": "ALIPAYACCOUNT", "amount": yuan(trade.payer_fen()) }]);
    }
    body
}

fn status(trade: &Trade, terms: &Terms, now_ms: i64) -> &'static str {
    let paid_ms = trade.payment.as_ref().map_or(now_ms, |payment| payment.paid_ms);
    match trade.state_at(now_ms) {
        TradeState::NotPaid | TradeState::Paying | TradeState::Failed => "WAIT_BUYER_PAY",
        TradeState::Closed => "TRADE_CLOSED",
        TradeState::Paid if trade.is_fully_refunded() => "TRADE_CLOSED",
        TradeState::Paid if now_ms - paid_ms > terms.refund_within_ms => "TRADE_FINISHED",
        TradeState::Paid => "TRADE_SUCCESS",
    }
}

/// The parameters of a notification; its id, time and signature are added at each delivery.
pub(in super::super) fn notice_params(
    account: &AlipayAccount,
    trade: &Trade,
    refund: Option<&Refund>,
    now_ms: i64,
) -> Params {
    let order = &trade.order;
    let mut params: Params = [
        ("notify_type", "trade_status_sync".to_owned()),
        ("charset", "utf-8".to_owned()),
        ("version", "1.0".to_owned()),
        ("app_id", account.app_id.clone()),
        ("auth_app_id", account.app_id.clone()),
        ("seller_id", account.seller_id.clone()),
        ("out_trade_no", order.out_trade_no.clone()),
        ("trade_no", trade.transaction_id.clone().unwrap_or_default()),
        ("trade_status", status(trade, &Terms::default(), now_ms).to_owned()),
        ("subject", order.description.clone()),
        ("buyer_logon_id", BUYER_LOGIN.to_owned()),
        ("total_amount", yuan(order.total_fen)),
        ("receipt_amount", yuan(order.total_fen)),
        ("buyer_pay_amount", yuan(trade.payer_fen())),
        ("invoice_amount", yuan(trade.payer_fen())),
        ("point_amount", "0.00".to_owned()),
        ("gmt_create", times::spaced(trade.created_ms)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let mut add = |name: &str, value: String| params.insert(name.to_owned(), value);
    if let Some(payment) = &trade.payment {
        add("gmt_payment", times::spaced(payment.paid_ms));
        add("buyer_id", payment.payer.clone());
        add(
            "fund_bill_list",
            json!([{ "amount": yuan(trade.payer_fen()), "fundChannel": "ALIPAYACCOUNT" }]).to_string(),
        );
    }
    if !order.attach.is_empty() {
        add("passback_params", order.attach.clone());
    }
    if let Some(refund) = refund {
        add("refund_fee", yuan(trade.refunded_fen));
        add("out_biz_no", refund.asked.out_refund_no.clone());
        add("gmt_refund", times::spaced(refund.created_ms));
    }
    params
}

fn yuan(fen: i64) -> String {
    Money::from_fen(fen).to_string()
}
