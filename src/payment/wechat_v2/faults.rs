//! The error codes of WeChat Pay v2 and what each means for the caller.

use super::client::REFUND;
use crate::payment::error::{Action, PaymentError};

/// Reads `err_code` of an answer that is believed.
#[must_use]
pub fn fault(path: &str, code: &str, message: &str) -> PaymentError {
    match action(path, code) {
        Some(action) => PaymentError::declined(action, code, message),
        None => PaymentError::trouble(code),
    }
}

/// What a code means; `None` if the gateway itself does not know whether it happened.
fn action(path: &str, code: &str) -> Option<Action> {
    Some(match code {
        "SYSTEMERROR" | "BIZERR_NEED_RETRY" => return None,
        "ORDERPAID" => Action::AlreadyPaid,
        "ORDERCLOSED" => Action::Closed,
        "ORDERNOTEXIST" | "REFUNDNOTEXIST" => Action::NotFound,
        "NOTENOUGH" if path == REFUND => Action::ShortOfFunds,
        "FREQUENCY_LIMITED" | "INVALID_REQ_TOO_MUCH" => Action::BackOff,
        "SIGNERROR" | "CERT_ERROR" => Action::Configuration,
        // paid already, closed already, or other parameters than the first time
        "OUT_TRADE_NO_USED" | "USERPAYING" | "INVALID_REQUEST" if path != REFUND => Action::Ask,
        "NOAUTH"
        | "NOTENOUGH"
        | "INVALID_REQUEST"
        | "APPID_NOT_EXIST"
        | "MCHID_NOT_EXIST"
        | "APPID_MCHID_NOT_MATCH"
        | "LACK_PARAMS"
        | "XML_FORMAT_ERROR"
        | "REQUIRE_POST_METHOD"
        | "POST_DATA_EMPTY"
        | "NOT_UTF8"
        | "TRADE_OVERDUE"
        | "USER_ACCOUNT_ABNORMAL"
        | "INVALID_TRANSACTIONID"
        | "PARAM_ERROR" => Action::Permanent,
        // "ERROR" (a reason in words) and whatever nobody told us of
        _ => Action::Ask,
    })
}

/// `return_code=FAIL`: unsigned, and its reason stands in words. Those about our signature say that nothing will work.
#[must_use]
pub fn transport(code: &str, message: &str) -> PaymentError {
    if code != "FAIL" {
        return PaymentError::unreadable();
    }
    let lower = message.to_ascii_lowercase();
    let action = if message.contains("签名") || lower.contains("sign") || message.contains("证书") {
        Action::Configuration
    } else if lower.contains("no bill exist") || lower.contains("bill creating") {
        Action::NotFound
    } else if message.contains("频率") {
        Action::BackOff
    } else if lower.contains("systemerror") || lower.contains("system error") || message.contains("系统") {
        return PaymentError::trouble(message);
    } else {
        Action::Ask
    };
    PaymentError::declined(action, code, message)
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
