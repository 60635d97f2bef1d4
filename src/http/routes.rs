//! The whole API on one screen. `u` = signed in, `a` = administrator, `-` = anybody; the extractors of a handler say the
//! same in types.

use super::route_table::RouteTable;
use super::{
    addresses, admin, admin_actors, admin_daily, admin_messages, admin_order_detail, admin_orders, admin_payments,
    admin_products, admin_reconciliation, admin_rooms, admin_sales, admin_settings, admin_stock, admin_users,
    admin_webhooks, audit, audit_log, carts, categories, figures, health, notify, orders, pay_channels, payments,
    photos, products, rehearsal, sales, seckill, sessions, uploads, users, waiting_room, ws, ws_admin, ws_stock,
};

/// Every route of the server but the documentation's own.
#[must_use]
pub fn routes() -> RouteTable {
    let mut routes = RouteTable::default();
    // operations
    routes.get("/health", health::health);
    routes.get("/ready", health::ready);
    routes.get("/version", health::version);
    routes.get("/metrics", figures::metrics);
    people(&mut routes);
    buying(&mut routes);
    administration(&mut routes);
    shop(&mut routes);
    routes
}

fn people(routes: &mut RouteTable) {
    routes.post("/api/user/register", users::register_user); // -
    routes.post("/api/user/login", users::log_in); // -
    routes.get("/api/user/profile", users::get_profile); // u
    routes.put("/api/user/profile", users::update_profile); // u
    routes.get("/api/user/address", addresses::list_addresses); // u
    routes.post("/api/user/address", addresses::add_address); // u
    routes.get("/api/user/address/{id}", addresses::get_address); // u
    routes.put("/api/user/address/{id}", addresses::update_address); // u
    routes.delete("/api/user/address/{id}", addresses::remove_address); // u
    routes.post("/api/auth/refresh-token", sessions::refresh_tokens); // -
    routes.post("/api/auth/change-password", sessions::change_password); // u
    routes.post("/api/auth/logout", sessions::log_out); // u
    routes.get("/api/auth/sessions", sessions::list_sessions); // u
    routes.delete("/api/auth/sessions/{sid}", sessions::revoke_session); // u
    routes.get("/api/admin/users", admin_users::list_users); // a
    routes.get("/api/admin/users/{id}", admin_users::show_user); // a
    routes.get("/api/admin/users/{id}/sessions", admin_users::list_sessions_of); // a
    routes.put("/api/admin/users/{id}", users::change_user); // a
}

fn shop(routes: &mut RouteTable) {
    routes.post("/api/upload", uploads::upload); // u
    routes.get("/api/upload", uploads::list_uploads); // u
    routes.post("/api/upload/multi", uploads::upload_multi); // u
    routes.delete("/api/upload/{name}", uploads::delete_upload); // u
    routes.get("/uploads/{name}", uploads::serve_upload); // -
    routes.get("/photos/{name}", photos::photo); // -
    routes.get("/api/product", products::list_products); // -
    routes.get("/api/product/{id}", products::get_product); // -
    routes.post("/api/product", products::add_product); // a
    routes.put("/api/product/{id}", products::update_product); // a
    routes.delete("/api/product/{id}", products::delete_product); // a
    routes.get("/api/category", categories::list_categories); // -
    routes.post("/api/category", categories::add_category); // a
    routes.put("/api/category/{id}", categories::update_category); // a
    routes.delete("/api/category/{id}", categories::remove_category); // a
    routes.post("/api/cart", carts::add_to_cart); // -
    routes.get("/api/cart", carts::get_cart); // -
    routes.put("/api/cart", carts::update_cart); // -
    routes.delete("/api/cart", carts::remove_from_cart); // -
    routes.delete("/api/cart/clear", carts::clear_cart); // -
}

fn buying(routes: &mut RouteTable) {
    routes.post("/api/order", orders::place_order); // u
    routes.get("/api/order", orders::list_orders); // u
    routes.post("/api/order/checkout", orders::checkout); // u
    routes.get("/api/order/{order_no}", orders::order_detail); // u, a
    routes.post("/api/order/{order_no}/pay", orders::pay_order); // u
    routes.post("/api/order/{order_no}/cancel", orders::cancel_order); // u
    routes.post("/api/order/{order_no}/confirm", orders::confirm_order); // u
    routes.get("/api/pay/channels", pay_channels::list_channels); // -
    routes.post("/api/pay/{channel}/unified-order", payments::unified_order); // u
    routes.get("/api/pay/{channel}/query", payments::query_payment); // u
    routes.post("/api/pay/{channel}/close", payments::close_payment); // u
    routes.post("/api/pay/{channel}/refund", payments::refund_payment); // u
    routes.post("/api/pay/wechat/notify", notify::wechat_v2); // gateway
    routes.post("/api/pay/wechat/v3/notify", notify::wechat_v3); // gateway
    routes.post("/api/pay/alipay/notify", notify::alipay); // gateway
    routes.get("/api/order/{order_no}/audit", audit::order_proofs); // u, a
    routes.get("/api/audit/head", audit::latest_head); // -
    routes.get("/api/audit/consistency", audit::consistency); // -
    routes.get("/api/seckill", seckill::list_sales); // -
    routes.post("/api/seckill", seckill::buy); // u
    routes.get("/api/seckill/result/{order_no}", seckill::buy_result); // u
    routes.get("/api/seckill/queue/{product_id}", waiting_room::queue_place); // u
    routes.post("/api/ws/ticket", ws::issue_ticket); // u
    routes.get("/ws", ws::open_socket); // u
    routes.get("/ws/stock", ws_stock::open_stock_socket); // -
    routes.get("/ws/admin", ws_admin::open_admin_socket); // a
}

