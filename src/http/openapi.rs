//! The OpenAPI 3.1 description, made from the handlers themselves; a test compares it with the routes.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    addresses, admin, admin_actors, admin_daily, admin_messages, admin_order_detail, admin_orders, admin_payments,
    admin_products, admin_reconciliation, admin_rooms, admin_sales, admin_settings, admin_stock, admin_users,
    admin_webhooks, audit, audit_log, carts, categories, figures, health, notify, orders, pay_channels, payments,
    photos, products, rehearsal, sales, seckill, sessions, uploads, users, waiting_room, ws, ws_admin, ws_stock,
};

/// `/openapi.json`.
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "RushMall", description = "A flash-sale shop. Every JSON answer is `{code, message, data, trace_id}`."),
    modifiers(&BearerToken),
    paths(
        health::health,
        health::ready,
        health::version,
        figures::metrics,
        orders::place_order,
        orders::list_orders,
        orders::checkout,
        orders::order_detail,
        orders::pay_order,
        orders::cancel_order,
        orders::confirm_order,
        orders::ship_order,
        pay_channels::list_channels,
        payments::unified_order,
        payments::query_payment,
        payments::close_payment,
        payments::refund_payment,
        notify::wechat_v2,
        notify::wechat_v3,
        notify::alipay,
        audit::order_proofs,
        audit::latest_head,
        audit::consistency,
        seckill::list_sales,
        seckill::buy,
        seckill::buy_result,
        waiting_room::queue_place,
        sales::open_ad_hoc_sale,
        sales::plan_sale,
        sales::change_sale,
        sales::close_sale,
        admin::statistics,
        admin_daily::daily_statistics,
        audit_log::list_acts,
        audit_log::search_acts,
        audit_log::export_acts,
        admin_orders::list_all_orders,
        admin_orders::command_order,
        admin_order_detail::show_order,
        admin_products::list_category_rows,
        admin_products::list_all_products,
        admin_stock::show_stock,
        admin_sales::list_all_sales,
        admin_sales::show_sale,
        admin_rooms::command_room,
        admin_payments::list_payments,
        admin_payments::list_refunds,
        admin_reconciliation::list_runs,
        admin_reconciliation::run_day,
        admin_reconciliation::list_differences,
        admin_orders::list_dead_tickets,
        admin_orders::replay_dead_ticket,
        admin_actors::list_nodes,
        admin_messages::list_dead_messages,
        admin_messages::replay_dead_message,
        admin_settings::show_settings,
        admin_settings::reload_settings,
        admin_webhooks::list_webhooks,
        admin_webhooks::list_dead_webhooks,
        admin_webhooks::replay_dead_webhook,
        admin_webhooks::replay_webhooks,
        admin_actors::list_actors,
        admin_actors::inspect_actor,
        admin_actors::command_actor,
        admin_actors::list_alerts,
        admin_actors::list_dead_letters,
        admin_actors::replay_dead_letter,
        rehearsal::make_buyers,
        rehearsal::reconcile,
        ws::issue_ticket,
        ws::open_socket,
        ws_stock::open_stock_socket,
        ws_admin::open_admin_socket,
        users::register_user,
        users::log_in,
        users::get_profile,
        users::update_profile,
        addresses::list_addresses,
        addresses::add_address,
        addresses::get_address,
        addresses::update_address,
        addresses::remove_address,
        sessions::refresh_tokens,
        sessions::change_password,
        sessions::log_out,
        sessions::list_sessions,
        sessions::revoke_session,
        admin_users::list_users,
        admin_users::show_user,
        admin_users::list_sessions_of,
        users::change_user,
        uploads::upload,
        uploads::list_uploads,
        uploads::upload_multi,
        uploads::delete_upload,
        uploads::serve_upload,
        photos::photo,
        products::list_products,
        products::get_product,
        products::add_product,
        products::update_product,
        products::delete_product,
        categories::list_categories,
        categories::add_category,
        categories::update_category,
        categories::remove_category,
        carts::add_to_cart,
        carts::get_cart,
        carts::update_cart,
        carts::remove_from_cart,
        carts::clear_cart,
    )
)]
pub struct ApiDoc;

/// Access tokens, as `bearer` in the handlers' `security`.
struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        openapi.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The description as `/openapi.json` shows it, for people to read.
///
/// # Errors
/// Never in practice: the description is plain data.
pub fn description() -> Result<String, serde_json::Error> {
    ApiDoc::openapi().to_pretty_json()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::routes::routes;

    #[test]
    fn every_route_is_documented_and_every_documented_route_exists() {
        let served: BTreeSet<(String, String)> =
            routes().list().into_iter().map(|(method, path)| (method, path.to_owned())).collect();
        let described = serde_json::to_value(ApiDoc::openapi()).unwrap();
        let mut documented = BTreeSet::new();
        for (path, item) in described["paths"].as_object().unwrap() {
            for method in ["get", "post", "put", "delete"].into_iter().filter(|method| item.get(method).is_some()) {
                documented.insert((method.to_uppercase(), path.clone()));
            }
        }
        assert_eq!(served, documented);
        assert_eq!(described["openapi"], "3.1.0");
    }

    #[test]
    fn no_route_is_listed_twice() {
        let list = routes().list();
        assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len());
    }
}
