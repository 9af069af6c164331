//! The table as JSON Schema and as a page to read.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{
    Scope,
    clouds::ALIASES,
    table::{CLOUD_ROWS, ROWS, Row},
};

/// JSON Schema (draft 2020-12) of the settings tree.
pub fn json_schema() -> Json {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hearth settings",
        "type": "object",
        "additionalProperties": false,
        "properties": {},
    });
    for row in ROWS {
        add(&mut root, row);
    }
    let mut cloud = json!({ "type": "object", "additionalProperties": false, "properties": {} });
    for row in CLOUD_ROWS {
        add(&mut cloud, row);
    }
    let named = json!({ "type": "object", "additionalProperties": cloud });
    root["properties"]["router"]["properties"]["cloud"] = named;
    for (alias, name, field) in ALIASES {
        let rows = CLOUD_ROWS.iter().filter(|row| row.key == field);
        for row in rows {
            let doc = format!("The same as `router.cloud.{name}.{field}`.");
            put(&mut root, alias, (row.schema)(), (row.default)(), &doc);
        }
    }
    root
}

fn add<S>(root: &mut Json, row: &Row<S>) {
    put(root, row.key, (row.schema)(), (row.default)(), &plain(row.doc));
}

fn put(root: &mut Json, key: &str, schema: Json, default: Json, doc: &str) {
    let mut parts = key.split('.').peekable();
    let mut place = root;
    while let Some(part) = parts.next() {
        let properties = &mut place["properties"];
        if parts.peek().is_some() {
            if properties[part].is_null() {
                properties[part] =
                    json!({ "type": "object", "additionalProperties": false, "properties": {} });
            }
        } else {
            properties[part] = schema;
            properties[part]["default"] = default;
            properties[part]["description"] = json!(doc);
            return;
        }
        place = &mut properties[part];
    }
}

/// The settings as VS Code's manifest declares them (`contributes.configuration`), by their full keys.
///
/// Its settings editor has a field for a plain type and none for `anyOf`, so that text which may also
/// be `"auto"` is declared as text.
pub fn vscode_properties() -> Json {
    let mut all = serde_json::Map::new();
    for (order, row) in ROWS.iter().enumerate() {
        let mut property = flat((row.schema)());
        property["default"] = (row.default)();
        property["markdownDescription"] = json!(plain(row.doc));
        property["order"] = json!(order);
        property["scope"] = json!(match row.scope {
            Scope::Machine => "machine",
            Scope::Workspace => "window",
        });
        all.insert(format!("hearth.{}", row.key), property);
    }
    // A table of any number of clouds has no field in a settings editor: it is written as JSON.
    let mut clouds = json_schema()["properties"]["router"]["properties"]["cloud"].take();
    clouds["default"] = json!({});
    clouds["markdownDescription"] =
        json!("Clouds, each under a name of its own (docs/settings.md).");
    clouds["scope"] = json!("machine");
    all.insert("hearth.router.cloud".to_owned(), clouds);
    Json::Object(all)
}

/// `"auto"` or text as text, `"auto"` or one of some names as one of them all.
fn flat(schema: Json) -> Json {
    let Some([auto, other]) = schema["anyOf"].as_array().map(Vec::as_slice) else { return schema };
    if let Some(names) = other["enum"].as_array() {
        let all = [std::slice::from_ref(&auto["const"]), names].concat();
        return json!({ "enum": all, "type": "string" });
    }
    if other["type"] == "string" { json!({ "type": "string" }) } else { schema }
}

/// The settings as a Markdown page.
pub fn reference() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         One tree, in `hearth/config.toml` under the XDG configuration folder (`~/.config` by default) \
         and from the editor alike. Later wins: defaults, the file, the editor, the command line \
         (`--set KEY=VALUE`). A key marked *machine* decides where code is sent, what runs or how a model is \
         served: it is taken from the file, from the editor's start options and from the command line, \
         never from settings that a workspace may contain. Unknown keys are named in a warning.\n\n\
         This page is generated from the table in `src/config/table.rs`.\n",
    );
    for row in ROWS {
        describe(&mut page, "", row);
    }
    page.push_str(
        "\n# Clouds\n\n\
         Any number of them, each under a name of its own. The first one that is well is asked, in the \
         order in which they are written. Nothing is sent to any without the border: its exclusions, \
         its search for secrets, and your consent.\n",
    );
    for row in CLOUD_ROWS {
        describe(&mut page, "router.cloud.NAME.", row);
    }
    page
}

fn describe<S>(page: &mut String, prefix: &str, row: &Row<S>) {
    let scope = if row.scope == Scope::Machine { ", *machine*" } else { "" };
    let _ = write!(page, "\n## `{prefix}{}`\n\nDefault `{}`{scope}.\n\n", row.key, (row.default)());
    for line in row.doc.lines() {
        let _ = writeln!(page, "{}", line.trim());
    }
}

fn plain(doc: &str) -> String {
    doc.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
