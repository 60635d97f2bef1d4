//! The daily bill of WeChat Pay v3: where it lies is a signed answer, the file itself is not, but its digest is.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use chrono::NaiveDate;
use reqwest::{Method, Response, Url};
use tokio::sync::mpsc;

use super::WechatV3;
use super::client::request_headers;
use super::faults::{self, Operation};
use super::messages::BillPlace;
use crate::payment::error::PaymentError;
use crate::payment::facts::BillLine;
use crate::payment::link::{Outgoing, on_the_way, settle};
use crate::payment::wechat_bill::BillReader;

/// Refusals are short.
const FAULT_BYTES_MAX: usize = 16 * 1024;

impl WechatV3 {
    pub(super) async fn download_bill(
        &self,
        day: NaiveDate,
        lines: mpsc::Sender<BillLine>,
    ) -> Result<u64, PaymentError> {
        let path = format!("/v3/bill/tradebill?bill_date={day}&bill_type=ALL");
        let place: BillPlace = self.get(Operation::Fetch, &path).await?;
        let url = self.own_url(&place.download_url)?;
        let authorization = self.authorize(&Method::GET, &url, "")?;
        let headers = request_headers(&authorization, None);
        let outgoing = Outgoing { method: Method::GET, url, headers: &headers, body: String::new() };
        let (permit, response) = self.link.download(outgoing).await?;
        settle(permit, read_bill(response, &place, lines).await)
    }

    /// Our signature goes to the gateway and nowhere else, whatever the answer says.
    fn own_url(&self, download_url: &str) -> Result<Url, PaymentError> {
        let url = Url::parse(download_url).map_err(|_| PaymentError::unreadable())?;
        if self.link.is_own(&url) { Ok(url) } else { Err(PaymentError::unbelieved("the bill lies at another host")) }
    }
}

async fn read_bill(
    mut response: Response,
    place: &BillPlace,
    lines: mpsc::Sender<BillLine>,
) -> Result<u64, PaymentError> {
    let status = response.status().as_u16();
    let mut reader = BillReader::new(lines);
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    let mut refusal = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| on_the_way(&error))? {
        if status == 200 {
            digest.update(&chunk);
            reader.push(&chunk).await?;
        } else if refusal.len() + chunk.len() <= FAULT_BYTES_MAX {
            refusal.extend_from_slice(&chunk);
        }
    }
    if status != 200 {
        return Err(faults::fault(Operation::Fetch, status, &refusal));
    }
    let count = reader.finish().await?;
    let is_whole = hex::encode(digest.finish()).eq_ignore_ascii_case(&place.hash_value);
    if place.hash_type == "SHA1" && is_whole {
        Ok(count)
    } else {
        Err(PaymentError::unbelieved("the bill is not what was announced"))
    }
}
