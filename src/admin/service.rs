//! [`AdminService`].

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tower_service::Service;

use super::body::{AdminBody, AnyBody};
use super::circuits::Circuits;
use super::error::Error;
use super::list::{Choice, Listing, list};
use super::row::Detail;
use super::source::Source;
use super::{events, gate, operate, page};
use crate::breaker::CircuitBreaker;
#[cfg(feature = "keyed")]
use crate::keyed::CircuitBreakerRegistry;

/// A page and an API for operators: a Tower service for HTTP requests that shows circuits, and operates them if it may.
///
/// The [module](crate::admin) shows how to mount it, who may use it and what it answers. It never fails, and it is always
/// ready. Clones show the same circuits. A service whose method is called afterwards no longer does.
///
/// # Example
/// ```
/// use axum::Router;
/// use tower_breaker::CircuitBreaker;
/// use tower_breaker::admin::AdminService;
///
/// let payments = CircuitBreaker::new("payments");
/// let search = CircuitBreaker::new("search");
///
/// let admin = AdminService::new().breaker(&payments).breaker(&search);
/// let app: Router = Router::new().nest_service("/circuits", admin);
/// # let _ = app;
/// ```
#[derive(Clone)]
#[must_use = "a service does nothing until it is served"]
pub struct AdminService {
    shared: Arc<Shared>,
    router: Router,
}

#[derive(Clone)]
struct Shared {
    circuits: Arc<Circuits>,
    operations: bool,
    actor: Arc<Actor>,
}

type Actor = dyn Fn(&Parts) -> String + Send + Sync;

impl AdminService {
    /// Creates a service that shows no circuits and only looks.
    pub fn new() -> Self {
        Self::with(Shared {
            circuits: Arc::new(Circuits::new(Vec::new())),
            operations: false,
            actor: Arc::new(|_| "unknown".into()),
        })
    }

    /// Shows a circuit, too. The service keeps the circuit alive. A circuit that is shown already stays as it is.
    pub fn breaker(self, breaker: &CircuitBreaker) -> Self {
        self.show(Source::Breaker(breaker.clone()))
    }

    /// Shows all circuits of a registry, too, also those that are created later. The service keeps the registry alive,
    /// but not its circuits, and looking at them does not count as use.
    #[cfg(feature = "keyed")]
    pub fn registry<K>(self, registry: &CircuitBreakerRegistry<K>) -> Self
    where
        K: Send + Sync + 'static,
    {
        self.show(Source::Registry(Arc::new(registry.clone())))
    }

    /// Sets whether the circuits can be operated, too. The default is `false`: the service only looks.
    ///
    /// Everybody who can reach the service can then cut off traffic. See [who may use
    /// it](crate::admin#who-may-use-it).
    pub fn operations(self, operations: bool) -> Self {
        Self::with(Shared { operations, ..Shared::clone(&self.shared) })
    }

    /// Sets how the service learns who operates a circuit: from the head of the `POST` request, such as a header that
    /// a proxy has set or an extension of a layer that has checked a token. At most 200 bytes of the text are used. The
    /// default is `unknown`.
    ///
    /// The actor is part of the [event](crate::Event::operator) and of the log line. The service believes what the closure
    /// returns, so it should read only what a stranger cannot send.
    ///
    /// # Panics
    /// A panic of the closure passes through the service, and nothing is operated.
    pub fn actor(self, actor: impl Fn(&Parts) -> String + Send + Sync + 'static) -> Self {
        Self::with(Shared { actor: Arc::new(actor), ..Shared::clone(&self.shared) })
    }

    /// Ends all [streams of events](crate::admin#events), of all clones of this service, and refuses new ones with 503.
    /// All other requests are answered as before.
    ///
    /// Call it when the server is to shut down. A stream never ends by itself, so a server that waits for its connections
    /// would wait until the last page is closed.
    ///
    /// # Example
    /// ```no_run
    /// # async fn serve() -> std::io::Result<()> {
    /// use tower_breaker::admin::AdminService;
    ///
    /// let admin = AdminService::new();
    /// let app = axum::Router::new().nest_service("/circuits", admin.clone());
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:9000").await?;
    /// axum::serve(listener, app)
    ///     .with_graceful_shutdown(async move {
    ///         tokio::signal::ctrl_c().await.expect("the signal can be waited for");
    ///         admin.end_streams();
    ///     })
    ///     .await
    /// # }
    /// ```
    pub fn end_streams(&self) {
        self.shared.circuits.end_streams();
    }

