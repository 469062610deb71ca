//! The test that notices when ARCHITECTURE.md forgets a module.

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md"));

/// The modules that a file declares, but for its tests.
fn modules(source: &str) -> impl Iterator<Item = &str> {
    let names = source.lines().filter_map(|line| {
        line.trim_start_matches("pub ").strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
    });
    names.filter(|name| !["tests", "code_map"].contains(name))
}

#[test]
fn every_module_of_the_controller_and_the_exporter_is_in_the_code_map() {
    let (_, map) = PAGE.split_once("## Code map").expect("a code map");
    let (map, _) = map.split_once("\n## ").expect("more after the code map");
    let firsts: Vec<&str> =
        map.lines().filter_map(|row| row.strip_prefix("| ")?.split(" |").next()).collect();
    let in_map = |name: &str| firsts.iter().any(|first| first.contains(&format!("`{name}`")));
    for name in modules(include_str!("lib.rs")).chain(modules(include_str!("exporter.rs"))) {
        assert!(in_map(name), "ARCHITECTURE.md's code map has no row for {name}");
    }
    for name in modules(include_str!("exporter/deliver.rs")) {
        assert!(
            in_map(&format!("deliver/{name}")),
            "ARCHITECTURE.md's code map has no row for deliver/{name}"
        );
    }
}
