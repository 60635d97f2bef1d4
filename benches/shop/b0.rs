//! The measure: a bare actix-web server that parses the same JSON and verifies the same token, and does nothing else.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rushmall::http::auth::Claims;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Wanted {
    product_id: i64,
    quantity: i64,
}

#[derive(Serialize)]
struct Answer {
    code: i32,
    message: &'static str,
    data: Bought,
}

#[derive(Serialize)]
struct Bought {
    order_no: &'static str,
    product_id: i64,
    quantity: i64,
    user_id: i64,
}

struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

/// Serves until it is killed.
pub fn serve(port: u16, secret: &str) -> anyhow::Result<()> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&["rushmall"]);
    let verifier = web::Data::new(Verifier { key: DecodingKey::from_secret(secret.as_bytes()), validation });
    let app = move || App::new().app_data(verifier.clone()).route("/api/seckill", web::post().to(buy));
    Ok(actix::System::new().block_on(async move { HttpServer::new(app).bind(("127.0.0.1", port))?.run().await })?)
}

async fn buy(request: HttpRequest, verifier: web::Data<Verifier>, wanted: web::Json<Wanted>) -> HttpResponse {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    let Ok(verified) = jsonwebtoken::decode::<Claims>(token, &verifier.key, &verifier.validation) else {
        return HttpResponse::Unauthorized().finish();
    };
    let Wanted { product_id, quantity } = *wanted;
    let (order_no, user_id) = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", verified.claims.user_id);
    let data = Bought { order_no, product_id, quantity, user_id };
    HttpResponse::Ok().json(Answer { code: 0, message: "success", data })
}
