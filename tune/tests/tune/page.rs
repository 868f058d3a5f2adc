use roxmltree::{Document, ParsingOptions};

use crate::{file, recorded, scratch, tune};

fn page(line: &str, name: &str) -> String {
    let page = scratch(name);
    tune(&format!("{line} --html {}", page.display())).succeeded();
    std::fs::read_to_string(page).unwrap()
}

/// Checks what holds for every page, and returns its text.
#[track_caller]
fn check(page: &str) -> String {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(page, options).unwrap();
    for node in document.descendants().filter(|node| node.is_element()) {
        let name = node.tag_name().name();
        let loads = ["script", "link", "img", "iframe", "object", "image", "use", "a"];
        assert!(!loads.contains(&name), "<{name}>");
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!name.starts_with("on") && !["src", "href"].contains(&name), "{name}");
            assert!(!attribute.value().contains("url("), "{}", attribute.value());
        }
        if name == "svg" {
            assert!(node.attribute("viewBox").is_some() && node.attribute("width").is_none());
        }
    }
    let style = document.descendants().find(|node| node.has_tag_name("style")).unwrap();
    let style = style.text().unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
    let metas = document.descendants().filter(|node| node.has_tag_name("meta"));
    let contents: Vec<_> = metas.filter_map(|meta| meta.attribute("content")).collect();
    assert!(contents.contains(&"width=device-width, initial-scale=1"), "{contents:?}");
    assert!(contents.iter().any(|it| it.starts_with("default-src 'none'")), "{contents:?}");
    document.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect()
}

#[test]
fn the_page_of_a_replay_has_a_picture_and_needs_no_network() {
    let settings = file("page.toml", "failure_rate_threshold = 0.5\n");
    for trace in ["outage.csv", "soak.csv"] {
        let page = page(&format!("replay {settings} {}", recorded(trace)), "replay.html");
        let text = check(&page);
        assert_eq!(page.matches("<svg").count(), 2, "one for each width of screen");
        for label in
            ["calls per second", "% that fail", "half-open", "failure_rate_threshold = 0.5"]
        {
            assert!(text.contains(label), "{label}");
        }
    }
}

#[test]
fn the_page_of_a_sweep_has_the_points_and_the_chosen_settings_to_copy() {
    let settings = file("page_sweep.toml", "");
    let vary = "--vary failure_rate_threshold=0.2,0.5 --vary minimum_calls=5,10";
    let page = page(&format!("sweep {settings} {} {vary}", recorded("outage.csv")), "sweep.html");
    let text = check(&page);
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(page.contains("<circle"));
    for label in
        ["% of the good calls shed", "time to open", "failure_rate_threshold = 0.", "chosen"]
    {
        assert!(text.contains(label), "{label}");
    }
}

#[test]
fn a_key_from_a_stranger_is_only_text() {
    let settings = file("page_key.toml", "consecutive_failures = 1\nopen_duration = '1ms'\n");
    let key = "<script>alert(1)</script>&'\"\"\u{1}\u{202e}]]>";
    // Three failures are an incident, and the table has its key as well.
    let outcomes = ["failure", "failure", "failure", "success", "success"];
    let calls = (0..).zip(outcomes).map(|(i, it)| format!("{i}0000,\"{key}\",{it},1\n"));
    let trace = format!("at_us,key,outcome,duration_us\n{}", calls.collect::<String>());
    let trace = file("page_key.csv", trace);
    let page = page(&format!("replay {settings} {trace}"), "key.html");
    let text = check(&page);
    assert_eq!(
        text.matches("<script>alert(1)</script>&'\"\u{fffd}\u{fffd}]]>").count(),
        2,
        "{text}"
    );
    assert!(text.matches("<script>").count() == 3, "{text}");
}

#[test]
fn a_trace_of_one_call_or_of_no_time_can_be_drawn() {
    let settings = file("page_small.toml", "");
    for (name, calls) in [
        ("one", "0,,success,0\n"),
        ("unknown", "0,,rejected,0\n0,,rejected,0\n"),
        ("long", "0,,success,0\n630720000000000,,failure,630720000000000\n"),
    ] {
        let trace = file(&format!("{name}.csv"), format!("at_us,key,outcome,duration_us\n{calls}"));
        check(&page(&format!("replay {settings} {trace}"), &format!("{name}.html")));
        let line = format!("sweep {settings} {trace} --vary minimum_calls=1,2");
        check(&page(&line, &format!("{name}_sweep.html")));
    }
}

#[test]
fn the_page_may_be_written_to_standard_output() {
    let settings = file("page_stdout.toml", "");
    let page = tune(&format!("scenario run {settings} overload --html -")).succeeded();
    check(&page);
}
