//! The whole API on one screen. `u` = signed in, `a` = administrator, `-` = anybody; the extractors of a handler say the
//! same in types.

use super::route_table::RouteTable;
use super::{addresses, carts, categories, health, products, sessions, users};

/// Every route of the server but the documentation's own.
#[must_use]
pub fn routes() -> RouteTable {
    let mut routes = RouteTable::default();
    // operations
    routes.get("/health", health::health);
    routes.get("/ready", health::ready);
    routes.get("/version", health::version);
    routes.get("/metrics", health::metrics);
    people(&mut routes);
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
    routes.get("/api/admin/users", users::list_users); // a
    routes.put("/api/admin/users/{id}", users::change_user); // a
}

fn shop(routes: &mut RouteTable) {
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
