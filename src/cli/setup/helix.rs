//! Helix: `languages.toml`.

use std::path::Path;

use anyhow::Context as _;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::{Plan, Target};

const FRAGMENT: &str = include_str!("../../../editors/helix/languages.toml");

pub(super) fn plan(config: &Path, program: &str) -> anyhow::Result<Plan> {
    let mut fragment: DocumentMut = FRAGMENT.parse()?;
    fragment["language-server"]["hearth"]["command"] = toml_edit::value(program);
    let shown = fragment.to_string();
    Ok(Plan {
        shown,
        files: vec![Target {
            path: config.join("helix").join("languages.toml"),
            merge: Box::new(move |before| merge(before, &fragment)),
        }],
        next: "Left to you: in Helix's config.toml, under [editor], `completion-timeout = 5` and \
               `completion-trigger-len = 1` make the popup ask at once; `hx --health rust` names the \
               servers."
            .to_owned(),
    })
}

/// Adds the server where it is not there yet, and its name to each language of the fragment.
fn merge(before: &str, fragment: &DocumentMut) -> anyhow::Result<String> {
    if before.trim().is_empty() {
        return Ok(fragment.to_string());
    }
    let mut document: DocumentMut = before.parse().context("it is not TOML")?;
    let servers = document.entry("language-server").or_insert_with(implicit);
    let servers = servers.as_table_like_mut().context("`language-server` is not a table")?;
    if !servers.contains_key("hearth") {
        let mut hearth = fragment["language-server"]["hearth"].clone();
        if let Some(table) = hearth.as_table_mut() {
            // What stands above it in the fragment is about the whole of that.
            table.decor_mut().set_prefix("\n");
        }
        servers.insert("hearth", hearth);
    }
    let languages = document
        .entry("language")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .context("`language` is not a list of [[language]]")?;
    for ours in fragment["language"].as_array_of_tables().into_iter().flatten() {
        let named = |table: &&mut Table| name(table) == name(ours);
        let Some(theirs) = languages.iter_mut().find(named) else {
            languages.push(ours.clone());
            continue;
        };
        let Some(list) = theirs.get_mut("language-servers") else {
            let all: Array = servers_of(ours).cloned().collect();
            theirs.insert("language-servers", toml_edit::value(all));
            continue;
        };
        let list = list.as_array_mut().context("`language-servers` is not a list")?;
        let hearth = servers_of(ours).find(|server| server_name(server) == Some("hearth"));
        if !list.iter().any(|server| server_name(server) == Some("hearth"))
            && let Some(hearth) = hearth
        {
            list.push(hearth.clone());
        }
    }
    Ok(document.to_string())
}

/// A table that has no header of its own.
fn implicit() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

fn name(language: &Table) -> Option<&str> {
    language.get("name")?.as_str()
}

fn servers_of(language: &Table) -> impl Iterator<Item = &Value> {
    language.get("language-servers").and_then(Item::as_array).into_iter().flatten()
}

/// A server is named by a string, or by a table's `name`.
fn server_name(server: &Value) -> Option<&str> {
    server.as_str().or_else(|| server.as_inline_table()?.get("name")?.as_str())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(before: &str, expected: Expect) {
        let fragment = FRAGMENT.parse().expect("our own");
        let after = merge(before, &fragment);
        if let Ok(after) = &after {
            assert_eq!(
                merge(after, &fragment).expect("TOML"),
                *after,
                "a second time adds nothing"
            );
        }
        expected.assert_eq(&after.unwrap_or_else(|error| format!("{error:#}")));
    }

    #[test]
    fn a_file_that_is_not_there() {
        check(
            "",
            expect![[r##"
                # Hearth in Helix: merge this into ~/.config/helix/languages.toml.
                #
                # Helix has no ghost text; suggestions come in the completion popup. An answer that is not there in
                # time is shown with the next key. In config.toml, `completion-timeout = 5` and
                # `completion-trigger-len = 1` under [editor] make the popup ask at once.

                [language-server.hearth]
                command = "hearth"
                args = ["serve", "--stdio"]
                # Settings (docs/settings.md), for example:
                # config.completion.debounce_ms = 10

                [[language]]
                name = "rust"
                language-servers = ["rust-analyzer", { name = "hearth", only-features = ["completion", "code-action", "workspace-command"] }]
            "##]],
        );
    }

    #[test]
    fn a_file_with_servers_and_comments_of_its_own() {
        check(
            "# mine\n[language-server.rust-analyzer]\ncommand = \"ra\" # from nix\n\n\
             [[language]]\nname = \"rust\"\nauto-format = true\nlanguage-servers = [\"rust-analyzer\"]\n\n\
             [[language]]\nname = \"toml\"\n",
            expect![[r##"
                # mine
                [language-server.rust-analyzer]
                command = "ra" # from nix

                [language-server.hearth]
                command = "hearth"
                args = ["serve", "--stdio"]

                [[language]]
                name = "rust"
                auto-format = true
                language-servers = ["rust-analyzer", { name = "hearth", only-features = ["completion", "code-action", "workspace-command"] }]

                [[language]]
                name = "toml"
            "##]],
        );
    }

    #[test]
    fn a_language_that_names_no_servers() {
        check(
            "[[language]]\nname = \"rust\"\nauto-format = false\n",
            expect![[r#"
                [[language]]
                name = "rust"
                auto-format = false
                language-servers = ["rust-analyzer", { name = "hearth", only-features = ["completion", "code-action", "workspace-command"] }]

                [language-server.hearth]
                command = "hearth"
                args = ["serve", "--stdio"]
            "#]],
        );
    }

    #[test]
    fn what_is_there_stays() {
        check(
            "[language-server.hearth]\ncommand = \"/opt/hearth\"\n\n\
             [[language]]\nname = \"rust\"\nlanguage-servers = [{ name = \"hearth\" }]\n",
            expect![[r#"
                [language-server.hearth]
                command = "/opt/hearth"

                [[language]]
                name = "rust"
                language-servers = [{ name = "hearth" }]
            "#]],
        );
    }

    #[test]
    fn what_is_not_toml_is_left_alone() {
        check("language = 3", expect!["`language` is not a list of [[language]]"]);
        check(
            "[[language",
            expect![[r#"
            it is not TOML: TOML parse error at line 1, column 11
              |
            1 | [[language
              |           ^
            unclosed array table, expected `]]`
        "#]],
        );
    }
}
