//! What it costs to read the body of a response to its end, if the verdict is given there.
//!
//! ```sh
//! cd benches && cargo bench --bench body
//! ```
//!
//! The circuit is the cheapest one, which counts consecutive failures, so that the cost of the body is
//! easy to see.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::body::Bytes;
use http::Response;
use http_body::{Body, Frame};
use http_body_util::Full;
use tower::{Layer, Service};
use tower_breaker::CircuitBreakerLayer;
use tower_breaker::http::HttpClassifier;
use tower_breaker_benches::{Shape, Table, consecutive};

const PLAIN: &str = "no breaker";
const AT_HEAD: &str = "verdict at the head";
const AT_END: &str = "verdict at the end of the stream";

const FRAMES: u32 = 1000;

const DATA: Bytes = Bytes::from_static(&[b'x'; 1024]);

fn main() {
    println!("a body of one frame:");
    measure(|| Full::new(DATA));
    println!("a body of {FRAMES} frames:");
    let table = measure(|| Frames(FRAMES));
    let more = (table.median(AT_END) - table.median(AT_HEAD)) / f64::from(FRAMES);
    println!("a frame takes {more:.1} ns more if the verdict is at the end of the stream");
}

/// Measures one kind of body without a breaker, and behind one with the verdict at either end.
fn measure<B: Body + 'static>(body: impl Fn() -> B + Copy + 'static) -> Table<'static> {
    let mut table = Table::new(&[Shape::ByHand]);
    let layer = || CircuitBreakerLayer::new(consecutive());
    let classifier = HttpClassifier::new();
    table.action(PLAIN, read(Answer(body)));
    table.action(AT_HEAD, read(layer().classifier(classifier).layer(Answer(body))));
    let at_end = classifier.at_end_of_stream();
    table.action(AT_END, read(layer().classifier(at_end).layer(Answer(body))));
    table.measure();
    table.print(PLAIN);
    table
}

/// Makes one call, and reads the body of its response to the end.
fn read<S, B>(mut service: S) -> impl FnMut()
where
    S: Service<(), Response = Response<B>>,
    B: Body,
{
    move || {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready());
        let Poll::Ready(Ok(response)) = pin!(service.call(())).poll(&mut cx) else {
            unreachable!("the inner service answers immediately");
        };
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
            black_box(frame.is_ok());
        }
    }
}

/// A service that answers immediately, with a body that a closure makes.
struct Answer<F>(F);

impl<B, F: Fn() -> B> Service<()> for Answer<F> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(Response::new((self.0)())))
    }
}

/// A body of so many frames. It does not know that it is at its end before it is polled there.
struct Frames(u32);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.0.checked_sub(1).map(|left| {
            self.0 = left;
            Ok(Frame::data(DATA))
        });
        Poll::Ready(frame)
    }
}
