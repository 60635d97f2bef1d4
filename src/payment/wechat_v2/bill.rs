//! The daily bill of WeChat Pay v2: the table itself is the answer, or XML that says why there is none.

use chrono::NaiveDate;
use reqwest::Response;
use tokio::sync::mpsc;

use super::client::WechatV2;
use super::{faults, xml};
use crate::payment::error::PaymentError;
use crate::payment::facts::BillLine;
use crate::payment::link::{on_the_way, settle};
use crate::payment::wechat_bill::BillReader;

const REFUSAL_BYTES_MAX: usize = 16 * 1024;

impl WechatV2 {
    pub(super) async fn download_bill(
        &self,
        day: NaiveDate,
        lines: mpsc::Sender<BillLine>,
    ) -> Result<u64, PaymentError> {
        let day = day.format("%Y%m%d").to_string();
        let outgoing = self.outgoing("/pay/downloadbill", &[("bill_date", &day), ("bill_type", "ALL")])?;
        let (permit, response) = self.link.download(outgoing).await?;
        settle(permit, read_bill(response, lines).await)
    }
}

async fn read_bill(mut response: Response, lines: mpsc::Sender<BillLine>) -> Result<u64, PaymentError> {
    let status = response.status().as_u16();
    if status != 200 {
        return Err(faults::by_status(status));
    }
    let mut reader = BillReader::new(lines);
    let mut refusal: Option<Vec<u8>> = None;
    let mut is_first = true;
    while let Some(chunk) = response.chunk().await.map_err(|error| on_the_way(&error))? {
        if is_first && chunk.first() == Some(&b'<') {
            refusal = Some(Vec::new());
        }
        is_first &= chunk.is_empty();
        match &mut refusal {
            None => reader.push(&chunk).await?,
            Some(text) if text.len() + chunk.len() <= REFUSAL_BYTES_MAX => text.extend_from_slice(&chunk),
            Some(_) => return Err(PaymentError::unreadable()),
        }
    }
    let Some(text) = refusal else { return reader.finish().await };
    let fields = xml::read(&text).map_err(|_| PaymentError::unreadable())?;
    let of = |name: &str| fields.get(name).map_or("", String::as_str);
    Err(faults::transport(of("return_code"), of("return_msg")))
}
