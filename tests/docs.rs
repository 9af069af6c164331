//! The pages that describe the protocol say what the code says.

use expect_test::expect_file;
use hearth::{
    config::vscode_properties,
    lsp::ext::{
        ACCEPTED, ANALYZE, ASKS_INSTRUCTION, AnalyzeArguments, CANCEL, DidChangeTrust, DidShow,
        EXPLAIN, INSTALL, PAUSE, REFACTOR, RESUME, SCHEME, Status, StatusParams, StatusState, TEST,
        TRUST,
    },
    task::analyze::Kind,
};
use serde_json::{Value as Json, json};
use tower_lsp::gen_lsp_types::Notification as _;

#[test]
fn every_extension_is_described_with_all_its_fields() {
    let page = include_str!("../docs/protocol.md");
    assert!(page.contains(&format!("## `{}`", Status::METHOD.as_str())));
    assert!(page.contains(&format!("## `{}`", DidChangeTrust::METHOD.as_str())));
    assert!(page.contains(&format!("## `{}`", DidShow::METHOD.as_str())));
    for command in [ACCEPTED, CANCEL, PAUSE, RESUME, TRUST, ANALYZE] {
        let is_title =
            |line: &str| line.starts_with("## ") && line.contains(&format!("`{command}`"));
        assert!(page.lines().any(is_title), "{command} is not described");
    }
    for command in [REFACTOR, TEST, EXPLAIN, INSTALL] {
        assert!(page.contains(&format!("\n- `{command}` (")), "{command} is not described");
    }
    assert!(page.contains(&format!("`{ASKS_INSTRUCTION}`")));
    let all = StatusParams {
        state: StatusState::Warm,
        paused: true,
        provider: Some(String::new()),
        endpoint: Some(String::new()),
        model: Some(String::new()),
        mode: Some(String::new()),
        message: String::new(),
        last_no_suggestion: Some(String::new()),
        prompt_tokens: Some(0),
        cached_tokens: Some(0),
        prefill_per_second: Some(0),
        decode_per_second: Some(0),
        prompt_limit: Some(0),
        output_limit: Some(0),
        wait_milliseconds: Some(0),
        clouds: vec![String::new()],
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
fn what_an_analysis_takes_is_described() {
    let page = include_str!("../docs/protocol.md");
    let text = || Some(String::new());
    let all = AnalyzeArguments {
        question: text(),
        kind: text(),
        path: text(),
        private: true,
        cloud: true,
    };
    let json = serde_json::to_value(all).expect("plain JSON");
    for field in json.as_object().expect("an object").keys() {
        assert!(page.contains(&format!("\n- `{field}`: ")), "{field} is not described");
    }
    for kind in Kind::ALL {
        assert!(page.contains(&format!("`{kind}`")), "{kind} is not described");
    }
    assert!(page.contains(&format!("`{SCHEME}:/analysis/N.md`")));
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

/// `json` as it stands in the manifest, at this depth.
fn indented(json: &Json, depth: usize) -> String {
    let pretty = serde_json::to_string_pretty(json).expect("plain JSON");
    pretty.replace('\n', &format!("\n{}", "  ".repeat(depth)))
}

#[test]
fn the_vs_code_manifest_has_every_setting_with_its_scope() {
    let text = include_str!("../editors/vscode/package.json");
    let manifest: Json = serde_json::from_str(text).expect("JSON");
    let found = indented(&manifest["contributes"]["configuration"][1], 3);
    let section = json!({ "title": "Server", "order": 2, "properties": vscode_properties() });
    assert_eq!(text.matches(&found).count(), 1, "the section is as it was generated");
    let generated = text.replace(&found, &indented(&section, 3));
    expect_file!["../editors/vscode/package.json"].assert_eq(&generated);
}

#[test]
fn the_vs_code_extension_has_the_server_s_version() {
    let manifest: Json =
        serde_json::from_str(include_str!("../editors/vscode/package.json")).expect("JSON");
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
}
