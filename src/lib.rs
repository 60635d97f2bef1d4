//! RushMall: a flash-sale shop server of supervised actors. Modules in reading order.

pub mod clock;
pub mod config;
pub mod domain;
pub mod failpoint;
pub mod ops;
pub mod persistence;
pub mod random;
