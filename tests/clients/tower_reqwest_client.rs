//! `reqwest::Client` with tower-reqwest: a service from `http::Request` to `http::Response`, for which
//! `HttpClassifier` works.

use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use reqwest::{Body, Client};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_breaker::http::HttpClassifier;
use tower_breaker::{CircuitBreakerLayer, Classifier, Permit, State};
use tower_reqwest::{HttpClientLayer, HttpClientService};

use crate::backend::{Backend, CHUNKED, End, HALF, HalfBody, LENGTH};
use crate::{
    HOUR, SOON, breaker, breaker_that_counts_abandoned_calls, builder, is_rejected,
    let_a_probe_through, recorded, rejection, survives_an_outage,
};

fn client() -> HttpClientService<Client> {
    HttpClientService::new(Client::builder().no_proxy().build().unwrap())
}

fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Body::default()).unwrap()
}

async fn send<S: Service<Request<Body>>>(
    service: &mut S,
    url: &str,
) -> Result<S::Response, BoxError>
where
    S::Error: Into<BoxError>,
{
    let response = service.ready().await.map_err(Into::into)?.call(get(url));
    response.await.map_err(Into::into)
}

async fn read<B>(response: Response<B>) -> Result<Bytes, BoxError>
where
    B: http_body::Body<Error: Into<BoxError>>,
{
    Ok(response.into_body().collect().await.map_err(Into::into)?.to_bytes())
}

#[tokio::test]
async fn an_outage() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(HttpClassifier::new());
    let client = Client::builder().no_proxy().build().unwrap();
    let mut client = ServiceBuilder::new().layer(layer).layer(HttpClientLayer).service(client);
    survives_an_outage(&breaker, &backend, async || {
        Ok(send(&mut client, &backend.url()).await?.status())
    })
    .await;
}

