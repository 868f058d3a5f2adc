//! What the benchmarks share. [`services`] holds what is measured, [`shape`] the ways to call it,
//! [`measure`] the measurements that criterion does not offer, and [`report`] the tables.

mod measure;
mod report;
mod services;
mod shape;

pub use measure::{nanoseconds, quartiles, throughput};
pub use report::{Column, Group, criterion, print_table};
pub use services::{
    BASELINE, HALF_FAILS, INNER, Inner, Visitor, behind, build, concurrency_limit, consecutive,
    count_window, open, template, time_window, visit_services,
};
pub use shape::{Shape, call_by_hand};
