//! How v2 writes trades and refunds.

use super::answer::fields;
use crate::payment::sandbox::rules::{Refund, RefundStatus, Trade, TradeState};
use crate::payment::sandbox::v3::trade_type;
use crate::payment::times;
use crate::payment::wechat_v2::xml::Fields;

/// A trade in the answer to a query.
pub(super) fn query_fields(trade: &Trade, now_ms: i64) -> Fields {
    let (state, description) = match trade.state_at(now_ms) {
        TradeState::Paid if trade.refunded_fen > 0 => ("REFUND", "订单发生过退款"),
        TradeState::Paid => ("SUCCESS", "支付成功"),
        TradeState::NotPaid => ("NOTPAY", "订单未支付"),
        TradeState::Paying => ("USERPAYING", "用户支付中"),
        TradeState::Failed => ("PAYERROR", "支付失败"),
        TradeState::Closed => ("CLOSED", "订单已关闭"),
    };
    let mut message = if trade.payment.is_some() { paid(trade) } else { Fields::new() };
    message.extend(fields([
        ("out_trade_no", trade.order.out_trade_no.clone()),
        ("trade_state", state.to_owned()),
        ("trade_state_desc", description.to_owned()),
        ("total_fee", trade.order.total_fen.to_string()),
    ]));
    message
}

/// A payment in a notification; nonce and signature are added at each delivery.
pub(in super::super) fn payment_fields(trade: &Trade) -> Fields {
    let mut message = paid(trade);
    message.extend(fields([
        ("return_code", "SUCCESS".to_owned()),
        ("result_code", "SUCCESS".to_owned()),
        ("appid", trade.order.appid.clone()),
        ("mch_id", trade.order.merchant.clone()),
    ]));
    message
}

fn paid(trade: &Trade) -> Fields {
    let order = &trade.order;
    let mut message = fields([
        ("trade_type", trade_type(order.kind).to_owned()),
        ("bank_type", "OTHERS".to_owned()),
        ("is_subscribe", "N".to_owned()),
        ("fee_type", "CNY".to_owned()),
        ("cash_fee_type", "CNY".to_owned()),
        ("total_fee", order.total_fen.to_string()),
        ("cash_fee", trade.payer_fen().to_string()),
        ("out_trade_no", order.out_trade_no.clone()),
        ("transaction_id", trade.transaction_id.clone().unwrap_or_default()),
    ]);
    if !order.attach.is_empty() {
        message.insert("attach".to_owned(), order.attach.clone());
    }
    if let Some(payment) = &trade.payment {
        message.insert("openid".to_owned(), payment.payer.clone());
        message.insert("time_end".to_owned(), times::compact(payment.paid_ms));
        if payment.coupon_fen > 0 {
            message.insert("coupon_fee".to_owned(), payment.coupon_fen.to_string());
            message.insert("coupon_count".to_owned(), "1".to_owned());
        }
    }
    message
}

/// The answer to a refund.
pub(super) fn refund_fields(trade: &Trade, refund: &Refund) -> Fields {
    fields([
        ("transaction_id", refund.transaction_id.clone()),
        ("out_trade_no", refund.out_trade_no.clone()),
        ("out_refund_no", refund.asked.out_refund_no.clone()),
        ("refund_id", refund.refund_id.clone()),
        ("refund_channel", String::new()),
        ("refund_fee", refund.asked.refund_fen.to_string()),
        ("total_fee", trade.order.total_fen.to_string()),
        ("cash_fee", trade.payer_fen().to_string()),
        ("fee_type", "CNY".to_owned()),
    ])
}

/// The answer to a refund query: `first` is the number of the first of `refunds` among all of the trade.
pub(super) fn refunds_fields(trade: &Trade, refunds: &[Refund], first: usize, all: usize) -> Fields {
    let mut message = fields([
        ("transaction_id", trade.transaction_id.clone().unwrap_or_default()),
        ("out_trade_no", trade.order.out_trade_no.clone()),
        ("total_fee", trade.order.total_fen.to_string()),
        ("cash_fee", trade.payer_fen().to_string()),
        ("fee_type", "CNY".to_owned()),
        ("refund_count", refunds.len().to_string()),
        ("total_refund_count", all.to_string()),
    ]);
    for (at, refund) in refunds.iter().enumerate() {
        let number = first + at;
        let mut add = |name: &str, value: String| message.insert(format!("{name}_{number}"), value);
        add("out_refund_no", refund.asked.out_refund_no.clone());
        add("refund_id", refund.refund_id.clone());
        add("refund_channel", "ORIGINAL".to_owned());
        add("refund_fee", refund.asked.refund_fen.to_string());
        add("settlement_refund_fee", refund.asked.refund_fen.to_string());
        add("refund_status", status(refund.status).to_owned());
        add("refund_account", "REFUND_SOURCE_UNSETTLED_FUNDS".to_owned());
        add("refund_recv_accout", "支付用户零钱".to_owned());
        if let (RefundStatus::Success, Some(ended_ms)) = (refund.status, refund.ended_ms) {
            add("refund_success_time", times::spaced(ended_ms));
        }
    }
    message
}

/// A refund in a notification, to be sealed.
pub(in super::super) fn refund_notice_fields(trade: &Trade, refund: &Refund) -> Fields {
    let ended_ms = refund.ended_ms.filter(|_| refund.status == RefundStatus::Success);
    fields([
        ("transaction_id", refund.transaction_id.clone()),
        ("out_trade_no", refund.out_trade_no.clone()),
        ("refund_id", refund.refund_id.clone()),
        ("out_refund_no", refund.asked.out_refund_no.clone()),
        ("total_fee", trade.order.total_fen.to_string()),
        ("settlement_total_fee", trade.order.total_fen.to_string()),
        ("refund_fee", refund.asked.refund_fen.to_string()),
        ("settlement_refund_fee", refund.asked.refund_fen.to_string()),
        ("refund_status", status(refund.status).to_owned()),
        ("success_time", ended_ms.map(times::spaced).unwrap_or_default()),
        ("refund_recv_accout", "支付用户零钱".to_owned()),
        ("refund_account", "REFUND_SOURCE_RECHARGE_FUNDS".to_owned()),
        ("refund_request_source", "API".to_owned()),
    ])
}

const fn status(status: RefundStatus) -> &'static str {
    match status {
        RefundStatus::Processing => "PROCESSING",
        RefundStatus::Abnormal => "CHANGE",
        RefundStatus::Success => "SUCCESS",
        RefundStatus::Closed => "REFUNDCLOSE",
    }
}
