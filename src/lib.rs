//! RushMall: a flash-sale shop server of supervised actors. Modules in reading order.

pub mod actors;
pub mod clock;
pub mod domain;
pub mod failpoint;
pub mod random;
