//! A page and an API for operators. Feature `admin`.
//!
//! [`AdminService`] shows the circuits that you give it: as a live page for people, and as JSON for programs. It is a
//! Tower service for HTTP requests, so it can be part of any server that has a port for operators.
//!
//! # Mounting it
//!
//! In axum:
//!
//! ```
//! use axum::Router;
//! use tower_breaker::CircuitBreaker;
//! use tower_breaker::admin::AdminService;
//!
//! let payments = CircuitBreaker::new("payments");
//! let admin = AdminService::new().breaker(&payments);
//!
//! let operators: Router = Router::new().nest_service("/circuits", admin); // http://localhost:9000/circuits/
//! # let _ = operators;
//! ```
//!
//! In a hyper server, [`tower::Service`](tower_service::Service)s are adapted by hyper-util:
//!
//! ```no_run
//! # async fn serve() -> std::io::Result<()> {
//! use hyper_util::rt::{TokioExecutor, TokioIo};
//! use hyper_util::{server::conn::auto, service::TowerToHyperService};
//! use tower_breaker::admin::AdminService;
//!
//! let admin = AdminService::new();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9000").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let service = TowerToHyperService::new(admin.clone());
//!     tokio::spawn(async move {
//!         let server = auto::Builder::new(TokioExecutor::new());
//!         let _ = server.serve_connection(TokioIo::new(stream), service).await;
//!     });
//! }
//! # }
//! ```
//!
//! The service needs a tokio runtime with timers. It works below any path, if the server removes that path from the
//! request as axum's `nest_service` does. All links of the page are relative, so the address of the page has to end with
//! a slash; below an axum router the service redirects to it.
//!
//! # Who may use it
//!
//! **Never serve it on the public listener.** The service asks nobody who they are. It shows names and settings to
//! everybody who can reach it, and with [`operations`](AdminService::operations) everybody can cut off traffic. Give it a
//! listener of its own that only operators reach, and add a layer that checks who asks. This one wants a bearer token:
//!
//! ```
//! use axum::extract::Request;
//! use axum::http::{HeaderValue, StatusCode, header::AUTHORIZATION};
//! use axum::middleware::{Next, from_fn};
//! use axum::{Router, response::IntoResponse};
//! use tower_breaker::admin::AdminService;
//!
//! // Read the token from a secret. This comparison takes the same time wherever the texts differ.
//! fn is_allowed(given: Option<&HeaderValue>, token: &str) -> bool {
//!     let (given, wanted) = (given.map(HeaderValue::as_bytes).unwrap_or_default(), format!("Bearer {token}"));
//!     let differences = given.iter().zip(wanted.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
//!     given.len() == wanted.len() && differences == 0
//! }
//!
//! let token: &'static str = "a-long-random-text";
//! let admin = AdminService::new()
//!     .operations(true)
//!     .actor(|request| match request.headers.get("x-forwarded-user") {
//!         Some(user) => String::from_utf8_lossy(user.as_bytes()).into_owned(),
//!         None => "token".into(),
//!     });
//! let operators: Router = Router::new().nest_service("/circuits", admin).layer(from_fn(
//!     move |request: Request, next: Next| async move {
//!         match is_allowed(request.headers().get(AUTHORIZATION), token) {
//!             true => next.run(request).await,
//!             false => StatusCode::UNAUTHORIZED.into_response(),
//!         }
//!     },
//! ));
//! # let _ = operators;
//! ```
//!
//! Browsers do not send a bearer token by themselves. Where people use the page, put a proxy in front of it that logs
//! them in.
//!
//! The service sets no cookies and allows no other origin. A `POST` that another site has a browser send is refused, so
//! a page on the internet cannot operate circuits through the browser of an operator. The pages load nothing from
//! anywhere else, and what a name contains is never markup or part of an address.
//!
//! # The API
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | The page. Without JavaScript it is a table, with JavaScript it is live. `?state=`, `?limit=` and `?circuit=` choose what it shows. |
//! | `GET /api/circuits?state=open&limit=100` | The circuits that need attention most. `state` is `closed`, `open` or `half_open`; without it, all. `limit` is from 1 to 1,000, by default 100. |
//! | `GET /api/circuits/{number}` | A circuit with its settings and its last transitions. |
//! | `GET /api/events` | Server-sent events: see below. |
//! | `POST /api/circuits/{number}/{action}` | Operates the circuit, and returns it as it is afterwards. |
//!
//! Circuits that are not closed come first. Closed circuits with failures in their window follow, the nearest to tripping
//! first, and then all others.
//!
//! A circuit gets its `number` when it is first listed, and keeps it for as long as it exists. Names need not be unique,
//! and they are never part of an address. Clones of a service share the numbers.
//!
//! ```json
//! {
//!   "circuits": [{
//!     "number": 1, "name": "payments", "registry": null,
//!     "sentence": "open for 1.2s (5 failures in a row), attempt 1: next probe in 3.8s",
//!     "snapshot": { "state": "open", "age_seconds": 1.2, "attempt": 1, "...": "as Snapshot serializes" },
//!     "rejections_per_second": 41.5,
//!     "last_failure": { "text": "connection refused", "ago_seconds": 1.2 },
//!     "history": [{ "from": "closed", "to": "open", "ago_seconds": 1.2 }]
//!   }],
//!   "counts": { "closed": 99997, "open": 2, "half_open": 1 },
//!   "operations": false
//! }
//! ```
//!
//! A single circuit has these fields and two more: `settings`, as [`Config`](crate::Config) serializes, and
//! `transitions`, as [`Transition`](crate::Transition) serializes. `registry` is the name of the registry that the circuit
//! belongs to. `rejections_per_second` is the mean of the last ten seconds. Rejections are counted from when the circuit
//! was first listed, so this is `null` at first. `last_failure` is `null` unless somebody
//! [describes](crate::Permit::describe_failure) failures.
//!
//! A request that cannot be answered gets a status and `{ "error": "..." }`.
//!
//! ## Operating
//!
//! | action | body besides `reason` | method |
//! |---|---|---|
//! | `trip` | | [`trip`](crate::CircuitBreaker::trip) |
//! | `reset` | | [`reset`](crate::CircuitBreaker::reset) |
//! | `force_open` | optionally `"for"`, after which the circuit is resumed, such as `"10m"` | [`force_open`](crate::CircuitBreaker::force_open), or [`force_open_for`](crate::CircuitBreaker::force_open_for) |
//! | `force_closed` | the same | [`force_closed`](crate::CircuitBreaker::force_closed), or [`force_closed_for`](crate::CircuitBreaker::force_closed_for) |
//! | `resume` | | [`resume`](crate::CircuitBreaker::resume) |
//! | `enforcement` | `"share"`, from 0.0 to 1.0 | [`set_enforcement`](crate::CircuitBreaker::set_enforcement) |
//! | `reconfigure` | all settings, as in a [`Config`](crate::Config) | [`reconfigure`](crate::CircuitBreaker::reconfigure) |
//!
//! ```console
//! $ curl --json '{ "for": "10m", "reason": "maintenance" }' http://localhost:9000/circuits/api/circuits/1/force_open
//! ```
//!
//! The body is JSON of at most 64 KiB and may be empty. The `reason` has at most 1,000 bytes. It is part of the
//! [event](crate::Event::operator) and of the log line, together with the [actor](AdminService::actor). `"for"` is a
//! duration longer than zero, written as in a [`Config`](crate::Config).
//!
//! | status | why |
//! |---|---|
//! | 400 | The body, the reason or a setting is wrong. Nothing has changed. |
//! | 403 | The service only looks, or the request comes from another site. |
//! | 404 | There is no such circuit, or it exists no more. |
//! | 405 | Only `GET`, `HEAD` and `POST` have a meaning. |
//! | 413 | The body is too long. |
//! | 415 | The `content-type` is not `application/json`. |
//!
//! ## Events
//!
//! | event | data |
//! |---|---|
//! | `transition` | `number`, and `transition` as [`Transition`](crate::Transition) serializes |
//! | `operator` | `number`, `breaker`, `action` in words, `actor` and `reason` |
//! | `lagged` | `missed`, the number of events that this client or a listener was too slow for |
//!
//! `number` is `null` if the circuit has not been listed yet. `actor` and `reason` are `null` if the circuit was operated
//! by a method that does not ask for them. A comment is sent every 15 seconds, so that a connection that is gone is
//! noticed. At most 16 clients may follow at the same time, and others get the status 503 with `retry-after`. The place of
//! a client is free as soon as its connection is closed.
//!
//! A stream never ends by itself, so a server that shuts down gracefully would wait for it. Call
//! [`end_streams`](AdminService::end_streams) when it begins to shut down. A client that has stopped reading delays the
//! shutdown all the same, as it does with any response, so limit the time that the server waits.
//!
//! # What it costs
//!
//! A healthy call pays nothing. A rejected call increments a counter if its circuit has been listed. Listing looks at
//! every circuit, a few at a time, so that nobody waits for it. No lock is held while an answer is written. A service
//! keeps the circuits alive that were given to [`breaker`](AdminService::breaker), and the registries, but not the
//! circuits in them.

// # Where to start reading
//
// [`service`] is the way of a request: the gate, the routes, the headers. [`circuits`] knows what is shown, [`list`]
// chooses from it, [`row`] is what JSON and the page have in common, and [`page`] writes HTML.

mod body;
mod circuits;
mod error;
mod events;
mod gate;
mod html;
mod list;
mod numbers;
mod operate;
mod page;
mod row;
mod service;
mod source;

pub use self::body::AdminBody;
pub use self::service::{AdminFuture, AdminService};
