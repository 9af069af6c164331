//! The pages that describe the protocol say what the code says.

use hearth::lsp::ext::{ACCEPTED, DidChangeTrust, Status, StatusParams, StatusState, TRUST};
use tower_lsp::gen_lsp_types::Notification as _;

#[test]
fn every_extension_is_described_with_all_its_fields() {
    let page = include_str!("../docs/protocol.md");
    assert!(page.contains(&format!("## `{}`", Status::METHOD.as_str())));
    assert!(page.contains(&format!("## `{}`", DidChangeTrust::METHOD.as_str())));
    for command in [ACCEPTED, TRUST] {
        assert!(page.contains(&format!("## `{command}`")));
    }
    let all = StatusParams {
        state: StatusState::Warm,
        provider: Some(String::new()),
        endpoint: Some(String::new()),
        model: Some(String::new()),
        mode: Some(String::new()),
        message: String::new(),
        last_no_suggestion: Some(String::new()),
    };
    let json = serde_json::to_value(all).expect("plain JSON");
    let fields = json.as_object().expect("an object");
    for field in fields.keys() {
        assert!(page.contains(&format!("| `{field}` |")), "{field} is not described");
    }
    let described = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(described, fields.len(), "a field is described that does not exist");
}

#[test]
fn the_readme_names_pages_that_exist() {
    let readme = include_str!("../README.md");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let links: Vec<&str> = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.starts_with("http"))
        .collect();
    assert!(links.len() > 3);
    for link in links {
        assert!(root.join(link).exists(), "{link} does not exist");
    }
}
