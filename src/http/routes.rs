//! The whole API on one screen. `u` = signed in, `a` = administrator, `-` = anybody; the extractors of a handler say the
//! same in types.

use super::health;
use super::route_table::RouteTable;

/// Every route of the server but the documentation's own.
#[must_use]
pub fn routes() -> RouteTable {
    let mut routes = RouteTable::default();
    // operations
    routes.get("/health", health::health);
    routes.get("/ready", health::ready);
    routes.get("/version", health::version);
    routes.get("/metrics", health::metrics);
    routes
}
