//! Signed calls to WeChat Pay v2, and what of the answers is believed.
//!
//! `return_code=FAIL` (the transport's word) comes unsigned and says that nothing was done, or that nobody knows; any
//! other answer must carry the shared key's signature and name us, or it is [`PaymentError::OutcomeUnknown`].

use std::fmt;

use reqwest::{Identity, Method};

use super::faults;
use super::signing::{ApiV2Key, SignType};
use super::xml::{self, Fields};
use crate::clock::Clock;
use crate::config::PaymentSettings;
use crate::payment::error::PaymentError;
use crate::payment::guard::{Call, Guard};
use crate::payment::link::{Incoming, Link, Outgoing, settle};
use crate::payment::wechat_v3::signing::nonce;

/// The refund's path asks for the merchant's certificate.
pub(super) const REFUND: &str = "/secapi/pay/refund";

/// The merchant and its keys.
#[derive(Debug)]
pub struct Merchant {
    /// The merchant's number.
    pub mchid: String,
    /// The app that payers see.
    pub appid: String,
    /// The API key.
    pub key: ApiV2Key,
    /// How requests are signed.
    pub sign_type: SignType,
    /// Certificate and private key in PEM: without them nothing can be refunded.
    pub identity: Option<Identity>,
}

/// WeChat Pay v2 for one merchant.
pub struct WechatV2 {
    pub(super) link: Link,
    pub(super) clock: Clock,
    pub(super) merchant: Merchant,
}

impl WechatV2 {
    /// A client of the gateway at `base_url`. Asks nothing before its first call.
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`].
    pub fn new(
        base_url: &str,
        settings: &PaymentSettings,
        merchant: Merchant,
        clock: Clock,
    ) -> Result<Self, PaymentError> {
        let link = Link::new(("wechat_v2", base_url), settings, clock.clone(), merchant.identity.clone())?;
        Ok(Self { link, clock, merchant })
    }

    /// The same with a second address for when the first does not answer.
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`].
    pub fn with_backup(self, backup_url: Option<&str>) -> Result<Self, PaymentError> {
        Ok(Self { link: self.link.with_backup(backup_url)?, ..self })
    }

    /// The guard of this gateway.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        self.link.guard()
    }

    /// Asks `path`; these fields and our name are signed.
    pub(super) async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Result<Fields, PaymentError> {
        let call = if path == REFUND { Call::Refund } else { Call::Other };
        if call == Call::Refund && self.merchant.identity.is_none() && !self.is_loopback() {
            return Err(PaymentError::Unconfigured("payment.wechat_v2.identity_file, which refunds need"));
        }
        let (permit, incoming) = self.link.exchange(call, self.outgoing(path, fields)?).await?;
        settle(permit, self.read(path, &incoming))
    }

    pub(super) fn outgoing(&self, path: &str, fields: &[(&str, &str)]) -> Result<Outgoing<'static>, PaymentError> {
        let ours = [("appid", self.merchant.appid.as_str()), ("mch_id", self.merchant.mchid.as_str())];
        let pairs = ours.iter().chain(fields).filter(|(_, value)| !value.is_empty());
        let mut message: Fields = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        message.insert("nonce_str".to_owned(), nonce());
        self.merchant.key.sign(&mut message, self.merchant.sign_type);
        let body = xml::write("xml", &message);
        let headers = &[("Content-Type", "text/xml; charset=utf-8")];
        Ok(Outgoing { method: Method::POST, url: self.link.url(path)?, headers, body })
    }

    fn read(&self, path: &str, incoming: &Incoming) -> Result<Fields, PaymentError> {
        if incoming.status != 200 {
            return Err(faults::by_status(incoming.status));
        }
        let fields = xml::read(&incoming.body).map_err(|_| PaymentError::unreadable())?;
        let of = |name: &str| fields.get(name).map_or("", String::as_str);
        if of("return_code") != "SUCCESS" {
            return Err(faults::transport(of("return_code"), of("return_msg")));
        }
        self.merchant.key.verify(&fields).map_err(PaymentError::unbelieved)?;
        if of("mch_id") != self.merchant.mchid || of("appid") != self.merchant.appid {
            return Err(PaymentError::unbelieved("the answer is for another merchant"));
        }
        if of("result_code") == "SUCCESS" {
            return Ok(fields);
        }
        Err(faults::fault(path, of("err_code"), of("err_code_des")))
    }

    fn is_loopback(&self) -> bool {
        let host = self.link.base().host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Debug for WechatV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WechatV2({}, {})", self.merchant.mchid, self.merchant.sign_type.name())
    }
}
