//! What a call pays for a feature that is compiled in, and for a listener.
//!
//! ```sh
//! cd benches && cargo bench --bench features
//! ```
//!
//! Features are chosen at compile time, so this program builds itself once for each of them. It then
//! runs these programs in turn, in many short rounds, so that whatever else the machine does affects
//! all of them alike. Each run measures one call through the cheapest circuit and one through tower's
//! limit. A ratio compares the two within one run, and the table shows the medians of all rounds. Then two threads share
//! the circuit, which shows whether they also share what they write. This needs two idle cores, so the best rounds are
//! compared.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tower_breaker::{Event, Interest, Listener};
use tower_breaker_benches::measure::{self, median, throughput};
use tower_breaker_benches::{BASELINE, INNER, Shape, behind, build, concurrency_limit, template};

struct Row {
    name: &'static str,
    features: &'static str,
    /// See [`print_results`].
    set_up: &'static str,
}

const ROWS: [Row; 8] = [
    Row { name: "no feature", features: "", set_up: "nothing" },
    Row { name: "a listener of transitions", features: "", set_up: "listener of transitions" },
    Row { name: "a listener of all events", features: "", set_up: "listener of all events" },
    Row { name: "`keyed`, not used", features: "keyed", set_up: "nothing" },
    Row { name: "`tracing`, no subscriber", features: "tracing", set_up: "nothing" },
    Row { name: "`tracing`, a subscriber at INFO", features: "tracing", set_up: "subscriber" },
    Row { name: "`metrics`, no recorder", features: "metrics", set_up: "nothing" },
    Row { name: "`metrics`, a Prometheus recorder", features: "metrics", set_up: "recorder" },
];

const SHAPES: [Shape; 2] = [Shape::ByHand, Shape::Async];
const ROUNDS: usize = 101;

/// How long the threads run in each round.
const TOGETHER: Duration = Duration::from_millis(20);

/// Nanoseconds per call: through tower's limit, and through the circuit.
type Times = [f64; 2];

/// The times in each shape, and million calls per second by hand on one thread and on two.
type Results = (Vec<Times>, [f64; 2]);

fn main() {
    let args: Vec<String> = env::args().collect();
    if let [_, flag, set_up] = &args[..]
        && flag == MEASURE
    {
        return print_results(set_up);
    }
    let programs: BTreeMap<_, _> =
        ROWS.iter().map(|row| (row.features, program(row.features))).collect();
    let mut results = ROWS.map(|_| (SHAPES.map(|_| Vec::new()), Vec::new()));
    for _ in 0..ROUNDS {
        for (row, (all_times, all_rates)) in ROWS.iter().zip(&mut results) {
            let (times, rates) = run(&programs[row.features], row.set_up);
            all_times.iter_mut().zip(times).for_each(|(all, times)| all.push(times));
            all_rates.push(rates);
        }
    }

    println!(
        "\nnanoseconds, and ratio to {BASELINE}; throughput of two threads by hand in that of one:"
    );
    println!("medians of {ROUNDS} rounds, and for the throughput the best of them\n");
    println!("{:<40} {:>16} {:>16} {:>12}", "", SHAPES[0].name(), SHAPES[1].name(), "two threads");
    for (row, (times, rates)) in ROWS.iter().zip(&results) {
        print!("{:<40}", row.name);
        for times in times {
            let time = median(times.iter().map(|[_, time]| *time));
            let ratio = median(times.iter().map(|[unit, time]| time / unit));
            print!(" {time:>9.1} {ratio:>6.2}");
        }
        let [one, two] =
            [0, 1].map(|threads| rates.iter().map(|rates| rates[threads]).fold(0.0, f64::max));
        println!(" {:>12.2}", two / one);
    }
}

/// This program, built with these features of tower-breaker and no others.
fn program(features: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").expect("`cargo bench` runs this");
    let output = Command::new(cargo)
        .args(["bench", "--bench", "features", "--no-run", "--message-format", "json"])
        .args(["--no-default-features", "--features", features])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "cargo failed");
    let messages = String::from_utf8(output.stdout).expect("cargo prints JSON");
    let path = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    path.expect("cargo says where the program is")
}

const MEASURE: &str = "--measure";

/// Runs a program once.
fn run(program: &PathBuf, set_up: &str) -> Results {
    let output = Command::new(program).args([MEASURE, set_up]).stderr(Stdio::inherit()).output();
    let output = output.expect("it was built");
    assert!(output.status.success(), "{set_up} failed");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// Prints the [`Results`].
fn print_results(set_up: &str) {
    let builder = match set_up {
        "nothing" => template(),
        "listener of transitions" => template().listener(Ears(Interest::Transitions)),
        "listener of all events" => template().listener(Ears(Interest::Durations)),
        #[cfg(feature = "metrics")]
        "recorder" => {
            let recorder = metrics_exporter_prometheus::PrometheusBuilder::new();
            recorder.install_recorder().expect("there is no other recorder");
            template()
        }
        #[cfg(feature = "tracing")]
        "subscriber" => {
            tracing_subscriber::fmt().with_writer(std::io::stderr).init();
            template()
        }
        _ => panic!("there is no set-up {set_up:?} with these features"),
    };
    let breaker = build(builder);
    let times = SHAPES.map(|shape| -> Times {
        [
            measure::service(shape, concurrency_limit())(),
            measure::service(shape, behind(&breaker, INNER))(),
        ]
    });
    let service = behind(&breaker, INNER);
    let rates = [1, 2].map(|threads| throughput(Shape::ByHand, threads, TOGETHER, &service));
    println!("{}", serde_json::json!((times, rates)));
}

/// A listener that does nothing.
struct Ears(Interest);

impl Listener for Ears {
    fn on_event(&self, event: &Event<'_>) {
        std::hint::black_box(event);
    }

    fn interest(&self) -> Interest {
        self.0
    }
}
