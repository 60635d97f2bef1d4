//! What a notification says: taken down in the commit of the change, so that later changes do not alter it.

use serde_json::json;

use crate::payment::sandbox::keys::Keys;
use crate::payment::sandbox::ledger::{Event, Notice};
use crate::payment::sandbox::rules::{Refund, RefundStatus, Trade, Wire};
use crate::payment::sandbox::{alipay, numbers, v2, v3};

/// Of a payment; `None` if the merchant wants none.
pub(in super::super) fn of_payment(keys: &Keys, trade: &Trade, now_ms: i64) -> Option<Notice> {
    if trade.order.notify_url.is_empty() {
        return None;
    }
    let facts = match trade.order.wire {
        Wire::V3 => v3::transaction(trade, now_ms),
        Wire::V2 => json!(v2::payment_fields(trade)),
        Wire::Alipay => json!(alipay::notice_params(&keys.merchant.alipay, trade, None, now_ms)),
    };
    Some(notice(trade, &trade.order.notify_url, Event::Paid, facts, now_ms))
}

/// Of a refund that has ended; `None` if it has not, or the merchant wants none.
pub(in super::super) fn of_refund(keys: &Keys, trade: &Trade, refund: &Refund, now_ms: i64) -> Option<Notice> {
    let (url, facts) = match refund.asked.wire {
        Wire::V3 => (&refund.asked.notify_url, v3::refund_notice(trade, refund)),
        Wire::V2 => (&refund.asked.notify_url, json!(v2::refund_notice_fields(trade, refund))),
        Wire::Alipay => {
            (&trade.order.notify_url, json!(alipay::notice_params(&keys.merchant.alipay, trade, Some(refund), now_ms)))
        }
    };
    if url.is_empty() || refund.status == RefundStatus::Processing {
        return None;
    }
    let mut notice = notice(trade, url, Event::Refund(refund.status), facts, now_ms);
    notice.wire = refund.asked.wire;
    Some(notice)
}

fn notice(trade: &Trade, url: &str, event: Event, facts: serde_json::Value, now_ms: i64) -> Notice {
    Notice {
        id: numbers::notice_id(),
        wire: trade.order.wire,
        event,
        out_trade_no: trade.order.out_trade_no.clone(),
        url: url.to_owned(),
        signed_by: trade.order.signed_by.clone(),
        facts,
        created_ms: now_ms,
    }
}
