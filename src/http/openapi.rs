//! The OpenAPI 3.1 description, made from the handlers themselves; a test compares it with the routes.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    addresses, admin, admin_actors, admin_messages, admin_orders, carts, categories, health, notify, orders, payments,
    photos, products, rehearsal, sales, seckill, sessions, users, ws,
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
        health::metrics,
        orders::place_order,
        orders::list_orders,
        orders::checkout,
        orders::order_detail,
        orders::pay_order,
        orders::cancel_order,
        orders::confirm_order,
        orders::ship_order,
        payments::unified_order,
        payments::query_payment,
        payments::close_payment,
        payments::refund_payment,
        notify::wechat_v2,
        notify::wechat_v3,
        notify::alipay,
        seckill::list_sales,
        seckill::buy,
        seckill::buy_result,
        sales::open_ad_hoc_sale,
        sales::plan_sale,
        sales::change_sale,
        sales::close_sale,
        admin::statistics,
        admin::list_acts,
        admin_orders::list_all_orders,
        admin_orders::command_order,
        admin_orders::list_dead_tickets,
        admin_orders::replay_dead_ticket,
        admin_actors::list_nodes,
        admin_messages::list_dead_messages,
        admin_messages::replay_dead_message,
        admin_actors::list_actors,
        admin_actors::inspect_actor,
        admin_actors::command_actor,
        admin_actors::list_dead_letters,
        admin_actors::replay_dead_letter,
        rehearsal::make_buyers,
        rehearsal::reconcile,
        ws::issue_ticket,
        ws::open_socket,
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
        users::list_users,
        users::change_user,
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
