//! A list of routes that can be served and read: what is served can be compared with what is documented, a wrong
//! method is answered 405 with the right ones, and fixed paths are matched before patterns whatever their order.

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{FromRequest, Handler, HttpResponse, Responder, Route, guard, web};

use super::error::ApiError;
use crate::domain::codes::Code;

struct Entry {
    path: &'static str,
    methods: Vec<(Method, Route)>,
}

/// Routes in the order they were added.
#[derive(Default)]
pub struct RouteTable {
    entries: Vec<Entry>,
}

impl std::fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

impl RouteTable {
    /// Adds a GET route (which answers HEAD as well).
    pub fn get<F, Args>(&mut self, path: &'static str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let get_or_head = guard::Any(guard::Get()).or(guard::Head());
        self.add(path, Method::GET, web::route().guard(get_or_head).to(handler));
    }

    /// Adds a POST route.
    pub fn post<F, Args>(&mut self, path: &'static str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(path, Method::POST, web::post().to(handler));
    }

    /// Adds a PUT route.
    pub fn put<F, Args>(&mut self, path: &'static str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(path, Method::PUT, web::put().to(handler));
    }

    /// Adds a DELETE route.
    pub fn delete<F, Args>(&mut self, path: &'static str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(path, Method::DELETE, web::delete().to(handler));
    }

    fn add(&mut self, path: &'static str, method: Method, route: Route) {
        match self.entries.iter_mut().find(|entry| entry.path == path) {
            Some(entry) => entry.methods.push((method, route)),
            None => self.entries.push(Entry { path, methods: vec![(method, route)] }),
        }
    }

    /// Method and path of every route.
    #[must_use]
    pub fn list(&self) -> Vec<(String, &'static str)> {
        let of = |entry: &Entry| {
            let path = entry.path;
            entry.methods.iter().map(move |(method, _)| (method.to_string(), path)).collect::<Vec<_>>()
        };
        self.entries.iter().flat_map(of).collect()
    }

    /// Registers every route.
    pub fn serve(mut self, config: &mut web::ServiceConfig) {
        self.entries.sort_by_key(|entry| entry.path.contains('{')); // stable
        for entry in self.entries {
            let allowed = entry.methods.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>().join(", ");
            let mut resource = web::resource(entry.path);
            for (_, route) in entry.methods {
                resource = resource.route(route);
            }
            let wrong_method = move || {
                let answer = HttpResponse::build(ApiError::from(Code::METHOD_NOT_ALLOWED).status())
                    .insert_header((ALLOW, allowed.clone()))
                    .finish();
                async move { answer }
            };
            config.service(resource.default_service(web::to(wrong_method)));
        }
    }
}
