//! What the benchmarks share: the services that are measured, the shapes in which they are called,
//! the measurements and the tables.

pub mod measure;
mod services;
mod shape;
mod table;

pub use services::{
    BASELINE, HALF_FAILS, INNER, Inner, Visitor, behind, build, concurrency_limit, consecutive,
    count_window, open, template, time_window, visit_services,
};
pub use shape::{Shape, call_by_hand};
pub use table::Table;
