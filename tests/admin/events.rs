//! Server-sent events.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::timeout;
use tower_breaker::keyed::CircuitBreakerRegistry;
use tower_breaker::{Operator, OperatorAction};

use super::*;

/// A client that has been answered.
struct Client(AdminBody);

impl Client {
    async fn new(admin: &AdminService) -> Self {
        let response = get(admin, "/api/events").await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut client = Self(response.into_body());
        assert_eq!(client.next().await, ":\nretry: 3000\n\n".replace(":\n", ": \n"));
        client
    }

    async fn next(&mut self) -> String {
        let frame = self.0.frame().await.expect("the stream goes on").unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    /// Returns the kind of the next event, and what it says.
    async fn event(&mut self) -> (String, Value) {
        let text = self.next().await;
        let (kind, data) = text.split_once('\n').unwrap();
        let data = data.trim().strip_prefix("data: ").unwrap();
        (kind.strip_prefix("event: ").unwrap().to_owned(), serde_json::from_str(data).unwrap())
    }

    async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_secs(5), self.next()).await.is_err()
    }
}

#[tokio::test(start_paused = true)]
async fn transitions_and_operators_actions_are_told() {
    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker);
    let mut client = Client::new(&admin).await;
    fail(&breaker);
    let (kind, data) = client.event().await;
    assert_eq!((kind.as_str(), &data["number"]), ("transition", &Value::Null));
    assert_eq!(data["transition"]["to"], "open");
    assert_eq!(data["transition"]["breaker"], "payments");

    json(&admin, "/api/circuits").await;
    let operator = Operator::new("alice", "it is well again");
    breaker.operate(OperatorAction::Reset, operator).unwrap();
    let (kind, data) = client.event().await;
    let expected = serde_json::json!({
        "number": 1, "breaker": "payments", "action": "reset", "actor": "alice", "reason": "it is well again"
    });
    assert_eq!((kind.as_str(), data), ("operator", expected));
    assert_eq!(client.event().await.1["number"], 1);

    breaker.reconfigure(CircuitBreaker::builder("").consecutive_failures(7)).unwrap();
    let (kind, data) = client.event().await;
    assert_eq!((kind.as_str(), &data["actor"]), ("operator", &Value::Null));
    assert_eq!(data["action"], "reconfigured (consecutive_failures 1 -> 7)");
}

#[tokio::test(start_paused = true)]
async fn a_registry_tells_about_all_its_circuits_and_a_handle_only_about_its_own() {
    let template = CircuitBreaker::builder("shard").consecutive_failures(1);
    let shards: CircuitBreakerRegistry<u32> =
        CircuitBreakerRegistry::builder(template).build().unwrap();
    let (one, two) = (shards.get_or_create(&1), shards.get_or_create(&2));
    let mut all = Client::new(&AdminService::new().registry(&shards)).await;
    let mut only_two = Client::new(&AdminService::new().breaker(&two)).await;
    fail(&one);
    assert_eq!(all.event().await.1["transition"]["breaker"], "shard/1");
    assert!(only_two.is_silent().await);
    fail(&two);
    assert_eq!(all.event().await.1["transition"]["breaker"], "shard/2");
    assert_eq!(only_two.event().await.1["transition"]["breaker"], "shard/2");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_every_fifteen_seconds() {
    let admin = AdminService::new();
    let mut client = Client::new(&admin).await;
    let began = tokio::time::Instant::now();
    assert_eq!(client.next().await, ": \n\n");
    assert_eq!(client.next().await, ": \n\n");
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn at_most_sixteen_follow_and_one_that_is_gone_frees_its_place_at_once() {
    let admin = AdminService::new();
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(Client::new(&admin.clone()).await);
    }
    let refused = get(&admin, "/api/events").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "10");
    // A request without a body takes no place.
    let head = Request::head("/api/events").body(Body::empty()).unwrap();
    assert_eq!(send(&admin, head).await.status(), StatusCode::OK);
    clients.pop();
    clients.push(Client::new(&admin).await);
    assert_eq!(get(&admin, "/api/events").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_keeps_nobody_waiting_and_learns_what_it_missed() {
    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker);
    let mut stalled = Client::new(&admin).await;
    let mut quick = Client::new(&admin).await;
    for _ in 0..200 {
        breaker.trip();
        breaker.reset();
        for expected in ["operator", "transition", "operator", "transition"] {
            assert_eq!(quick.event().await.0, expected);
        }
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    let (kind, data) = stalled.event().await;
    assert_eq!((kind.as_str(), data), ("lagged", serde_json::json!({ "missed": 800 - 256 })));
    for _ in 0..256 {
        assert_ne!(stalled.event().await.0, "lagged");
    }
    assert!(stalled.is_silent().await);
}

#[tokio::test]
async fn a_client_that_vanishes_frees_its_place_at_once_on_a_real_socket() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    let admin = AdminService::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().nest_service("/circuits", admin.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let connect = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /circuits/api/events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        (stream, String::from_utf8(head.to_vec()).unwrap())
    };
    let mut clients = Vec::new();
    for _ in 0..16 {
        let (stream, head) = connect().await;
        assert_eq!(head, "HTTP/1.1 200");
        clients.push(stream);
    }
    assert_eq!(connect().await.1, "HTTP/1.1 503");
    clients.clear();
    // No heartbeat is needed for it: the server sees that the connection was closed.
    timeout(Duration::from_secs(5), async {
        while connect().await.1 != "HTTP/1.1 200" {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the places are free before the first heartbeat");
}

#[tokio::test]
async fn a_server_that_shuts_down_gracefully_waits_for_a_stream_until_it_is_ended() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().nest_service("/circuits", admin.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let mut server = tokio::spawn(async move { server.await });

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /circuits/api/events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    stop.send(()).unwrap();
    let waits = timeout(Duration::from_millis(200), &mut server).await.is_err();
    assert!(waits, "the stream goes on, so the server waits");

    fail(&breaker);
    admin.end_streams();
    let mut rest = String::new();
    timeout(Duration::from_secs(10), client.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.contains("event: transition"), "what has happened before is told: {rest}");
    timeout(Duration::from_secs(10), server).await.expect("nothing is left").unwrap().unwrap();

    // Of all clones, and for good.
    let refused = get(&admin.operations(true), "/api/events").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn the_page_and_the_api_are_there_after_the_streams_have_ended() {
    let admin = AdminService::new().breaker(&breaker("payments"));
    let mut client = Client::new(&admin).await;
    admin.end_streams();
    assert!(client.0.frame().await.is_none());
    assert_eq!(names(&admin, "/api/circuits").await, ["payments"]);
    assert_eq!(get(&admin, "/").await.status(), StatusCode::OK);
}
