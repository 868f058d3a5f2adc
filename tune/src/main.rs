//! Tells what settings of `tower-breaker` would have done with your traffic.

fn main() {}
