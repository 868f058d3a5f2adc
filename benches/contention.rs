//! What happens to the throughput when two threads, or as many as given, share a circuit. Each thread
//! has a clone of the service, which lives as long as the thread.
//!
//! ```sh
//! cd benches && cargo bench --bench contention --no-default-features [-- 4]
//! ```

use std::time::Duration;

use tower::Service;
use tower_breaker_benches::measure::{median, throughput};
use tower_breaker_benches::{INNER, Shape, Visitor, visit_services};
use tower_resilience_circuitbreaker::CircuitBreakerLayer as ResilienceLayer;

/// How long the threads run in each round: long enough for the scheduler to give each of them a core.
const ROUND: Duration = Duration::from_millis(50);
const ROUNDS: usize = 21;
const SHAPES: [Shape; 2] = [Shape::ByHand, Shape::Async];

fn main() {
    let threads = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(2);
    let mut rows = Rows(Vec::new());
    visit_services(&mut rows);
    let resilience = ResilienceLayer::builder().sliding_window_size(100).build();
    let resilience = resilience.expect("the settings are valid");
    rows.visit("tower-resilience", resilience.layer_fn(INNER));

    let Rows(mut rows) = rows;
    for _ in 0..ROUNDS {
        for Cell { measure, rates } in rows.iter_mut().flat_map(|(_, cells)| cells) {
            rates.push([measure(1), measure(threads)]);
        }
    }
    println!("million calls per second on 1 and on {threads} threads, and the ratio of the two:");
    println!("medians of {ROUNDS} rounds\n");
    print!("{:<52}", "");
    SHAPES.iter().for_each(|shape| print!("{:>26}", shape.name()));
    println!();
    for (name, cells) in rows {
        print!("{name:<52}");
        for Cell { rates, .. } in cells {
            let [one, many] = [0, 1].map(|column| median(rates.iter().map(|rates| rates[column])));
            print!("{one:>10.1} {many:>8.1} {:>6.2}", many / one);
        }
        println!();
    }
}

/// Rows that are measured in turn, each in both shapes.
struct Rows(Vec<(&'static str, [Cell; 2])>);

struct Cell {
    /// Measures the throughput of so many threads once.
    measure: Box<dyn Fn(u32) -> f64>,
    /// The rates on one thread and on many, in each round.
    rates: Vec<[f64; 2]>,
}

impl Visitor for Rows {
    fn visit<S: Service<u32> + Clone + Send + 'static>(&mut self, name: &'static str, service: S) {
        let cells = SHAPES.map(|shape| {
            let service = service.clone();
            let measure = move |threads| throughput(shape, threads, ROUND, &service);
            Cell { measure: Box::new(measure), rates: Vec::new() }
        });
        self.0.push((name, cells));
    }
}
