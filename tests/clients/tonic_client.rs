//! tonic's `Channel`, to a port where nobody listens and to a server that does not answer.

use std::net::SocketAddr;

use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::timeout::error::Elapsed;
use tower::{Layer, ServiceBuilder};
use tower_breaker::grpc::GrpcClassifier;
use tower_breaker::keyed::{CircuitBreakerRegistry, KeyedLayer};
use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, CircuitBreakerService, State};

use crate::backend::{DeadPort, listen};
use crate::{
    SOON, breaker, breaker_that_counts_abandoned_calls, builder, causes, let_a_probe_through,
    recorded, rejection,
};

type Client = HealthClient<CircuitBreakerService<Channel, GrpcClassifier>>;

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

fn layer(breaker: &CircuitBreaker) -> CircuitBreakerLayer<GrpcClassifier> {
    CircuitBreakerLayer::new(breaker.clone()).classifier(GrpcClassifier::new())
}

fn client(breaker: &CircuitBreaker, endpoint: &Endpoint) -> Client {
    HealthClient::new(layer(breaker).layer(endpoint.connect_lazy()))
}

async fn check(client: &mut Client) -> Result<(), Status> {
    client.check(HealthCheckRequest::default()).await.map(drop)
}

#[tokio::test]
async fn a_dead_port_trips_and_its_channel_works_when_somebody_listens() {
    let (breaker, port) = (breaker(), DeadPort::new());
    let mut client = client(&breaker, &endpoint(port.address));
    for failures in 1..=2 {
        let status = check(&mut client).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(recorded(&breaker), (failures, failures));
    }
    assert!(rejection(&check(&mut client).await.unwrap_err()).is_some());

    let (_reporter, health) = tonic_health::server::health_reporter();
    let incoming = TcpIncoming::from(port.come_to_life());
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));
    assert!(
        rejection(&check(&mut client).await.unwrap_err()).is_some(),
        "an open circuit does not probe by itself"
    );
    let_a_probe_through(&breaker);
    check(&mut client).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_server_that_does_not_answer_with_the_timeout_of_the_endpoint() {
    let (_listener, address) = listen().await; // only the kernel accepts connections
    let breaker = breaker();
    let mut client = client(&breaker, &endpoint(address).timeout(SOON));
    for failures in 1..=2 {
        check(&mut client).await.unwrap_err();
        assert_eq!(recorded(&breaker), (failures, failures));
    }
    assert_eq!(breaker.state(), State::Open);
    assert!(rejection(&check(&mut client).await.unwrap_err()).is_some());
}

#[tokio::test]
async fn a_server_that_does_not_answer_with_a_deadline_of_the_request() {
    let (_listener, address) = listen().await;
    let breaker = breaker();
    let mut client = client(&breaker, &endpoint(address));
    for _ in 0..2 {
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        request.set_timeout(SOON);
        client.check(request).await.unwrap_err();
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_server_that_does_not_answer_with_a_timeout_layer_inside() {
    let (_listener, address) = listen().await;
    let breaker = breaker();
    let channel = ServiceBuilder::new()
        .layer(layer(&breaker))
        .timeout(SOON)
        .service(endpoint(address).connect_lazy());
    let mut client = HealthClient::new(channel);
    for _ in 0..2 {
        let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert!(causes(&status).any(|cause| cause.is::<Elapsed>()), "{status:?}");
    }
    assert_eq!(breaker.state(), State::Open);
    let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert!(rejection(&status).is_some());
}

#[tokio::test]
async fn a_server_that_does_not_answer_with_a_caller_who_gives_up() {
    let (_listener, address) = listen().await;
    let neutral = breaker();
    let failed = breaker_that_counts_abandoned_calls();
    for breaker in [&neutral, &failed] {
        let mut client = client(breaker, &endpoint(address));
        for _ in 0..2 {
            tokio::time::timeout(SOON, check(&mut client)).await.unwrap_err();
        }
    }
    assert_eq!(neutral.state(), State::Closed);
    assert_eq!(failed.state(), State::Open);
}

#[tokio::test]
async fn circuits_by_host_around_channels_are_one_circuit_because_the_requests_have_no_host() {
    let circuits = CircuitBreakerRegistry::builder(builder()).build().unwrap();
    for _ in 0..2 {
        let layer = KeyedLayer::by_host(circuits.clone()).classifier(GrpcClassifier::new());
        let channel = endpoint(DeadPort::new().address).connect_lazy();
        let mut client = HealthClient::new(layer.layer(channel));
        client.check(HealthCheckRequest::default()).await.unwrap_err();
    }
    assert_eq!(circuits.len(), 1);
    let shared = circuits.get(&"".into()).expect("the circuit of requests without a host");
    assert_eq!(recorded(&shared), (2, 2));
}
