//! The points on which the providers' pages, their SDKs and what merchants report disagree, and a few conveniences.

use serde::{Deserialize, Serialize};

use super::rules::Terms;

/// Every knob with its default; `GET` and `PATCH /control/knobs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Knobs {
    /// Time limits and bounds.
    pub(super) terms: Terms,
    /// What a code says that buyers scan.
    pub(super) code_url: CodeUrl,
    /// v3: the code for "already paid".
    pub(super) paid_code: PaidCode,
    /// v3: its HTTP status, 400 or 403.
    pub(super) paid_status: u16,
    /// v3: HTTP status of a close that worked, 204 or 200.
    pub(super) close_status: u16,
    /// v3 and v2: the answer to closing a number that nobody knows.
    pub(super) close_of_unknown: Lenience,
    /// v3 and v2: the answer to closing a closed trade.
    pub(super) close_of_closed: Lenience,
    /// v3: the code for a number that is taken by other parameters.
    pub(super) taken_code: TakenCode,
    /// v3: which key signs answers.
    pub(super) answer_key: AnswerKey,
    /// v3: whether `/v3/certificates` lists certificates. Merchants that only know the public key get an error.
    pub(super) lists_certificates: bool,
    /// v3: whether answers and notifications carry `Wechatpay-Signature-Type`.
    pub(super) names_signature_type: bool,
    /// v3: what notifications are sealed with beside the key.
    pub(super) associated_data: AssociatedData,
    /// Whether notifications may go over plain HTTP to other machines, as between containers.
    pub(super) http_notify_anywhere: bool,
    /// Alipay: for how long a refund's query does not say yet that it was refunded.
    pub(super) alipay_refund_hidden_ms: i64,
    /// Whether a day that has not ended has a bill.
    pub(super) bills_today: bool,
}

/// What a code says that buyers scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CodeUrl {
    /// The provider's shape, which only a real wallet would understand.
    Provider,
    /// The address of the cashier page, which any phone opens.
    Cashier,
}

/// The two spellings of "already paid".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PaidCode {
    /// As most pages spell it.
    #[serde(rename = "ORDERPAID")]
    Joined,
    /// As some do.
    #[serde(rename = "ORDER_PAID")]
    Parted,
}

/// Whether a needless close is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Lenience {
    /// The documented error.
    Refuse,
    /// As if it had worked.
    Accept,
}

/// The code for a number that is taken by other parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum TakenCode {
    /// `INVALID_REQUEST` if only `time_expire` differs, else `OUT_TRADE_NO_USED`.
    ByKind,
    /// Always this.
    OutTradeNoUsed,
    /// Always this.
    InvalidRequest,
}

/// Which key signs answers of v3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerKey {
    /// The public key if the request names one in `Wechatpay-Serial`, else the certificate.
    Auto,
    /// Always the public key.
    PublicKey,
    /// Always the newest certificate.
    Certificate,
}

/// The additional data of a sealed resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AssociatedData {
    /// The type of what is sealed.
    Named,
    /// An empty text.
    Empty,
    /// No such member, which seals like an empty text.
    Missing,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            terms: Terms::default(),
            code_url: CodeUrl::Provider,
            paid_code: PaidCode::Joined,
            paid_status: 400,
            close_status: 204,
            close_of_unknown: Lenience::Refuse,
            close_of_closed: Lenience::Refuse,
            taken_code: TakenCode::ByKind,
            answer_key: AnswerKey::Auto,
            lists_certificates: true,
            names_signature_type: true,
            associated_data: AssociatedData::Named,
            http_notify_anywhere: false,
            alipay_refund_hidden_ms: 0,
            bills_today: true,
        }
    }
}

impl Knobs {
    /// The defaults of a sandbox that people try, or of any other.
    pub(super) fn of(shows_cashier: bool) -> Self {
        let code_url = if shows_cashier { CodeUrl::Cashier } else { CodeUrl::Provider };
        Self { code_url, ..Self::default() }
    }

    /// These knobs with the members of `patch` turned; the reason if one is unknown or out of its range.
    pub(super) fn patched(&self, patch: &serde_json::Value) -> Result<Self, String> {
        let mut all = serde_json::to_value(self).map_err(|error| error.to_string())?;
        merge(&mut all, patch);
        let knobs: Self = serde_json::from_value(all).map_err(|error| error.to_string())?;
        if ![400, 403].contains(&knobs.paid_status) {
            return Err("paid_status is 400 or 403".to_owned());
        }
        if ![200, 204].contains(&knobs.close_status) {
            return Err("close_status is 204 or 200".to_owned());
        }
        Ok(knobs)
    }
}

fn merge(into: &mut serde_json::Value, patch: &serde_json::Value) {
    match (into, patch) {
        (serde_json::Value::Object(into), serde_json::Value::Object(patch)) => {
            for (name, value) in patch {
                merge(into.entry(name).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_turns_what_it_names() {
        let patch = json!({ "close_status": 200, "paid_code": "ORDER_PAID", "terms": { "refund_takes_ms": 5 } });
        let knobs = Knobs::default().patched(&patch).unwrap();
        assert_eq!((knobs.close_status, knobs.paid_code, knobs.terms.refund_takes_ms), (200, PaidCode::Parted, 5));
        assert_eq!(knobs.terms.refunds_max, 50);
    }

    #[test]
    fn unknown_knobs_and_values_are_refused() {
        for patch in [json!({ "nope": 1 }), json!({ "close_status": 500 }), json!({ "terms": { "nope": 1 } }), json!(7)]
        {
            assert!(Knobs::default().patched(&patch).is_err(), "{patch}");
        }
    }
}
