//! What a gateway tells several nodes of at once: they share the inbox, so one of them tells the order.

use std::path::Path;

use futures::future::join_all;
use rushmall::config::{Secret, Settings};
use rushmall::payment::sandbox::Merchant;

use crate::cluster::{Cluster, Shared, number, on_each_database};
use crate::support::gateway::OwnGateway;
use crate::support::receiver::Receiver;

const COPIES: usize = 10;
const PAID: i64 = 2;

/// The settings of a shop that is this gateway's merchant and is told at `notify_url`.
fn account(settings: &mut Settings, merchant: &Merchant, files: &Path, notify_url: &str) {
    let file = |name: &str| files.join(name).display().to_string();
    settings.payment.notify_base_url = notify_url.to_owned();
    let (wechat, theirs) = (&mut settings.payment.wechat_v3, &merchant.wechat);
    wechat.enabled = true;
    wechat.base_url.clone_from(&theirs.base_url);
    wechat.mchid.clone_from(&theirs.mchid);
    wechat.appid.clone_from(&theirs.appid);
    wechat.serial.clone_from(&theirs.certificate_serial);
    wechat.private_key_file = file(&theirs.private_key_file);
    wechat.api_v3_key = Secret(theirs.api_v3_key.clone());
    wechat.public_key_id.clone_from(&theirs.public_key_id);
    wechat.public_key_file = file(&theirs.public_key_file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r22_ten_copies_of_a_notification_split_over_two_nodes_pay_once() {
    on_each_database(|services, database| async move {
        let (own, post) = (OwnGateway::open(), Receiver::open(500));
        let shared = Shared::new(&services, &database).await;
        let cluster = Cluster::with(shared, 2, |settings| {
            account(settings, &own.merchant, &own.merchant_dir(), &post.url);
        });
        let (product, _) = cluster.admin().await.make_sale("copies", 1).await;
        let ann = cluster.nodes[0].visitor().register("ann").await;
        let order_no = ann.buy(&product).await.order_no();
        ann.open_charge("wechat", &order_no).await.accepted();
        // the notification goes astray, and ten copies of it reach both nodes at once
        own.gateway.pay(&format!("{order_no}_1")).await;
        let astray = post.has(1).await[0].clone();
        assert_eq!(astray.path, "/api/pay/wechat/v3/notify");
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let answers = join_all((0..COPIES).map(|place| {
            let node = &cluster.nodes[place % 2];
            let mut request = http.post(format!("{}{}", node.address.base(), astray.path)).body(astray.body.clone());
            for (name, value) in &astray.headers {
                if name.starts_with("wechatpay-") || name == "content-type" {
                    request = request.header(name, value);
                }
            }
            request.send()
        }))
        .await;
        let statuses: Vec<u16> =
            answers.into_iter().map(|answer| answer.expect("an answer").status().as_u16()).collect();
        assert_eq!(statuses, [204; COPIES], "every copy is answered with success");
        cluster.nodes[1].meets(&ann).sees(&order_no, PAID).await;
        let db = cluster.shared.schema.db().await;
        let captured = "SELECT COUNT(*) AS n FROM order_events WHERE kind = 'payment_captured'";
        assert_eq!(number(&db, captured).await, 1);
        assert_eq!(number(&db, "SELECT COUNT(*) AS n FROM notices").await, 1);
        cluster.until(&db, "SELECT COUNT(*) AS n FROM notices WHERE state = 'done'", 1).await;
        assert_eq!(number(&db, captured).await, 1, "nor later");
        db.close().await;
    })
    .await;
}