fn administration(routes: &mut RouteTable) {
    routes.post("/api/order/{order_no}/ship", orders::ship_order); // a
    routes.post("/api/seckill/init", sales::open_ad_hoc_sale); // a
    routes.post("/api/seckill/sale", sales::plan_sale); // a
    routes.put("/api/seckill/sale/{id}", sales::change_sale); // a
    routes.delete("/api/seckill/sale/{id}", sales::close_sale); // a
    routes.get("/api/admin/statistics", admin::statistics); // a
    routes.get("/api/admin/statistics/daily", admin_daily::daily_statistics); // a
    routes.get("/api/admin/audit", audit_log::list_acts); // a
    routes.get("/api/admin/audit-log", audit_log::search_acts); // a
    routes.get("/api/admin/audit-log/export", audit_log::export_acts); // a
    routes.get("/api/admin/orders", admin_orders::list_all_orders); // a
    routes.get("/api/admin/orders/{order_no}", admin_order_detail::show_order); // a
    routes.get("/api/admin/categories", admin_products::list_category_rows); // a
    routes.get("/api/admin/products", admin_products::list_all_products); // a
    routes.get("/api/admin/products/{id}/stock", admin_stock::show_stock); // a
    routes.get("/api/admin/sales", admin_sales::list_all_sales); // a
    routes.get("/api/admin/sales/{id}", admin_sales::show_sale); // a
    routes.put("/api/admin/sales/{id}/waiting-room", admin_rooms::command_room); // a
    routes.get("/api/admin/payments", admin_payments::list_payments); // a
    routes.get("/api/admin/refunds", admin_payments::list_refunds); // a
    routes.post("/api/admin/orders/{order_no}/{command}", admin_orders::command_order); // a
    routes.get("/api/admin/reconciliation", admin_reconciliation::list_runs); // a
    routes.post("/api/admin/reconciliation", admin_reconciliation::run_day); // a
    routes.get("/api/admin/reconciliation/{id}", admin_reconciliation::list_differences); // a
    routes.get("/api/admin/dead-tickets", admin_orders::list_dead_tickets); // a
    routes.post("/api/admin/dead-tickets/{order_no}/replay", admin_orders::replay_dead_ticket); // a
    routes.get("/api/admin/nodes", admin_actors::list_nodes); // a
    routes.get("/api/admin/dead-messages", admin_messages::list_dead_messages); // a
    routes.post("/api/admin/dead-messages/{id}/replay", admin_messages::replay_dead_message); // a
    routes.get("/api/admin/settings", admin_settings::show_settings); // a
    routes.post("/api/admin/settings/reload", admin_settings::reload_settings); // a
    routes.get("/api/admin/webhooks", admin_webhooks::list_webhooks); // a
    routes.get("/api/admin/webhooks/dead", admin_webhooks::list_dead_webhooks); // a
    routes.post("/api/admin/webhooks/dead/{id}/replay", admin_webhooks::replay_dead_webhook); // a
    routes.post("/api/admin/webhooks/{target}/replay", admin_webhooks::replay_webhooks); // a
    routes.get("/api/admin/actors", admin_actors::list_actors); // a
    routes.get("/api/admin/actors/{kind}/{key}", admin_actors::inspect_actor); // a
    routes.post("/api/admin/actors/{kind}/{key}/{command}", admin_actors::command_actor); // a
    routes.get("/api/admin/alerts", admin_actors::list_alerts); // a
    routes.get("/api/admin/dead-letters", admin_actors::list_dead_letters); // a
    routes.post("/api/admin/dead-letters/{id}/replay", admin_actors::replay_dead_letter); // a
    routes.post("/api/admin/rehearsal/buyers", rehearsal::make_buyers); // a
    routes.get("/api/admin/rehearsal/reconciliation", rehearsal::reconcile); // a
}
