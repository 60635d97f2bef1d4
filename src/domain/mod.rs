//! Pure rules of the shop: money, identities, sale windows, stock claims and the order saga.
//!
//! Nothing here reads a clock, draws a random number, waits or talks to a store: time and randomness come in as
//! arguments, so every rule can be tried with a table, a property test or a model checker.

pub mod codes;
pub mod ids;
pub mod money;
pub mod order;
pub mod reconciliation;
pub mod sale;
pub mod stock;
pub mod user;

pub use ids::{BuyerId, OrderNo, ProductId, SaleId};
pub use money::Money;
pub use stock::{Pool, Quantity};
pub use user::Role;
