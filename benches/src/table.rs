//! Tables whose rows are measured in turn.

use tower::Service;

use crate::measure::{self, Measure, median};
use crate::{Shape, Visitor};

const ROUNDS: usize = 301;

/// Rows that are measured in turn, each in one or more shapes.
pub struct Table<'a> {
    shapes: &'a [Shape],
    rows: Vec<(&'static str, Vec<Cell<'a>>)>,
}

struct Cell<'a> {
    measure: Measure<'a>,
    /// The nanoseconds of each round.
    times: Vec<f64>,
}

impl<'a> Cell<'a> {
    fn new(measure: Measure<'a>) -> Self {
        Self { measure, times: Vec::new() }
    }
}

impl<'a> Table<'a> {
    pub fn new(shapes: &'a [Shape]) -> Self {
        Self { shapes, rows: Vec::new() }
    }

    /// Adds a row for calls through a service, in each shape.
    pub fn service<S: Service<u32> + Clone + 'a>(&mut self, name: &'static str, service: S) {
        let cell = |shape: &Shape| Cell::new(measure::service(*shape, service.clone()));
        self.rows.push((name, self.shapes.iter().map(cell).collect()));
    }

    /// Adds a row for anything else. It has only one shape.
    pub fn action<T>(&mut self, name: &'static str, action: impl FnMut() -> T + 'a) {
        self.rows.push((name, vec![Cell::new(measure::action(action))]));
    }

    pub fn measure(&mut self) {
        for _ in 0..ROUNDS {
            for Cell { measure, times } in self.rows.iter_mut().flat_map(|(_, cells)| cells) {
                times.push(measure());
            }
        }
    }

    /// Prints the medians, and the medians of the ratios to the baseline in the same shape and round.
    pub fn print(&self, baseline: &str) {
        println!("nanoseconds, and ratio to {baseline}: medians of {ROUNDS} rounds\n");
        print!("{:<52}", "");
        self.shapes.iter().for_each(|shape| print!("{:>20}", shape.name()));
        println!();
        for (name, cells) in &self.rows {
            print!("{name:<52}");
            for (cell, unit) in cells.iter().zip(self.row(baseline)) {
                let ratios = cell.times.iter().zip(&unit.times).map(|(time, unit)| time / unit);
                print!(" {:>10.1} {:>8.2}", median(cell.times.iter().copied()), median(ratios));
            }
            println!();
        }
        println!();
    }

    /// The median of a row in the first shape.
    pub fn median(&self, name: &str) -> f64 {
        median(self.row(name)[0].times.iter().copied())
    }

    fn row(&self, name: &str) -> &[Cell<'a>] {
        let row = self.rows.iter().find(|(row, _)| *row == name);
        &row.expect("there is such a row").1
    }
}

impl Visitor for Table<'_> {
    fn visit<S: Service<u32> + Clone + Send + 'static>(&mut self, name: &'static str, service: S) {
        self.service(name, service);
    }
}