#[tokio::test]
async fn an_outage_settled_at_the_end_of_the_stream() {
    let (breaker, backend) = (breaker(), Backend::start().await);
    let classifier = HttpClassifier::new().at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    survives_an_outage(&breaker, &backend, async || {
        let response = send(&mut client, &backend.url()).await?;
        let status = response.status();
        read(response).await?;
        Ok(status)
    })
    .await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let backend = Backend::start().await;
    backend.is_busy_for("7200");
    let breaker = builder().max_retry_after(2 * HOUR).build().unwrap();
    let layer = CircuitBreakerLayer::new(breaker).classifier(HttpClassifier::new());
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    for _ in 0..2 {
        let status = send(&mut client, &backend.url()).await.unwrap().status();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let error = send(&mut client, &backend.url()).await.unwrap_err();
    let wait = rejection(&*error).unwrap().retry_after().unwrap();
    assert!(wait > HOUR, "{wait:?}");
}

#[tokio::test]
async fn a_body_that_fails_trips_only_at_the_end_of_the_stream() {
    for framing in [LENGTH, CHUNKED] {
        for end in [End::Closed, End::Reset] {
            let server = HalfBody::start(framing, end).await;

            let at_head = breaker();
            let layer = CircuitBreakerLayer::new(at_head.clone()).classifier(HttpClassifier::new());
            let mut service = ServiceBuilder::new().layer(layer).service(client());
            for calls in 1..=5 {
                let response = send(&mut service, &server.url()).await.unwrap();
                server.close();
                read(response).await.unwrap_err();
                assert_eq!(recorded(&at_head), (calls, 0));
            }

            let at_end = breaker();
            let classifier = HttpClassifier::new().at_end_of_stream();
            let layer = CircuitBreakerLayer::new(at_end.clone()).classifier(classifier);
            let mut service = ServiceBuilder::new().layer(layer).service(client());
            for failures in 1..=2 {
                let mut response = send(&mut service, &server.url()).await.unwrap();
                let half = response.frame().await.unwrap().unwrap().into_data().unwrap();
                assert_eq!(half, HALF);
                server.close();
                read(response).await.unwrap_err();
                assert_eq!(recorded(&at_end), (failures, failures));
            }
            assert_eq!(at_end.state(), State::Open);
            assert!(is_rejected(&send(&mut service, &server.url()).await));
        }
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_a_failure_with_a_read_timeout_inside() {
    let server = HalfBody::start(LENGTH, End::Closed).await;
    let breaker = breaker();
    let classifier = HttpClassifier::new().at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let client = Client::builder().no_proxy().read_timeout(SOON).build().unwrap();
    let mut client = ServiceBuilder::new().layer(layer).layer(HttpClientLayer).service(client);
    for _ in 0..2 {
        let error = async { read(send(&mut client, &server.url()).await?).await }.await;
        let error = error.unwrap_err().downcast::<reqwest::Error>().unwrap();
        assert!(error.is_timeout(), "{error:?}");
    }
    assert!(is_rejected(&send(&mut client, &server.url()).await));
}

#[tokio::test]
async fn a_body_that_stalls_is_a_success_with_a_timeout_around_the_reading() {
    let server = HalfBody::start(LENGTH, End::Closed).await;
    let breaker = breaker();
    let classifier = HttpClassifier::new().at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    for calls in 1..=3 {
        let response = send(&mut client, &server.url()).await.unwrap();
        tokio::time::timeout(SOON, read(response)).await.unwrap_err();
        assert_eq!(recorded(&breaker), (calls, 0));
    }
}

#[tokio::test]
async fn a_body_that_stalls_never_closes_a_circuit_with_abandoned_after() {
    let server = HalfBody::start(LENGTH, End::Closed).await;
    let breaker = breaker_that_counts_abandoned_calls();
    let classifier = HttpClassifier::new().at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    for failures in 1..=2 {
        let response = send(&mut client, &server.url()).await.unwrap();
        tokio::time::timeout(SOON, read(response)).await.unwrap_err();
        assert_eq!(recorded(&breaker), (failures, failures));
    }
    for _ in 0..3 {
        let_a_probe_through(&breaker);
        let response = send(&mut client, &server.url()).await.unwrap();
        tokio::time::timeout(SOON, read(response)).await.unwrap_err();
        assert_eq!(breaker.state(), State::Open);
    }
}

#[tokio::test]
async fn sizes_and_frames_pass_through() {
    let backend = Backend::start().await;
    let classifier = HttpClassifier::new().at_end_of_stream();
    let layer = CircuitBreakerLayer::new(breaker()).classifier(classifier);
    let mut client = ServiceBuilder::new().layer(layer).service(client());
    let response = send(&mut client, &backend.url()).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(4));
    assert_eq!(read(response).await.unwrap(), "body");
}

/// Classifies like [`HttpClassifier`], but ignores requests that could not be built.
#[derive(Clone, Copy)]
struct IgnoresOurErrors(HttpClassifier);

impl Classifier<Response<Body>, reqwest::Error> for IgnoresOurErrors {
    type Response = Response<Body>;

    fn response(&self, response: Response<Body>, permit: Permit) -> Response<Body> {
        Classifier::<_, reqwest::Error>::response(&self.0, response, permit)
    }

    fn error(&self, error: &reqwest::Error, permit: Permit) {
        match error.is_builder() {
            true => permit.ignore(),
            false => permit.failure(),
        }
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_counted_unless_a_classifier_ignores_it() {
    let relative = "/without-a-host";
    let counted = breaker();
    let layer = CircuitBreakerLayer::new(counted.clone()).classifier(HttpClassifier::new());
    send(&mut ServiceBuilder::new().layer(layer).service(client()), relative).await.unwrap_err();
    assert_eq!(recorded(&counted), (1, 1));

    let not_counted = breaker();
    let layer = CircuitBreakerLayer::new(not_counted.clone())
        .classifier(IgnoresOurErrors(HttpClassifier::new()));
    send(&mut ServiceBuilder::new().layer(layer).service(client()), relative).await.unwrap_err();
    assert_eq!(recorded(&not_counted), (0, 0));
}
