//! The routes of users, sessions, addresses, carts and the catalogue.

use actix_web::web::{ServiceConfig, delete, get, post, put, resource};

use super::{addresses, carts, categories, products, sessions, users};

/// Adds the routes.
pub fn configure(cfg: &mut ServiceConfig) {
    cfg.service(resource("/api/user/register").route(post().to(users::register_user)))
        .service(resource("/api/user/login").route(post().to(users::log_in)))
        .service(
            resource("/api/user/profile").route(get().to(users::get_profile)).route(put().to(users::update_profile)),
        )
        .service(
            resource("/api/user/address")
                .route(get().to(addresses::list_addresses))
                .route(post().to(addresses::add_address)),
        )
        .service(
            resource("/api/user/address/{id}")
                .route(get().to(addresses::get_address))
                .route(put().to(addresses::update_address))
                .route(delete().to(addresses::remove_address)),
        )
        .service(resource("/api/auth/refresh-token").route(post().to(sessions::refresh_tokens)))
        .service(resource("/api/auth/change-password").route(post().to(sessions::change_password)))
        .service(resource("/api/auth/logout").route(post().to(sessions::log_out)))
        .service(resource("/api/auth/sessions").route(get().to(sessions::list_sessions)))
        .service(resource("/api/auth/sessions/{sid}").route(delete().to(sessions::revoke_session)))
        .service(resource("/api/admin/users").route(get().to(users::list_users)))
        .service(resource("/api/admin/users/{id}").route(put().to(users::change_user)))
        .configure(shop);
}

fn shop(cfg: &mut ServiceConfig) {
    cfg.service(
        resource("/api/product").route(get().to(products::list_products)).route(post().to(products::add_product)),
    )
    .service(
        resource("/api/product/{id}")
            .route(get().to(products::get_product))
            .route(put().to(products::update_product))
            .route(delete().to(products::delete_product)),
    )
    .service(
        resource("/api/category")
            .route(get().to(categories::list_categories))
            .route(post().to(categories::add_category)),
    )
    .service(
        resource("/api/category/{id}")
            .route(put().to(categories::update_category))
            .route(delete().to(categories::remove_category)),
    )
    .service(
        resource("/api/cart")
            .route(post().to(carts::add_to_cart))
            .route(get().to(carts::get_cart))
            .route(put().to(carts::update_cart))
            .route(delete().to(carts::remove_from_cart)),
    )
    .service(resource("/api/cart/clear").route(delete().to(carts::clear_cart)));
}