    fn show(self, source: Source) -> Self {
        let mut sources = self.shared.circuits.sources().to_vec();
        sources.push(source);
        let circuits = Arc::new(Circuits::new(sources));
        Self::with(Shared { circuits, ..Shared::clone(&self.shared) })
    }

    fn with(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let asset = |(content_type, text): (&'static str, &'static str)| {
            get(move || async move { ([(header::CONTENT_TYPE, content_type)], text) })
        };
        let router = Router::new()
            .route("/", get(show_page))
            .route("/admin.css", asset(page::STYLE))
            .route("/admin.js", asset(page::SCRIPT))
            .route("/icon.svg", asset(page::ICON))
            .route("/api/circuits", get(show_list))
            .route("/api/circuits/{number}", get(show_circuit))
            .route("/api/circuits/{number}/{action}", post(operate_circuit))
            .route("/api/events", get(follow))
            .fallback(|| async { Error::new(StatusCode::NOT_FOUND, "there is nothing here") })
            .with_state(shared.clone());
        Self { shared, router }
    }
}

impl Default for AdminService {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> Service<http::Request<B>> for AdminService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
{
    type Response = http::Response<AdminBody>;
    type Error = Infallible;
    type Future = AdminFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> AdminFuture {
        let (parts, body) = request.into_parts();
        let admitted = gate::admit(&parts, self.shared.operations);
        let mut router = self.router.clone();
        AdminFuture(Box::pin(async move {
            let mut response = match admitted {
                Ok(()) => {
                    let request = Request::from_parts(parts, Body::new(AnyBody::new(body)));
                    let Ok(response) = router.call(request).await;
                    response
                }
                Err(error) => error.into_response(),
            };
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                let allow = response.headers_mut().entry(header::ALLOW);
                allow.or_insert(HeaderValue::from_static("GET, HEAD, POST"));
            }
            gate::add_headers(response.headers_mut());
            Ok(response.map(AdminBody::new))
        }))
    }
}

/// The future of an [`AdminService`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct AdminFuture(
    Pin<Box<dyn Future<Output = Result<http::Response<AdminBody>, Infallible>> + Send>>,
);

impl Future for AdminFuture {
    type Output = Result<http::Response<AdminBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for AdminFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for AdminService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminService")
            .field("operations", &self.shared.operations)
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn list(&self, choice: &Choice) -> Listing {
        list(&self.circuits, choice, self.operations).await
    }

    fn detail(&self, number: u64) -> Option<Detail> {
        self.circuits.numbers.find(number).map(Detail::new)
    }
}

// ---- what is behind the routes -----------------------------------------------------------------------

async fn show_page(
    State(shared): State<Arc<Shared>>,
    OriginalUri(original): OriginalUri,
    uri: Uri,
) -> Response {
    // Below a path, the links of the page are right only if its address ends with a slash.
    if let Some(segment) = original.path().rsplit('/').next().filter(|segment| !segment.is_empty())
    {
        let query = original.query().map_or(String::new(), |query| format!("?{query}"));
        let location = format!("./{segment}/{query}");
        return (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response();
    }
    match Choice::read(&uri) {
        Ok(choice) => {
            let listing = shared.list(&choice).await;
            let detail = choice.circuit.map(|number| shared.detail(number));
            page::page(&listing, &choice, detail.as_ref().map(Option::as_ref)).into_response()
        }
        Err(error) => (error.status(), page::error(error.text())).into_response(),
    }
}

async fn show_list(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Listing>, Error> {
    let choice = Choice::read(&uri)?;
    Ok(Json(shared.list(&choice).await))
}

async fn show_circuit(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<String>,
) -> Result<Json<Detail>, Error> {
    let number = number.parse().map_err(|_| Error::not_found())?;
    shared.detail(number).map(Json).ok_or_else(Error::not_found)
}

async fn follow(State(shared): State<Arc<Shared>>, method: Method) -> Response {
    events::stream(&shared.circuits, &method)
}

async fn operate_circuit(
    State(shared): State<Arc<Shared>>,
    Path((number, action)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Detail>, Error> {
    let (parts, body) = request.into_parts();
    let number = number.parse().map_err(|_| Error::not_found())?;
    let found = shared.circuits.numbers.find(number).ok_or_else(Error::not_found)?;
    let actor = operate::shortened((shared.actor)(&parts));
    operate::operate(&found.breaker, &action, actor, body).await?;
    Ok(Json(Detail::new(found)))
}
