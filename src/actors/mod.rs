//! The actors: each owns one thing that buyers fight over, and changes it one message at a time.
//!
//! [`kit`] is what actix lacks: a directory, supervision, vitals, bounds, control. All actors stand on it.

pub mod kit;
