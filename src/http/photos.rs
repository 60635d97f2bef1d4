//! `/photos`: the pictures of the demo catalogue, by name, or as old clients ask, by product number (`1.jpg`).

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};

use super::error::ApiError;
use super::state::AppState;
use crate::assets;
use crate::domain::ProductId;
use crate::domain::codes::Code;
use crate::persistence::products;

const PICTURE_EXTENSIONS: [&str; 5] = ["svg", "jpg", "jpeg", "png", "webp"];

/// A picture; always SVG, whatever the extension in an old path says.
#[utoipa::path(get, path = "/photos/{name}", tag = "product", params(("name" = String, Path)),
    responses((status = 200, content_type = "image/svg+xml"), (status = 404, description = "no such picture")))]
pub async fn photo(state: web::Data<AppState>, name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let picture = match assets::photo(&name) {
        Some(picture) => picture,
        None => by_product_number(&state, &name).await?.ok_or(ApiError::from(Code::NOT_FOUND))?,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/svg+xml"))
        .insert_header((CACHE_CONTROL, "public, max-age=86400"))
        .body(picture.into_owned()))
}

async fn by_product_number(state: &AppState, name: &str) -> Result<Option<std::borrow::Cow<'static, [u8]>>, ApiError> {
    let number = name.rsplit_once('.').filter(|(_, extension)| PICTURE_EXTENSIONS.contains(extension));
    let Some(product) = number.and_then(|(stem, _)| stem.parse().ok()).map(ProductId) else { return Ok(None) };
    let card = products::card(&state.db, product).await?;
    let drawn = card.and_then(|card| card.image_url.strip_prefix("/photos/").and_then(assets::photo));
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use crate::http::server::app;
    use crate::http::state::for_tests;

    #[actix_rt::test]
    async fn drawings_are_served_and_nothing_else() {
        let (state, _dir) = for_tests().await;
        let app = init_service(app(actix_web::web::Data::new(state), None)).await;
        let drawn = call_service(&app, TestRequest::get().uri("/photos/phone.svg").to_request()).await;
        assert_eq!(drawn.status(), 200);
        assert_eq!(drawn.headers().get("content-type").unwrap(), "image/svg+xml");
        assert!(read_body(drawn).await.starts_with(b"<svg "));
        for unknown in ["0.jpg", "999.jpg", "1.exe", "1", "..%2FCargo.toml"] {
            let path = format!("/photos/{unknown}");
            let missing = call_service(&app, TestRequest::get().uri(&path).to_request()).await;
            assert_eq!(missing.status(), 404, "{unknown}");
        }
    }
}
