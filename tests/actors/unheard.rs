//! What a buyer's session actor does not hear while it is held.

use serde_json::json;

use crate::support::shop::TestShop;
use crate::support::socket::Listener;

const UNPAID: i64 = 1;
const CANCELLED: i64 = 5;
const SOLD_OUT: i64 = 60_003;

#[tokio::test]
async fn a_socket_hears_of_an_order_whose_session_is_paused_and_the_session_forgets_the_purchase() {
    let shop = TestShop::open().await;
    let (admin, ann, bob) = (shop.admin().await, shop.register("ann").await, shop.register("bob").await);
    let (product, _) = admin.make_sale("unheard", 1).await;
    let mut socket = Listener::open(&ann).await;
    let order_no = ann.buy(&product).await.order_no();
    socket.wait_for(&order_no, UNPAID).await;
    admin.command_actor("session", &ann.user_id.to_string(), "pause").await.accepted();
    admin.post(&format!("/api/admin/orders/{order_no}/cancel"), &json!({})).await.accepted();
    socket.wait_for(&order_no, CANCELLED).await;
    admin.command_actor("session", &ann.user_id.to_string(), "resume").await.accepted();
    shop.at_rest().await;
    bob.buy(&product).await.order_no();
    ann.buy(&product).await.rejected(SOLD_OUT);
}
