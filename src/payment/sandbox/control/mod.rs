//! The back stage: a page and a JSON API to look into the books, play the buyer, and set faults, knobs and clocks.
//!
//! Without a token only this machine is let in, and of its browsers only pages of the sandbox's own; with a token
//! whoever shows it.

mod access;
mod api;
mod forms;
mod settings;

use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};

const PAGE: &str = include_str!("control.html");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
form-action 'self'; frame-ancestors 'none'";

/// All paths of the back stage.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let pages = web::scope("/control")
        .wrap(from_fn(access::check))
        .route("", web::get().to(page))
        .route("/state", web::get().to(api::state))
        .route("/trades", web::get().to(api::trades))
        .route("/trades/{number}", web::get().to(api::trade))
        .route("/trades/{number}/{action}", web::post().to(api::act))
        .route("/refunds", web::get().to(api::refunds))
        .route("/refunds/{number}/{action}", web::post().to(api::end_refund))
        .route("/notifications", web::get().to(api::notices))
        .route("/notifications/{id}/send", web::post().to(api::send_notice))
        .route("/log", web::get().to(api::log))
        .route("/faults", web::get().to(settings::faults))
        .route("/faults", web::post().to(settings::add_fault))
        .route("/faults", web::delete().to(settings::remove_faults))
        .route("/faults/{id}", web::delete().to(settings::remove_fault))
        .route("/knobs", web::get().to(settings::knobs))
        .route("/knobs", web::patch().to(settings::turn_knobs))
        .route("/knobs", web::delete().to(settings::reset_knobs))
        .route("/clock", web::get().to(settings::clock))
        .route("/clock", web::post().to(settings::travel))
        .route("/clock", web::delete().to(settings::reset_clock))
        .route("/certificates", web::get().to(settings::certificates))
        .route("/certificates/rotate", web::post().to(settings::rotate));
    config.service(pages);
}

async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Content-Security-Policy", POLICY))
        .insert_header(("Cache-Control", "no-store"))
        .content_type("text/html; charset=utf-8")
        .body(PAGE)
}
