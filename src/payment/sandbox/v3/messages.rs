//! How v3 writes trades and refunds, in answers and in notifications.

use serde_json::{Value, json};

use crate::payment::sandbox::rules::{Refund, RefundStatus, Trade, TradeKind, TradeState};
use crate::payment::times;

/// A trade as it stands at `now_ms`. An unpaid one says hardly more than its state.
pub(in super::super) fn transaction(trade: &Trade, now_ms: i64) -> Value {
    let (state, description) = match trade.state_at(now_ms) {
        TradeState::Paid if trade.refunded_fen > 0 => ("REFUND", "转入退款"),
        TradeState::Paid => ("SUCCESS", "支付成功"),
        TradeState::NotPaid => ("NOTPAY", "订单未支付"),
        TradeState::Paying => ("USERPAYING", "用户支付中"),
        TradeState::Failed => ("PAYERROR", "支付失败"),
        TradeState::Closed => ("CLOSED", "订单已关闭"),
    };
    let order = &trade.order;
    let mut transaction = json!({
        "appid": order.appid,
        "mchid": order.merchant,
        "out_trade_no": order.out_trade_no,
        "trade_state": state,
        "trade_state_desc": description,
    });
    let Some(payment) = &trade.payment else { return transaction };
    let payer_total = trade.payer_fen();
    transaction["transaction_id"] = json!(trade.transaction_id);
    transaction["trade_type"] = json!(trade_type(order.kind));
    transaction["bank_type"] = json!("OTHERS");
    transaction["attach"] = json!(order.attach);
    transaction["success_time"] = json!(times::rfc3339(payment.paid_ms));
    transaction["payer"] = json!({ "openid": payment.payer });
    transaction["amount"] =
        json!({ "total": order.total_fen, "payer_total": payer_total, "currency": "CNY", "payer_currency": "CNY" });
    transaction["promotion_detail"] = promotions(payment.coupon_fen);
    transaction
}

fn promotions(coupon_fen: i64) -> Value {
    if coupon_fen == 0 {
        return json!([]);
    }
    json!([{ "coupon_id": "109519", "name": "沙箱优惠券", "scope": "GLOBAL", "type": "CASH", "amount": coupon_fen,
        "stock_id": "931386", "wechatpay_contribute": coupon_fen, "merchant_contribute": 0, "other_contribute": 0,
        "currency": "CNY" }])
}

/// How the interfaces of WeChat Pay call the ways to pay.
pub(in super::super) const fn trade_type(kind: TradeKind) -> &'static str {
    match kind {
        TradeKind::Native | TradeKind::Page => "NATIVE",
        TradeKind::Jsapi => "JSAPI",
        TradeKind::H5 => "MWEB",
        TradeKind::App => "APP",
    }
}

/// A refund in an answer.
pub(super) fn refund(trade: &Trade, refund: &Refund) -> Value {
    let amount = refund.asked.refund_fen;
    let mut object = json!({
        "refund_id": refund.refund_id,
        "out_refund_no": refund.asked.out_refund_no,
        "transaction_id": refund.transaction_id,
        "out_trade_no": refund.out_trade_no,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": times::rfc3339(refund.created_ms),
        "status": refund.status,
        "funds_account": "AVAILABLE",
        "amount": {
            "total": trade.order.total_fen, "refund": amount, "from": [], "payer_total": trade.payer_fen(),
            "payer_refund": payer_refund(trade, amount), "settlement_refund": amount,
            "settlement_total": trade.order.total_fen, "discount_refund": amount - payer_refund(trade, amount),
            "currency": "CNY", "refund_fee": 0,
        },
        "promotion_detail": [],
    });
    if let (RefundStatus::Success, Some(ended_ms)) = (refund.status, refund.ended_ms) {
        object["success_time"] = json!(times::rfc3339(ended_ms));
    }
    object
}

/// A refund in a notification: fewer members, and no currency.
pub(in super::super) fn refund_notice(trade: &Trade, refund: &Refund) -> Value {
    let amount = refund.asked.refund_fen;
    let mut object = json!({
        "mchid": trade.order.merchant,
        "out_trade_no": refund.out_trade_no,
        "transaction_id": refund.transaction_id,
        "out_refund_no": refund.asked.out_refund_no,
        "refund_id": refund.refund_id,
        "refund_status": refund.status,
        "user_received_account": "支付用户零钱",
        "amount": { "total": trade.order.total_fen, "refund": amount, "payer_total": trade.payer_fen(),
            "payer_refund": payer_refund(trade, amount) },
    });
    if let (RefundStatus::Success, Some(ended_ms)) = (refund.status, refund.ended_ms) {
        object["success_time"] = json!(times::rfc3339(ended_ms));
    }
    object
}

/// The buyer's share of a refund: in proportion to what he paid himself.
fn payer_refund(trade: &Trade, amount: i64) -> i64 {
    let share = i128::from(amount) * i128::from(trade.payer_fen()) / i128::from(trade.order.total_fen.max(1));
    i64::try_from(share).unwrap_or(amount)
}
