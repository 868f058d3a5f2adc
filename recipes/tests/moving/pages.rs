//! The pages show the programs as they are.

macro_rules! assert_shows_programs {
    ($page:literal) => {
        let page = include_str!(concat!("../../../src/docs/moving/", $page, ".md"));
        let before = include_str!(concat!($page, "_before.rs"));
        let after = include_str!(concat!($page, "_after.rs"));
        assert!(page.contains(&format!("```text\n{before}```\n")), "{}: before", $page);
        assert!(page.contains(&format!("```\n{after}```\n")), "{}: after", $page);
    };
}

#[test]
fn each_page_shows_its_programs_as_they_are() {
    assert_shows_programs!("failsafe");
    assert_shows_programs!("recloser");
    assert_shows_programs!("tower_resilience");
}
