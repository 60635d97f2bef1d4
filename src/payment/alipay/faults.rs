//! The codes of Alipay and what each means for the caller.

use crate::payment::error::{Action, PaymentError};

const CLOSE: &str = "alipay.trade.close";

/// What a code means; `None` if Alipay itself does not know whether it happened.
#[must_use]
pub fn action(method: &str, code: &str, sub_code: &str) -> Option<Action> {
    if sub_code.ends_with("SYSTEM_ERROR") || sub_code.ends_with("unknow-error") {
        return None;
    }
    Some(match code {
        "20000" => return None,
        // the payer is being asked; nothing is confirmed
        "10003" => Action::Ask,
        "20001" => Action::Configuration,
        // 40006: this app may not use this method; others may well work
        "40001" | "40006" => Action::Permanent,
        "40002" if is_identity(sub_code) => Action::Configuration,
        "40002" | "40003" => Action::Permanent,
        "40005" => Action::BackOff,
        _ => return Some(business(method, sub_code)),
    })
}

/// Signature, app or certificate: nothing works before a person mends it.
fn is_identity(sub_code: &str) -> bool {
    ["signature", "app-id", "app_id", "cert", "encrypt", "charset"].iter().any(|part| sub_code.contains(part))
}

fn business(method: &str, sub_code: &str) -> Action {
    match sub_code {
        "ACQ.TRADE_HAS_SUCCESS" => Action::AlreadyPaid,
        "ACQ.TRADE_STATUS_ERROR" | "ACQ.REASON_TRADE_STATUS_INVALID" if method == CLOSE => Action::AlreadyPaid,
        "ACQ.TRADE_HAS_CLOSE" => Action::Closed,
        "ACQ.TRADE_NOT_EXIST" => Action::NotFound,
        "ACQ.SELLER_BALANCE_NOT_ENOUGH" => Action::ShortOfFunds,
        "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
        | "ACQ.REASON_TRADE_REFUND_FEE_ERR"
        | "ACQ.DISCORDANT_REPEAT_REQUEST"
        | "ACQ.INVALID_PARAMETER"
        | "ACQ.TRADE_HAS_FINISHED" => Action::Permanent,
        "isp.bill_not_exist" | "BIZ_ERROR.BILL_NOT_EXIST" => Action::NotFound,
        // CONTEXT_INCONSISTENT (same number, other parameters) and whatever nobody told us of
        _ => Action::Ask,
    }
}

/// Anything but 200 comes from something in between.
#[must_use]
pub fn by_status(status: u16) -> PaymentError {
    let code = format!("HTTP_{status}");
    match status {
        // redirects are not followed: the URL in the settings is not the gateway's
        300..=399 => PaymentError::declined(Action::Configuration, &code, ""),
        429 => PaymentError::declined(Action::BackOff, &code, ""),
        400..=499 => PaymentError::declined(Action::Ask, &code, ""),
        _ => PaymentError::trouble(code),
    }
}
