//! What the tests of handlers share: a whole application on a database of its own, and verbs that read.

use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use futures::future::LocalBoxFuture;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::server;
use super::state::{AppState, for_tests};
use crate::domain::{BuyerId, Role};
use crate::persistence::users::{self, AccessChanges};

/// A running shop.
pub(crate) struct Shop {
    serve: Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, ServiceResponse<BoxBody>>>,
    pub(crate) state: Data<AppState>,
    _dir: TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    /// `data` of a success.
    pub(crate) fn data(&self) -> &Value {
        assert_eq!((self.status.as_u16(), self.json["code"].as_i64()), (200, Some(0)), "{}", self.json);
        &self.json["data"]
    }

    /// The business code.
    pub(crate) fn code(&self) -> i64 {
        self.json["code"].as_i64().unwrap()
    }
}

pub(crate) async fn shop() -> Shop {
    let (state, dir) = for_tests().await;
    let state = Data::new(state);
    let service = Rc::new(init_service(server::app(state.clone(), None)).await);
    let serve = Box::new(move |request: TestRequest| -> LocalBoxFuture<'static, ServiceResponse<BoxBody>> {
        let service = Rc::clone(&service);
        Box::pin(async move { call_service(&*service, request.to_request()).await })
    });
    Shop { serve, state, _dir: dir }
}

impl Shop {
    /// Sends a request with these headers and, unless null, a JSON body.
    pub(crate) async fn send(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut request = TestRequest::with_uri(uri).method(Method::from_bytes(method.as_bytes()).unwrap());
        for header in headers {
            request = request.insert_header(*header);
        }
        if !body.is_null() {
            request = request.set_json(body);
        }
        let response = (self.serve)(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let json = serde_json::from_slice(&read_body(response).await).unwrap_or_default();
        Answer { status, headers, json }
    }

    /// Sends a request as whoever has `token`; an empty one is nobody's.
    pub(crate) async fn ask(&self, token: &str, method: &str, uri: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = if token.is_empty() { vec![] } else { vec![("authorization", bearer.as_str())] };
        self.send(method, uri, &headers, body).await
    }

    /// Registers a user and returns what he got.
    pub(crate) async fn register(&self, username: &str) -> Value {
        let form = json!({"username": username, "password": "secret1"});
        self.ask("", "POST", "/api/user/register", form).await.data().clone()
    }

    /// The access token of a new user.
    pub(crate) async fn user(&self, username: &str) -> String {
        self.register(username).await["token"].as_str().unwrap().to_owned()
    }

    /// The access token of a new administrator.
    pub(crate) async fn admin(&self) -> String {
        let id = self.register("root").await["user"]["id"].as_i64().unwrap();
        let changes = AccessChanges { active: None, role: Some(Role::Admin) };
        users::set_access(&self.state.db, BuyerId(id), changes, 0).await.unwrap().unwrap();
        let form = json!({"username": "root", "password": "secret1"});
        let signed_in = self.ask("", "POST", "/api/user/login", form).await;
        signed_in.data()["token"].as_str().unwrap().to_owned()
    }
}
