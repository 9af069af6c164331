//! VS Code: where its extension finds this program, in the user's `settings.json`.

use std::path::Path;

use anyhow::Context as _;
use jsonc_parser::{ParseOptions, cst::CstRootNode, json};

use super::{Plan, Target};

const KEY: &str = "hearth.server.path";

pub(super) fn plan(code: &Path, program: &str) -> Plan {
    let program = program.to_owned();
    let shown = format!("{:#}\n", serde_json::json!({ KEY: program }));
    Plan {
        shown,
        files: vec![Target {
            path: code.join("User").join("settings.json"),
            merge: Box::new(move |before| merge(before, &program)),
        }],
        next: "Left to you: the extension itself, `code --install-extension hearth.vsix`; \
               editors/vscode/package in Hearth's sources packs it."
            .to_owned(),
    }
}

/// Adds the program where none is named yet.
fn merge(before: &str, program: &str) -> anyhow::Result<String> {
    let text = if before.trim().is_empty() { "{}\n" } else { before };
    let root = CstRootNode::parse(text, &ParseOptions::default()).context("it is not JSON")?;
    let settings = root.object_value().context("it is not a JSON object")?;
    if settings.get(KEY).is_none() {
        settings.append(KEY, json!(program));
    }
    Ok(root.to_string())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(before: &str, expected: Expect) {
        let after = merge(before, "/opt/hearth");
        if let Ok(after) = &after {
            assert_eq!(
                merge(after, "/opt/other").expect("JSON"),
                *after,
                "a second time adds nothing"
            );
        }
        expected.assert_eq(&after.unwrap_or_else(|error| format!("{error:#}")));
    }

    #[test]
    fn settings() {
        check(
            "",
            expect![[r#"
            {
              "hearth.server.path": "/opt/hearth"
            }
        "#]],
        );
        check(
            "{\n    // mine\n    \"editor.fontSize\": 13, // small\n}\n",
            expect![[r#"
            {
                // mine
                "editor.fontSize": 13, // small
                "hearth.server.path": "/opt/hearth",
            }
        "#]],
        );
        check(
            "{ \"hearth.server.path\": \"/mine\" }",
            expect![[r#"{ "hearth.server.path": "/mine" }"#]],
        );
    }

    #[test]
    fn what_is_not_an_object_is_left_alone() {
        check("[1]", expect!["it is not a JSON object"]);
        check(
            "{ \"a\": ",
            expect![
                "it is not JSON: Expected value after colon in object property on line 1 column 8"
            ],
        );
    }
}
