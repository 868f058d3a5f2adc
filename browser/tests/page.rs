//! What a person sees and does.

use tower_breaker::admin::AdminService;
use tower_breaker::{CircuitBreaker, State};
use tower_breaker_browser::{Browser, serve};

fn breaker(name: &str) -> CircuitBreaker {
    CircuitBreaker::builder(name).consecutive_failures(1).build().unwrap()
}

fn fail(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().failure();
}

#[tokio::test]
async fn a_circuit_that_opens_is_seen_without_a_reload_and_nothing_leaves_the_host() {
    let (payments, search) = (breaker("payments"), breaker("search"));
    let admin = AdminService::new().breaker(&search).breaker(&payments);
    let (url, address) = serve(admin).await;
    let browser = Browser::start(1600).await;
    browser.client.goto(&url).await.unwrap(); // without a slash at its end
    browser.wait_until("document.querySelector('#status.live')").await;
    browser.run("window.sameDocument = true").await;
    fail(&payments);
    browser.wait_until("document.querySelector('tbody tr').matches('.open')").await;
    browser.wait_until("document.querySelector('tbody tr').innerText.includes('payments')").await;
    assert_eq!(browser.run("return window.sameDocument").await, true);

    assert_eq!(browser.console().await, Vec::<String>::new());
    let here = format!("http://{address}/circuits");
    let requests = browser.requests().await;
    assert!(requests.iter().any(|url| url.ends_with("/api/events")), "{requests:?}");
    let elsewhere = |url: &&String| !url.starts_with(&here) && !url.starts_with("data:");
    assert_eq!(requests.iter().find(elsewhere), None);
    browser.quit().await;
}

#[tokio::test]
async fn a_button_asks_before_it_cuts_off_traffic_and_a_keyboard_is_enough() {
    let payments = breaker("payments");
    let admin = AdminService::new().breaker(&payments).operations(true);
    let (url, _) = serve(admin).await;
    let browser = Browser::start(1600).await;
    browser.client.goto(&format!("{url}/")).await.unwrap();
    browser.wait_until("document.querySelector('#status.live')").await;
    // From the top of the page with Tab alone.
    let press = async |keys: &str| {
        let active = browser.client.active_element().await.unwrap();
        active.send_keys(keys).await.unwrap();
    };
    let tab_to = async |id: &str| {
        for _ in 0..30 {
            if browser.run("return document.activeElement.id").await == id {
                return;
            }
            press("\u{e004}").await;
        }
        panic!("`{id}` is not reached");
    };
    tab_to("a1").await;
    press("\u{e007}").await;
    browser.wait_until("document.getElementById('b-force_open')").await;
    tab_to("b-force_open").await;
    press("\u{e007}").await;
    browser.wait_until("document.getElementById('ask').open").await;
    assert_eq!(payments.state(), State::Closed, "it asks first");
    press("\u{e00c}").await; // Escape
    browser.wait_until("!document.getElementById('ask').open").await;
    assert_eq!(payments.state(), State::Closed);
    assert_eq!(browser.run("return document.activeElement.id").await, "b-force_open");

    press("\u{e007}").await;
    browser.wait_until("document.getElementById('ask').open").await;
    press("maintenance\u{e007}").await;
    browser.wait_until("document.querySelector('tr.open')").await;
    assert!(payments.snapshot().is_forced());
    browser.wait_until("!document.getElementById('b-resume').disabled").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.quit().await;
}

#[tokio::test]
async fn an_operator_chooses_for_how_long_a_circuit_is_forced_and_can_choose_again() {
    let payments = breaker("payments");
    let admin = AdminService::new().breaker(&payments).operations(true);
    let (url, _) = serve(admin).await;
    let browser = Browser::start(1600).await;
    browser.client.goto(&format!("{url}/?circuit=1")).await.unwrap();
    for (action, time, seconds) in
        [("force_open", "5m", 300), ("force_open", "1h", 3600), ("force_closed", "15m", 900)]
    {
        browser
            .wait_until(&format!("document.getElementById('b-{action}')?.disabled === false"))
            .await;
        browser.run(&format!("document.getElementById('b-{action}').click()")).await;
        browser.wait_until("document.querySelector('select[name=for]').checkVisibility()").await;
        let submit = format!(
            "const form = document.querySelector('#ask form');
             form.elements.for.value = '{time}'; form.requestSubmit()"
        );
        browser.run(&submit).await;
        browser.wait_until("!document.getElementById('ask').open").await;
        let left = payments.snapshot().forced_for().expect("it is forced for a time").as_secs();
        assert!((seconds - 60..=seconds).contains(&left), "{left} s of {time}");
    }
    browser
        .wait_until("document.querySelector('tbody tr').innerText.includes('resumed in 14m')")
        .await;
    browser.run("document.getElementById('b-trip').click()").await;
    browser.wait_until("document.getElementById('ask').open").await;
    browser.wait_until("!document.querySelector('select[name=for]').checkVisibility()").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.quit().await;
}

#[tokio::test]
async fn nothing_overflows_on_a_telephone_or_a_large_screen_and_hostile_names_are_only_names() {
    let long = "x".repeat(4096);
    let hostile = [
        "<script>document.title='owned'</script>",
        "..",
        "a\nb",
        "<img src=/x onerror=alert(1)>",
        &long,
    ];
    let breakers = hostile.map(breaker);
    breakers.iter().for_each(fail);
    let admin = breakers.iter().fold(AdminService::new(), AdminService::breaker).operations(true);
    let (url, _) = serve(admin).await;
    for width in [320, 1600] {
        let browser = Browser::start(width).await;
        for circuit in 0..=hostile.len() {
            browser.client.goto(&format!("{url}/?circuit={circuit}")).await.unwrap();
            browser.wait_until("document.querySelector('#status.live')").await;
            let fits = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
            assert_eq!(browser.run(fits).await, true, "{circuit} at {width}");
        }
        assert_eq!(browser.run("return document.title").await, "Circuits");
        assert_eq!(
            browser.run("return document.querySelectorAll('main script, main img').length").await,
            0
        );
        assert_eq!(browser.run("return document.querySelectorAll('tbody tr').length").await, 5);
        assert_eq!(browser.console().await, Vec::<String>::new());
        browser.quit().await;
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_operate_a_circuit() {
    let payments = breaker("payments");
    let admin = AdminService::new().breaker(&payments).operations(true);
    let (url, address) = serve(admin).await;
    let (elsewhere, _) = serve(AdminService::new()).await;
    let browser = Browser::start(1600).await;
    browser.client.goto(&format!("{url}/")).await.unwrap(); // gives it a number
    for origin in [elsewhere, format!("http://localhost:{}/circuits", address.port())] {
        // The page of an attacker has no policy that keeps it from sending.
        browser.client.goto("about:blank").await.unwrap();
        browser.client.goto(&origin.replace("/circuits", "/nothing")).await.unwrap();
        let script = format!(
            "return Promise.all(['application/json', 'text/plain'].map((type) =>
               fetch('{url}/api/circuits/1/trip', {{ method: 'POST', mode: type === 'text/plain' ? 'no-cors' : 'cors',
                 headers: {{ 'content-type': type }}, body: '{{}}' }}).then(() => 1, () => 1)))"
        );
        browser.run(&script).await;
        assert_eq!(payments.state(), State::Closed, "{origin}");
    }
    browser.quit().await;
}
