//! Starts a server with the page, and a headless Chromium that shows it.
//!
//! Needs Debian's packages `chromium` and `chromium-driver`.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower_breaker::admin::AdminService;

/// A browser, with its driver. Call [`quit`](Self::quit) at the end of a test.
pub struct Browser {
    pub client: Client,
    driver: Child,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// Starts a browser of this width, in pixels, and of a usual height.
    pub async fn start(width: u32) -> Self {
        Self::start_with(width, 900).await
    }

    /// Starts a browser of this width and height, in pixels.
    pub async fn start_with(width: u32, height: u32) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`chromedriver` is missing: apt-get install chromium chromium-driver");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let capabilities = json!({
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": ["--headless=new", "--no-sandbox", "--disable-gpu"] },
        });
        builder.capabilities(serde_json::from_value(capabilities).unwrap());
        let address = format!("http://127.0.0.1:{port}");
        let mut attempts = 0;
        let client = loop {
            match builder.connect(&address).await {
                Ok(client) => break client,
                Err(error) if attempts == 100 => panic!("no browser: {error}"),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
            attempts += 1;
        };
        let this = Self { client, driver };
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        this.devtools("Emulation.setDeviceMetricsOverride", size).await;
        this
    }

    /// Sends a command that is not part of WebDriver.
    async fn send(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Extension { path, body }).await.unwrap()
    }

    /// Chooses the light or the dark colours of the page.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    pub async fn hide_scrollbars(&self) {
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        self.send("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await;
    }

    /// Returns all that was written to the console since the last time.
    pub async fn console(&self) -> Vec<String> {
        let log = self.send("se/log", json!({ "type": "browser" })).await;
        log.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// Returns the addresses that were requested since the last time.
    pub async fn requests(&self) -> Vec<String> {
        let log = self.send("se/log", json!({ "type": "performance" })).await;
        let entries = log.as_array().unwrap().iter();
        let messages = entries.filter_map(|entry| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            let is_request = message["method"] == "Network.requestWillBeSent";
            is_request.then(|| message["params"]["request"]["url"].as_str().unwrap().to_owned())
        });
        messages.collect()
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true, for ten seconds at most.
    pub async fn wait_until(&self, expression: &str) {
        for _ in 0..100 {
            if self.run(&format!("return !!({expression})")).await == true {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        let page = self.run("return document.body.innerText").await;
        panic!("it is never true that {expression}:\n{}", page.as_str().unwrap());
    }

    pub async fn quit(self) {
        let _ = self.client.clone().close().await;
    }
}

#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// Serves the page below a path, and returns its address.
pub async fn serve(admin: AdminService) -> (String, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().nest_service("/circuits", admin);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}/circuits"), address)
}
