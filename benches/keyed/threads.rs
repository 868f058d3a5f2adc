//! Calls by key on two threads, as a ratio to one thread.

use std::time::Duration;

use tower::{Layer, Service};
use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
use tower_breaker::{CircuitBreaker, CircuitBreakerBuilder};
use tower_breaker_benches::measure::{median, throughput_of_each};
use tower_breaker_benches::{INNER, Inner, Shape, template};

const KEYS: u32 = 1000;
/// Long enough for the scheduler to give each thread a core.
const ROUND: Duration = Duration::from_millis(50);
const ROUNDS: usize = 15;
const SHAPES: [Shape; 2] = [Shape::ByHand, Shape::Async];

/// The inner service and the picker of one thread.
type Keyed<P> = <KeyedLayer<u32, P> as Layer<Inner>>::Service;

pub fn measure() {
    println!(
        "million calls per second on one thread, on two threads with the same {KEYS} keys, and on two"
    );
    println!(
        "threads with half of the keys each, and ratios to one thread: medians of {ROUNDS} rounds\n"
    );
    println!("{:<44}{:>8}{:>16}{:>16}", "", "1", "2, same keys", "2, own keys");
    let templates = [
        ("a circuit for each thread", None),
        ("consecutive failures", Some(template())),
        ("defaults", Some(CircuitBreaker::builder("defaults"))),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (name, template) in templates {
        rows.extend(SHAPES.map(|shape| {
            let (name, template) = (format!("{name}, {}", shape.name()), template.clone());
            Row { name, shape, template, rates: Vec::new() }
        }));
    }
    for _ in 0..ROUNDS {
        rows.iter_mut().for_each(Row::measure);
    }
    rows.iter().for_each(Row::print);
}

struct Row {
    name: String,
    shape: Shape,
    /// The settings of all circuits of a registry, or, without any, a circuit for each thread.
    template: Option<CircuitBreakerBuilder>,
    rates: Vec<[f64; 3]>,
}

impl Row {
    fn measure(&mut self) {
        self.rates.push(match &self.template {
            Some(template) => keyed(self.shape, template),
            None => plain(self.shape),
        });
    }

    fn print(&self) {
        let column = |at: usize| median(self.rates.iter().map(|rates| rates[at]));
        let ratio = |at: usize| median(self.rates.iter().map(|rates| rates[at] / rates[0]));
        print!("{:<44}{:>8.1}", self.name, column(0));
        println!("{:>9.1}{:>7.2}{:>9.1}{:>7.2}", column(1), ratio(1), column(2), ratio(2));
    }
}

/// The most that two threads can do.
fn plain(shape: Shape) -> [f64; 3] {
    let breaker = || tower_breaker_benches::behind(&tower_breaker_benches::consecutive(), INNER);
    let two = || throughput_of_each(shape, ROUND, vec![breaker(), breaker()]);
    [throughput_of_each(shape, ROUND, vec![breaker()]), two(), two()]
}

fn keyed(shape: Shape, template: &CircuitBreakerBuilder) -> [f64; 3] {
    let registry = CircuitBreakerRegistry::builder(template.clone()).capacity(2 * KEYS).build();
    let registry = registry.expect("the settings are valid");
    let all = || service(&registry, |n: &u32| n % KEYS);
    [
        throughput_of_each(shape, ROUND, vec![all()]),
        throughput_of_each(shape, ROUND, vec![all(), all()]),
        throughput_of_each(shape, ROUND, [0, 1].map(|thread| half(&registry, thread)).into()),
    ]
}

/// A service that uses every second key.
fn half(
    registry: &CircuitBreakerRegistry<u32>,
    first: u32,
) -> impl Service<u32> + Clone + Send + use<> {
    service(registry, move |n: &u32| n % (KEYS / 2) * 2 + first)
}

fn service<P: Fn(&u32) -> u32 + Clone>(
    registry: &CircuitBreakerRegistry<u32>,
    picker: P,
) -> Keyed<P> {
    KeyedLayer::new(registry.clone(), picker).layer(INNER)
}
