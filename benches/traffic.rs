//! What a user of an HTTP client notices of the layer: real requests over loopback, with and without.
//!
//! ```sh
//! cd benches && cargo bench --bench traffic [-- 100] # so many rounds
//! ```
//!
//! The server and the client have a thread each. The client is measured without the layer, with it,
//! and without it once more, then in reverse order, so that a machine that slows down or speeds up
//! meets all alike. What differs between the two without is noise.

use std::fmt::Debug;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use axum::{Router, body::Bytes, routing::get};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};
use tower::{Layer, Service, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer};
use tower_breaker_benches::measure::quartiles;

const CONNECTIONS: usize = 16;
/// For this long each client runs in each half of a round.
const HALF: Duration = Duration::from_millis(200);

const NAMES: [&str; 3] = ["without", "with", "without, once more"];
const WITH: usize = 1;
const ORDER: [usize; 6] = [0, 1, 2, 2, 1, 0];
const PERCENTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

fn main() {
    let rounds = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(40);
    let uri = start_server();
    let without = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let breaker = CircuitBreaker::new("loopback");
    // The same client, and so the same connections.
    let with = CircuitBreakerLayer::new(breaker.clone())
        .classifier(HttpClassifier::new().at_end_of_stream())
        .layer(without.clone());
    runtime().block_on(async {
        closed_loop(&with, &uri).await; // connects
        let rates = alternate(rounds, async |arm| match arm {
            WITH => closed_loop(&with, &uri).await,
            _ => closed_loop(&without, &uri).await,
        });
        let rate = print_rates(&rates.await) / 2.0;
        let latencies = alternate(rounds, async |arm| match arm {
            WITH => open_loop(&with, &uri, rate).await,
            _ => open_loop(&without, &uri, rate).await,
        });
        print_latencies(rate, &latencies.await);
    });
    assert!(breaker.snapshot().calls() > 0, "the calls go through the breaker");
}

/// What was measured for each of the three, twice in each round.
async fn alternate<T>(rounds: usize, measure: impl AsyncFn(usize) -> T) -> [Vec<T>; 3] {
    let mut results = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        for arm in ORDER {
            results[arm].push(measure(arm).await);
        }
    }
    results
}

/// Returns the median without the layer.
fn print_rates(rates: &[Vec<f64>; 3]) -> f64 {
    let by_round = |rates: &Vec<f64>| rates.chunks(2).map(|two| (two[0] + two[1]) / 2.0).collect();
    let rates: [Vec<f64>; 3] = rates.each_ref().map(by_round);
    let rounds = rates[0].len();
    println!("requests per second over {CONNECTIONS} connections, and the ratio to those without");
    println!("in the same round: quartiles of {rounds} rounds\n");
    let [_, unit, _] = quartiles(rates[0].clone());
    for (name, own) in NAMES.iter().zip(&rates) {
        let [low, median, high] = quartiles(own.clone());
        print!("{name:<20} {low:>8.0} {median:>8.0} {high:>8.0}");
        let ratios = own.iter().zip(&rates[0]).map(|(own, without)| own / without).collect();
        let [low, middle, high] = quartiles(ratios);
        println!(" {low:>8.3} {middle:>6.3} {high:>6.3}, of the medians {:.3}", median / unit);
    }
    unit
}

fn print_latencies(rate: f64, latencies: &[Vec<[f64; 4]>; 3]) {
    let times = latencies[0].len();
    println!(
        "\nmicroseconds from when a request was due to the end of the answer, at {rate:.0} per"
    );
    println!("second: percentiles, of each the median of {times} times {HALF:?}\n");
    println!("{:<20} {:>9} {:>9} {:>9} {:>9}", "", "50 %", "90 %", "99 %", "99.9 %");
    for (name, own) in NAMES.iter().zip(latencies) {
        print!("{name:<20}");
        for column in 0..PERCENTILES.len() {
            let [_, median, _] = quartiles(own.iter().map(|row| row[column]).collect());
            print!(" {median:>9.1}");
        }
        println!();
    }
}

/// Requests per second: who has been answered asks again.
async fn closed_loop(client: &impl HttpClient, uri: &Uri) -> f64 {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut client, uri) = (client.clone(), uri.clone());
        tasks.spawn(async move {
            let mut requests = 0.0;
            while begin.elapsed() < HALF {
                fetch(&mut client, &uri).await;
                requests += 1.0;
            }
            requests
        });
    }
    tasks.join_all().await.iter().sum::<f64>() / begin.elapsed().as_secs_f64()
}

/// Percentiles of the latency, in microseconds. When a request is due does not depend on the earlier
/// ones, and if there is no free connection to send it then, its wait counts.
async fn open_loop(client: &impl HttpClient, uri: &Uri, rate: f64) -> [f64; 4] {
    let requests = (HALF.as_secs_f64() * rate) as u32;
    let next = Arc::new(AtomicU32::new(0));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut client, uri, next) = (client.clone(), uri.clone(), next.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let n = next.fetch_add(1, Relaxed);
                if n >= requests {
                    return latencies;
                }
                let due = begin + HALF * n / requests;
                while Instant::now() < due {
                    yield_now().await; // a timer would be late by up to a millisecond
                }
                fetch(&mut client, &uri).await;
                latencies.push(due.elapsed().as_secs_f64() * 1e6);
            }
        });
    }
    let mut latencies = tasks.join_all().await.concat();
    latencies.sort_by(f64::total_cmp);
    PERCENTILES.map(|percentile| latencies[(latencies.len() as f64 * percentile) as usize])
}

trait HttpClient:
    Service<Request<Empty<Bytes>>, Response = Response<Self::Body>, Error: Debug, Future: Send>
    + Clone
    + Send
    + 'static
{
    type Body: Body<Data: Send, Error: Debug> + Send;
}

impl<S, B> HttpClient for S
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error: Debug, Future: Send>,
    S: Clone + Send + 'static,
    B: Body<Data: Send, Error: Debug> + Send,
{
    type Body = B;
}

async fn fetch(client: &mut impl HttpClient, uri: &Uri) {
    let request = Request::get(uri.clone()).body(Empty::new()).expect("the URI is valid");
    let response = client.ready().await.expect("ready").call(request).await.expect("an answer");
    assert!(response.status().is_success());
    response.into_body().collect().await.expect("a whole body");
}

fn start_server() -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.set_nonblocking(true).expect("a socket can be that");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
            let router = Router::new().route("/", get(async || "Hello, world!"));
            axum::serve(listener, router).await
        })
    });
    format!("http://{address}/").parse().expect("a URI")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_io().build().expect("a runtime can be made")
}
