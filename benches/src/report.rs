//! Criterion, and tables of its medians with their ratios.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, Criterion};
use tower::Service;

use crate::{Shape, Visitor};

pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// A group of criterion's benchmarks, which makes calls in one shape.
pub struct Group<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    shape: Shape,
    column: Column,
}

/// The results of a group, for [`print_table`].
pub struct Column {
    group: String,
    /// Those that were measured and not filtered out.
    rows: Vec<&'static str>,
}

impl<'a> Group<'a> {
    pub fn new(criterion: &'a mut Criterion, name: &str, shape: Shape) -> Self {
        let column = Column { group: name.to_owned(), rows: Vec::new() };
        Self { group: criterion.benchmark_group(name), shape, column }
    }

    /// Measures one call through a service.
    pub fn service<S: Service<u32> + Clone>(&mut self, name: &'static str, mut service: S) {
        // The first calls set up what is set up once, and fill the windows.
        let (shape, mut calls) = (self.shape, 10_000);
        shape.time(&mut service, 0..calls);
        self.measure(name, |bencher| {
            bencher.iter_custom(|more| {
                let first = calls;
                calls += more;
                shape.time(&mut service, first..calls)
            });
        });
    }

    /// Measures anything else.
    pub fn action<T>(&mut self, name: &'static str, mut action: impl FnMut() -> T) {
        self.measure(name, |bencher| bencher.iter(&mut action));
    }

    fn measure(&mut self, name: &'static str, mut measure: impl FnMut(&mut Bencher<'_>)) {
        let mut is_measured = false;
        self.group.bench_function(name, |bencher| {
            is_measured = true;
            measure(bencher);
        });
        if is_measured {
            self.column.rows.push(name);
        }
    }

    pub fn finish(self) -> Column {
        self.group.finish();
        self.column
    }
}

impl Column {
    /// The median in nanoseconds; none if the row was filtered out.
    pub fn median(&self, row: &str) -> Option<f64> {
        if !self.rows.contains(&row) {
            return None;
        }
        let home = env::var_os("CRITERION_HOME").map(PathBuf::from);
        let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let home = home.unwrap_or_else(|| target.unwrap_or("target".into()).join("criterion"));
        let file = home.join(&self.group).join(row).join("new/estimates.json");
        let estimates: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        estimates["median"]["point_estimate"].as_f64()
    }
}

impl Visitor for Group<'_> {
    fn visit<S: Service<u32> + Clone + Send>(&mut self, name: &'static str, service: S) {
        self.service(name, service);
    }
}

/// Prints the medians of groups side by side, each with its ratio to the baseline of its own group.
pub fn print_table(columns: &[Column], baseline: &str) {
    println!("\nnanoseconds (median), and ratio to {baseline}\n");
    print!("{:<48}", "");
    columns.iter().for_each(|column| print!("{:>24}", column.group));
    println!();
    let rows = columns.iter().map(|column| &column.rows).max_by_key(|rows| rows.len());
    for row in rows.into_iter().flatten() {
        print!("{row:<48}");
        for column in columns {
            let time = column.median(row);
            let ratio = time.zip(column.median(baseline)).map(|(time, unit)| time / unit);
            print!(" {:>14} {:>8}", number(time, 1), number(ratio, 2));
        }
        println!();
    }
    println!();
}

fn number(number: Option<f64>, decimals: usize) -> String {
    number.map_or_else(String::new, |number| format!("{number:.decimals$}"))
}
