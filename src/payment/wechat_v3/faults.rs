//! The error codes of WeChat Pay v3 and what each means for the caller.

use super::messages::Fault;
use crate::payment::error::{Action, PaymentError};

/// What was asked when the error came: a few codes mean different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Native, JSAPI or H5 order.
    Create,
    /// Query of a charge.
    Query,
    /// Close.
    Close,
    /// Refund.
    Refund,
    /// Query of a refund.
    QueryRefund,
    /// Bills and certificates.
    Fetch,
}

/// Reads a refusal (anything but 2xx).
#[must_use]
pub fn fault(operation: Operation, status: u16, body: &[u8]) -> PaymentError {
    let fault: Fault = serde_json::from_slice(body).unwrap_or_default();
    let code = if fault.code.is_empty() { format!("HTTP_{status}") } else { fault.code };
    match action(operation, status, &code) {
        Some(action) => PaymentError::declined(action, &code, &fault.message),
        None => PaymentError::trouble(code),
    }
}

/// What a code means; `None` if the gateway itself does not know whether it happened.
fn action(operation: Operation, status: u16, code: &str) -> Option<Action> {
    use Operation::{Close, Create};
    Some(match code {
        "SYSTEM_ERROR" | "BANK_ERROR" | "OPENID_MISMATCH" | "INVALID_TRANSACTIONID" => return None,
        "SIGN_ERROR" => Action::Configuration,
        "FREQUENCY_LIMITED" | "FREQUENCY_LIMIT_EXCEED" | "RATELIMIT_EXCEEDED" => Action::BackOff,
        "ORDERPAID" | "ORDER_PAID" => Action::AlreadyPaid,
        "ORDER_CLOSED" => Action::Closed,
        "ORDER_NOT_EXIST" | "RESOURCE_NOT_EXISTS" | "NO_STATEMENT_EXIST" | "STATEMENT_CREATING" => Action::NotFound,
        "NOT_ENOUGH" => Action::ShortOfFunds,
        // on an order also: paid already, closed already, or other parameters than the first time
        "INVALID_REQUEST" if matches!(operation, Create | Close) => Action::Ask,
        "OUT_TRADE_NO_USED" | "USERPAYING" => Action::Ask,
        "PARAM_ERROR"
        | "INVALID_REQUEST"
        | "APPID_MCHID_NOT_MATCH"
        | "MCH_NOT_EXISTS"
        | "NO_AUTH"
        | "ACCOUNT_ERROR"
        | "RULE_LIMIT"
        | "TRADE_ERROR" => Action::Permanent,
        _ => return by_status(status),
    })
}

/// A code that nobody told us of: the status says how bad it is, and whether it happened is asked for.
const fn by_status(status: u16) -> Option<Action> {
    match status {
        401 => Some(Action::Configuration),
        // redirects are not followed: the URL in the settings is not the gateway's
        300..=399 => Some(Action::Configuration),
        429 => Some(Action::BackOff),
        400..=499 => Some(Action::Ask),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_has_its_action() {
        use Operation::{Close, Create, Fetch, Query, QueryRefund, Refund};
        for (operation, status, code, expected) in [
            (Create, 400, "PARAM_ERROR", Some(Action::Permanent)),
            (Create, 400, "INVALID_REQUEST", Some(Action::Ask)),
            (Close, 400, "INVALID_REQUEST", Some(Action::Ask)),
            (Refund, 400, "INVALID_REQUEST", Some(Action::Permanent)),
            (Create, 400, "APPID_MCHID_NOT_MATCH", Some(Action::Permanent)),
            (Create, 400, "MCH_NOT_EXISTS", Some(Action::Permanent)),
            (Create, 400, "ORDER_CLOSED", Some(Action::Closed)),
            (Query, 401, "SIGN_ERROR", Some(Action::Configuration)),
            (Create, 403, "NO_AUTH", Some(Action::Permanent)),
            (Create, 403, "ACCOUNT_ERROR", Some(Action::Permanent)),
            (Create, 403, "RULE_LIMIT", Some(Action::Permanent)),
            (Create, 403, "TRADE_ERROR", Some(Action::Permanent)),
            (Refund, 403, "NOT_ENOUGH", Some(Action::ShortOfFunds)),
            (Create, 403, "OUT_TRADE_NO_USED", Some(Action::Ask)),
            (Create, 400, "ORDERPAID", Some(Action::AlreadyPaid)),
            (Close, 403, "ORDER_PAID", Some(Action::AlreadyPaid)),
            (Query, 404, "ORDER_NOT_EXIST", Some(Action::NotFound)),
            (QueryRefund, 404, "RESOURCE_NOT_EXISTS", Some(Action::NotFound)),
            (Refund, 429, "FREQUENCY_LIMITED", Some(Action::BackOff)),
            (Query, 429, "RATELIMIT_EXCEEDED", Some(Action::BackOff)),
            (Create, 500, "SYSTEM_ERROR", None),
            (Refund, 500, "BANK_ERROR", None),
            (Create, 500, "OPENID_MISMATCH", None),
            (Create, 500, "INVALID_TRANSACTIONID", None),
            (Fetch, 400, "NO_STATEMENT_EXIST", Some(Action::NotFound)),
            (Fetch, 400, "STATEMENT_CREATING", Some(Action::NotFound)),
            (Query, 502, "", None),
            (Query, 418, "NEW_CODE", Some(Action::Ask)),
            (Query, 429, "", Some(Action::BackOff)),
            (Query, 302, "", Some(Action::Configuration)),
        ] {
            let body = format!(r#"{{"code":"{code}","message":"说明"}}"#);
            let error = fault(operation, status, body.as_bytes());
            assert_eq!(error.action(), expected.unwrap_or(Action::Ask), "{code}");
            assert_eq!(error.is_outcome_unknown(), expected.is_none(), "{code}");
        }
        assert!(fault(Query, 502, b"<html>").is_outcome_unknown());
    }
}
