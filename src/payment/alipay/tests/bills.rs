//! Bills as ZIP of GBK tables and as plain text, in whatever pieces; damaged ones are never taken for whole.

use std::io::Write as _;

use chrono::NaiveDate;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::super::bill::BillFile;
use super::*;
use crate::payment::error::PaymentError;
use crate::payment::facts::BillLine;
use crate::payment::gateway::PaymentGateway as _;

const BILL: &str = "#支付宝业务明细查询\r
#账号：[20880000000000010156]\r
#-----------------------------------------业务明细列表----------------------------------------\r
支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,对方账户,订单金额（元）,商家实收（元）,退款批次号/请求号,服务费（元）,备注\r
2026112222001\t,ORDER_1\t,交易,手机壳, 红色,2026-11-21 09:00:00,2026-11-21 09:00:05,,buyer,88.80,88.80,,-0.53,\r
2026112222002\t,ORDER_2\t,交易,膜,2026-11-21 09:00:00,2026-11-21 09:00:06,,buyer,9.90,9.90,,-0.06,\r
2026112222001\t,ORDER_1\t,退款,手机壳,2026-11-21 09:00:00,2026-11-21 10:00:00,,buyer,-10.00,-10.00,ORDER_r1,0.06,\r
#-----------------------------------------业务明细列表结束------------------------------------\r
#交易合计：2笔，商家实收共98.70元，商家优惠共0.00元\r
#退款合计：1笔，商家实收退款共-10.00元，商家优惠退款共0.00元\r
#导出时间：[2026年11月22日 09:00:00]\r
";
const SUMMARY: &str = "#支付宝业务汇总查询\r\n门店编号,门店名称,交易订单总笔数,退款订单总笔数\r\n合计,,2,1\r\n";

fn gbk(text: &str) -> Vec<u8> {
    encoding_rs::GBK.encode(text).0.into_owned()
}

/// One entry; with `behind` its sizes stand behind it, as streaming writers leave them.
fn entry(data: &[u8], deflated: bool, behind: bool) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(data);
    let packed = if deflated {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    } else {
        data.to_vec()
    };
    let sizes: Vec<u8> =
        [crc.sum(), packed.len() as u32, data.len() as u32].into_iter().flat_map(u32::to_le_bytes).collect();
    let name = gbk("明细.csv");
    let mut bytes = b"PK\x03\x04\x14\x00".to_vec();
    bytes.extend([if behind { 8 } else { 0 }, 0, if deflated { 8 } else { 0 }, 0, 0, 0, 0, 0]);
    bytes.extend(if behind { vec![0; 12] } else { sizes.clone() });
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(name);
    bytes.extend(packed);
    if behind {
        bytes.extend(b"PK\x07\x08");
        bytes.extend(sizes);
    }
    bytes
}

fn zip(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend(b"PK\x01\x02 the directory, which nobody reads");
    bytes
}

async fn read(file: &[u8], piece: usize) -> Result<(u64, Vec<BillLine>), PaymentError> {
    let (sender, mut receiver) = mpsc::channel(100);
    let mut bill = BillFile::new(sender);
    for piece in file.chunks(piece.max(1)) {
        bill.push(piece).await?;
    }
    let count = bill.finish().await?;
    let mut lines = Vec::new();
    while let Ok(line) = receiver.try_recv() {
        lines.push(line);
    }
    Ok((count, lines))
}

#[actix_rt::test]
async fn every_form_of_the_file_says_the_same() {
    let (table, summary) = (gbk(BILL), gbk(SUMMARY));
    let files = [
        BILL.as_bytes().to_vec(),
        table.clone(),
        zip(&[entry(&table, true, false), entry(&summary, true, false)]),
        zip(&[entry(&summary, true, true), entry(&table, true, true)]),
        zip(&[entry(&table, false, false)]),
    ];
    for file in files {
        for piece in [1, 13, 100_000] {
            let (count, lines) = read(&file, piece).await.unwrap();
            assert_eq!((count, lines.len()), (3, 3));
            assert_eq!((lines[0].payment_no.as_str(), lines[0].gateway_no.as_str()), ("ORDER_1", "2026112222001"));
            assert_eq!(lines[0].total, Some(charge().amount));
            assert_eq!(lines[1].total.map(crate::domain::Money::fen), Some(990));
            let refund = lines[2].refund.clone().unwrap();
            assert_eq!((refund.refund_no.as_str(), refund.amount.fen(), lines[2].total), ("ORDER_r1", 1_000, None));
        }
    }
}

#[actix_rt::test]
async fn a_file_that_is_cut_off_changed_or_miscounted_is_not_whole() {
    let whole = zip(&[entry(&gbk(BILL), true, true)]);
    for length in 0..whole.len() - 40 {
        assert!(read(&whole[..length], 512).await.is_err(), "{length} of {} bytes", whole.len());
    }
    let mut changed = entry(&gbk(BILL), false, false);
    let last = changed.len() - 5;
    changed[last] ^= 1;
    assert!(read(&zip(&[changed]), 512).await.is_err());
    for (from, to) in [
        ("交易合计：2笔", "交易合计：3笔"),
        ("#退款合计", "#别的"),
        ("88.80,88.80", "x,88.80"),
        (",交易,膜", ",转账,膜"),
    ] {
        assert!(read(BILL.replacen(from, to, 1).as_bytes(), 512).await.is_err(), "{from}");
    }
    assert!(read(&zip(&[entry(&gbk(SUMMARY), true, false)]), 512).await.is_err(), "no table of payments");
    assert!(read(&[vec![b'x'; 20_000], b"\n".to_vec()].concat(), 512).await.is_err(), "a line without an end");
}

#[actix_rt::test]
async fn a_bill_is_asked_for_and_fetched() {
    let peer = Peer::start(|seen| match seen.target.starts_with("/bill") {
        true => Reply::plain(200, zip(&[entry(&gbk(BILL), true, false)])),
        false => {
            let url = format!("http://{}/bill?token=x", seen.header("host").unwrap());
            signed(seen, &format!(r#"{{"code":"10000","bill_download_url":"{url}"}}"#))
        }
    })
    .await;
    let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    let (sender, _receiver) = mpsc::channel(10);
    assert_eq!(client(&peer).bill(day, sender).await, Ok(3));
    let expected = serde_json::json!({ "bill_type": "trade", "bill_date": "2026-11-21" });
    assert_eq!(content(&assert_signed(&peer.seen()[0])), expected);
    assert_eq!(peer.seen()[1].header("authorization"), None);
}

#[actix_rt::test]
async fn a_bill_at_an_unsafe_place_is_not_fetched_and_a_missing_one_is_told() {
    let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    for (inner, expected) in [
        (r#"{"code":"10000","bill_download_url":"http://192.0.2.1/bill"}"#, "unknown"),
        (r#"{"code":"40004","sub_code":"isp.bill_not_exist"}"#, "NotFound"),
    ] {
        let (sender, _receiver) = mpsc::channel(1);
        assert_eq!(outcome(&client(&peer(inner).await).bill(day, sender).await), expected);
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes: Vec<u8>, piece in 1..50_usize) {
        actix_rt::System::new().block_on(async {
            let _ = read(&bytes, piece).await;
            let _ = read(&[b"PK\x03\x04".as_slice(), &bytes].concat(), piece).await;
            let _ = read(&[&entry(&bytes, true, true)[..30], &bytes].concat(), piece).await;
        });
    }
}
