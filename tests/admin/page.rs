//! The page as it is without JavaScript.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn the_page_is_a_table_of_all_circuits_without_a_script() {
    let (well, open) = (breaker("search"), breaker("payments"));
    let admin = AdminService::new().breaker(&well).breaker(&open);
    fail(&open);
    let page = text(&admin, "/").await;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} in {page}"));
    assert!(at(">payments</a>") < at(">search</a>"));
    at("1 failure in a row");
    at("probe in");
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains("onclick"));
    let circuit = text(&admin, "/?circuit=1").await;
    assert!(circuit.contains("&quot;consecutive_failures&quot;: 1"), "{circuit}");
    assert!(!circuit.contains("<button id=\"b-"), "it only looks");
    let circuit = text(&admin.operations(true), "/?circuit=1").await;
    assert!(circuit.contains("<button id=\"b-force_open\""), "{circuit}");
    assert!(text(&AdminService::new(), "/?circuit=7").await.contains("exists no more"));
}

#[tokio::test]
async fn names_are_data_and_never_part_of_an_address() {
    let long = "x".repeat(4096);
    let hostile = [
        "<script>alert(1)</script>",
        "..",
        "a\nb",
        "\"><img src=x onerror=alert(1)>",
        "/../../",
        "",
        long.as_str(),
    ];
    let admin = hostile
        .iter()
        .fold(AdminService::new(), |admin, name| admin.breaker(&breaker(name)))
        .operations(true);
    assert_eq!(names(&admin, "/api/circuits").await, hostile);
    for number in 0..=hostile.len() {
        let page = text(&admin, &format!("/?circuit={number}")).await;
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{page}");
        assert!(page.contains("a\\nb"));
        for address in page.split("href=\"").skip(1) {
            let address = address.split('"').next().unwrap();
            let known = ["icon.svg", "admin.css"].contains(&address);
            let rest = address.strip_prefix("./?limit=").unwrap_or("?");
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "&;=_".contains(c);
            assert!(known || rest.chars().all(is_plain), "{address}");
        }
    }
}

