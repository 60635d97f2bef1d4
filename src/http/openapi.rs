//! The OpenAPI 3.1 description, made from the handlers themselves; a test compares it with the routes.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::health;

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
