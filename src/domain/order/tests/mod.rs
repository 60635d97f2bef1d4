//! Tables and property tests of the order saga. `Saga` plays one order with its journal and its owed effects.

mod fixture;
mod journal;
mod paths;
mod properties;
mod races;
mod refunds;
