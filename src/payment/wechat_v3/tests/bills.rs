//! A bill counts only if it is whole and is what was announced; our signature goes to no other host.

use chrono::NaiveDate;
use tokio::sync::mpsc;

use super::*;
use crate::payment::crypto::sha1_hex_lower;
use crate::payment::error::PaymentError;
use crate::payment::gateway::PaymentGateway as _;

fn bill(rows: usize) -> String {
    let mut text = "\u{feff}交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易状态,应结订单金额,微信退款单号,商户退款单号,退款金额,退款状态,订单金额,申请退款金额\r\n".to_owned();
    for row in 0..rows {
        text.push_str(&format!(
            "`2026-11-21 09:00:00,`wx1,`{MCHID},`42{row},`ORDER_{row},`SUCCESS,`88.80,`0,`0,`0.00,`,`88.80,`0.00\r\n"
        ));
    }
    text.push_str(&format!("总交易单数,应结订单总金额\r\n`{rows},`88.80\r\n"));
    text
}

async fn download(hash: &str, host: Option<&str>, rows: usize) -> (Result<u64, PaymentError>, u64, Vec<Seen>) {
    let (hash, host) = (hash.to_owned(), host.map(str::to_owned));
    let peer = Peer::start(move |seen| {
        if seen.target.starts_with("/v3/billdownload") {
            return Reply::plain(200, bill(rows));
        }
        let own = format!("http://{}", seen.header("host").unwrap());
        let download_url = format!("{}/v3/billdownload/file?token=x", host.as_ref().unwrap_or(&own));
        signed(200, &json(&BillPlace { hash_type: "SHA1".to_owned(), hash_value: hash.clone(), download_url }))
    })
    .await;
    let (sender, mut receiver) = mpsc::channel(16);
    let reader = tokio::spawn(async move {
        let mut count = 0;
        while receiver.recv().await.is_some() {
            count += 1;
        }
        count
    });
    let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    let result = client(&peer).bill(day, sender).await;
    (result, reader.await.unwrap(), peer.seen())
}

#[actix_rt::test]
async fn a_whole_bill_is_read_through_a_narrow_channel() {
    let (result, read, seen) = download(&sha1_hex_lower(bill(2_000).as_bytes()).to_uppercase(), None, 2_000).await;
    assert_eq!((result, read), (Ok(2_000), 2_000));
    assert_eq!(seen[0].target, "/v3/bill/tradebill?bill_date=2026-11-21&bill_type=ALL");
    assert_eq!(seen[1].target, "/v3/billdownload/file?token=x");
    seen.iter().for_each(assert_signed);
}

#[actix_rt::test]
async fn a_bill_with_another_digest_is_not_believed() {
    let (result, ..) = download(&sha1_hex_lower(b"another"), None, 3).await;
    assert_eq!(outcome(&result), "unknown");
}

#[actix_rt::test]
async fn a_bill_elsewhere_is_not_fetched() {
    let (result, read, seen) = download("", Some("http://192.0.2.1"), 3).await;
    assert_eq!((outcome(&result).as_str(), read, seen.len()), ("unknown", 0, 1));
}

#[actix_rt::test]
async fn a_day_without_a_bill_is_told() {
    let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    for code in ["NO_STATEMENT_EXIST", "STATEMENT_CREATING"] {
        let peer = Peer::start(move |_| Reply::plain(400, format!(r#"{{"code":"{code}","message":""}}"#))).await;
        let (sender, _receiver) = mpsc::channel(1);
        assert_eq!(outcome(&client(&peer).bill(day, sender).await), "NotFound");
    }
}
