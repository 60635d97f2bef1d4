//! RushMall: a flash-sale shop server of supervised actors. Modules in reading order.

pub mod domain;

pub mod assets;
pub mod clock;
pub mod config;
pub mod failpoint;
pub mod passwords;
pub mod pictures;
pub mod random;
pub mod redis_link;
pub mod sqlite;
pub mod trace_context;
pub mod transparency;

pub mod messaging;
pub mod payment;
pub mod persistence;

pub mod actors;
pub mod http;
pub mod telemetry;

pub mod app;
pub mod ops;
