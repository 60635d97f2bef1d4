//! What a gateway is asked when a payment attempt begins. Kept in the journal with the attempt, because every repetition of
//! the question must be the same to the letter (payments.md §1.2: another `time_expire` or amount is refused).

use serde::{Deserialize, Serialize};

/// The terms of one attempt, fixed before the gateway hears of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ChargeTerms {
    /// End of the time to pay at the gateway, unix ms. At least a minute after the start, so it can lie behind the order's
    /// own deadline: the order is closing then until the gateway has answered.
    pub expires_at_ms: i64,
    /// What the buyer reads; at least one character.
    pub description: String,
    /// Where the gateway tells of the payment.
    pub notify_url: String,
    /// Where the buyer pays.
    pub trade_type: TradeType,
    /// The buyer's address as far as it is known, else empty.
    pub buyer_ip: String,
}

/// Where the buyer pays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TradeType {
    /// The buyer scans a QR code that the shop shows (WeChat native, Alipay precreate).
    #[default]
    QrCode,
    /// Within WeChat's own browser (JSAPI).
    InWechat {
        /// The buyer's id towards the merchant's app.
        openid: String,
    },
    /// In the browser of a telephone (WeChat H5).
    MobileBrowser,
    /// On a page of the gateway's (Alipay page pay).
    Page {
        /// Where the buyer comes back to; says nothing about whether money came.
        return_url: String,
    },
}
