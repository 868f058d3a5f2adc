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

/// How long the threads run in each round: long enough for the scheduler to give each a core.
const ROUND: Duration = Duration::from_millis(100);
const ROUNDS: usize = 11;
const SHAPES: [Shape; 2] = [Shape::ByHand, Shape::Async];

fn main() {
    let threads = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(2);
    println!("million calls per second on 1 and on {threads} threads, and the ratio of the two:");
    println!("medians of {ROUNDS} rounds\n");
    print!("{:<52}", "");
    SHAPES.iter().for_each(|shape| print!("{:>26}", shape.name()));
    println!();
    let mut rows = Rows { threads };
    visit_services(&mut rows);
    let resilience = ResilienceLayer::builder().sliding_window_size(100).build();
    let resilience = resilience.expect("the settings are valid");
    rows.visit("tower-resilience", resilience.layer_fn(INNER));
}

struct Rows {
    threads: u32,
}

impl Visitor for Rows {
    fn visit<S: Service<u32> + Clone + Send + 'static>(&mut self, name: &'static str, service: S) {
        print!("{name:<52}");
        for shape in SHAPES {
            // One thread and many in turn, so that whatever else the machine does affects both.
            let mut rates = [(); 2].map(|()| Vec::new());
            for _ in 0..ROUNDS {
                for (rates, threads) in rates.iter_mut().zip([1, self.threads]) {
                    rates.push(throughput(shape, threads, ROUND, &service));
                }
            }
            let [one, many] = rates.map(median);
            print!("{one:>10.1} {many:>8.1} {:>6.2}", many / one);
        }
        println!();
    }
}