#[tokio::test]
async fn it_works_below_any_path_and_at_the_root() {
    let admin = AdminService::new().breaker(&breaker("payments"));
    let app =
        axum::Router::new().nest("/deep", axum::Router::new().nest_service("/er", admin.clone()));
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    let redirect = get("/deep/er?limit=5").await;
    assert_eq!(redirect.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(redirect.headers()["location"], "./er/?limit=5");
    for path in ["/deep/er/", "/deep/er/api/circuits", "/deep/er/admin.js", "/deep/er/admin.css"] {
        assert_eq!(get(path).await.status(), StatusCode::OK, "{path}");
    }
    let page = to_bytes(get("/deep/er/").await.into_body(), usize::MAX).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(!page.contains("href=\"/") && !page.contains("src=\"/"), "{page}");
    assert_eq!(super::get(&admin, "/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn all_that_is_loaded_is_less_than_sixty_kilobytes() {
    let admin = AdminService::new().breaker(&breaker("payments")).operations(true);
    let mut size = 0;
    for path in ["/", "/admin.css", "/admin.js", "/icon.svg"] {
        size += bytes(get(&admin, path).await).await.len();
    }
    assert!(size < 60_000, "{size}");
}

#[tokio::test(start_paused = true)]
async fn a_row_says_what_would_change_the_state_of_its_circuit() {
    let state = |name: &str, act: fn(&CircuitBreaker)| {
        let breaker = breaker(name);
        act(&breaker);
        breaker
    };
    let half_open = state("half_open", |it| {
        it.force_open();
        it.resume();
        it.try_acquire().unwrap().success();
        it.try_acquire().unwrap().success();
        std::mem::forget(it.try_acquire().unwrap());
    });
    let circuits = [
        state("forced_open", CircuitBreaker::force_open),
        state("forced_closed", CircuitBreaker::force_closed),
        state("forced_for_10_minutes", |it| it.force_open_for(Duration::from_secs(600))),
        state("in_shadow", |it| it.set_enforcement(0.0).unwrap()),
        state("quarter", |it| it.set_enforcement(0.25).unwrap()),
        state("waited", |it| it.trip()),
        half_open,
    ];
    let admin = circuits.iter().fold(AdminService::new(), AdminService::breaker);
    text(&admin, "/").await;
    circuits[0].try_acquire().unwrap_err();
    tokio::time::advance(Duration::from_secs(10)).await;
    let page = text(&admin, "/").await;
    let row = |name: &str| {
        let from = page.split("<tr ").find(|row| row.contains(&format!(">{name}</a>")));
        from.unwrap_or_else(|| panic!("{name} in {page}"))
    };
    for name in ["forced_open", "forced_closed"] {
        assert!(row(name).contains("until an operator resumes it"), "{}", row(name));
    }
    let forced = row("forced_for_10_minutes");
    assert!(forced.contains("resumed in 9m 50s"), "{forced}");
    assert!(row("in_shadow").contains(">shadow</span>"), "{}", row("in_shadow"));
    assert!(row("quarter").contains("25 % enforced"), "{}", row("quarter"));
    assert!(row("waited").contains("the next call is a probe"), "{}", row("waited"));
    assert!(row("half_open").contains("1 more probe decides"), "{}", row("half_open"));
    assert!(
        row("half_open").contains("data-label=\"probes in flight\">1<"),
        "{}",
        row("half_open")
    );
    assert!(text(&AdminService::default(), "/").await.contains("There is no circuit to show."));
    let first = text(&admin, "/?limit=1").await;
    assert!(first.contains("The 1 that need attention most, of 7."), "{first}");
}

#[tokio::test]
async fn everything_can_be_printed_for_debugging() {
    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker);
    assert_eq!(format!("{admin:?}"), "AdminService { operations: false, .. }");
    assert_eq!(format!("{:?}", breaker.downgrade()), "WeakCircuitBreaker { .. }");
    let request = Request::get("/").body(Body::empty()).unwrap();
    let future = admin.oneshot(request);
    assert!(format!("{:?}", future.await.unwrap().body()).contains("AdminBody"));
}

#[tokio::test]
async fn the_text_of_the_last_failure_is_shown_and_is_only_text() {
    let breaker = breaker("payments");
    let admin = AdminService::new().breaker(&breaker);
    assert_eq!(json(&admin, "/api/circuits").await["circuits"][0]["last_failure"], Value::Null);
    let permit = breaker.try_acquire().unwrap();
    permit.describe_failure("<script>alert(1)</script>\n\u{202e}");
    permit.failure();
    // In the row, and next to the facts and the transition of a single circuit.
    for (path, times) in [("/", 1), ("/?circuit=1", 3)] {
        let page = text(&admin, path).await;
        let shown = "&lt;script&gt;alert(1)&lt;/script&gt;\\n\\u{202e}";
        assert_eq!(page.matches(shown).count(), times, "{page}");
        assert!(!page.contains("<script>alert"), "{page}");
    }
    let circuit = json(&admin, "/api/circuits/1").await;
    assert_eq!(circuit["last_failure"]["text"], "<script>alert(1)</script>\n\u{202e}");
    assert!(circuit["last_failure"]["ago_seconds"].is_number());
    assert_eq!(circuit["transitions"][0]["last_failure"]["text"], circuit["last_failure"]["text"]);
}

#[tokio::test]
async fn a_circuit_of_a_registry_is_shown_by_its_key_under_the_registry() {
    use tower_breaker::keyed::CircuitBreakerRegistry;

    let template = CircuitBreaker::builder("crawler").consecutive_failures(1);
    let hosts: CircuitBreakerRegistry<String> =
        CircuitBreakerRegistry::builder(template).build().unwrap();
    hosts.get_or_create("example.com");
    let page = text(&AdminService::new().registry(&hosts), "/").await;
    let row = "title=\"crawler/example.com\">example.com</a><small>in crawler</small>";
    assert!(page.contains(row), "{page}");
    // A name that merely looks like it is shown in full.
    let page = text(&AdminService::new().breaker(&breaker("crawler/example.com")), "/").await;
    assert!(page.contains(">crawler/example.com</a></td>"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn the_row_of_a_circuit_that_recovers_says_how_many_calls_are_admitted() {
    use std::time::Duration;
    use tower_breaker::HalfOpen;

    let ramp = HalfOpen::consecutive_successes(1).ramp(Duration::from_secs(10));
    let breaker = CircuitBreaker::builder("payments").half_open(ramp).build().unwrap();
    breaker.force_open();
    breaker.resume();
    breaker.try_acquire().unwrap().success();
    tokio::time::advance(Duration::from_secs(4)).await;
    let page = text(&AdminService::new().breaker(&breaker), "/").await;
    assert!(page.contains("recovering, 40 % of calls admitted"), "{page}");
}
