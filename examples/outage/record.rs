//! `--record`: records what the bare client calls, by a breaker in shadow mode.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use http::Response;
use hyper::body::Incoming;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder};
use tower_breaker::replay::{Recorder, Trace};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, ConfigError, Outcome,
};

use crate::client::Client;

/// Returns the client with a breaker that rejects nothing, and the trace of so many calls that it fills.
pub(crate) fn recorded(client: Client, calls: u32) -> Result<(Client, Trace), ConfigError> {
    let (recorder, trace) = Recorder::new(calls as usize);
    let breaker = CircuitBreaker::builder("backend").enforcement(0.0).listener(recorder).build()?;
    let stack = ServiceBuilder::new()
        .map_err(CircuitBreakerError::<BoxError>::into_boxed)
        .layer(CircuitBreakerLayer::new(breaker).classifier(
            |result: Result<&Response<Incoming>, &BoxError>| match result {
                Ok(response) if response.status().is_server_error() => Outcome::Failure,
                Ok(_) => Outcome::Success,
                Err(_) => Outcome::Failure,
            },
        ))
        .service(client);
    Ok((BoxCloneService::new(stack), trace))
}

pub(crate) fn write(file: &Path, trace: &Trace) -> io::Result<()> {
    trace.write_csv(BufWriter::new(File::create(file)?))
}
