//! RushMall.
fn main() {}
