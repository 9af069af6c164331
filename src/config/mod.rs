//! Settings: one table, from which the parser, the JSON Schema and the reference follow.
//!
//! Later layers win: defaults < the user's file < the editor < the command line. Nothing that a
//! repository contains may set an endpoint, a key or a command, so those are never taken from what
//! an editor may have read in a workspace ([`Layer::EditorChange`]). A bad value never stops the
//! server: it is named, and the value of the layer below stands.

mod reference;
mod table;
mod value;

use std::path::PathBuf;

use serde_json::Value as Json;

pub use reference::{json_schema, reference};
pub use table::Settings;
pub use value::{Auto, Bounded, KeepAlive, ProviderSetting};

/// Where a tree of settings comes from, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The user's own file outside of any repository.
    UserFile,
    /// `initializationOptions`: what the user's editor starts the server with.
    EditorStart,
    /// `workspace/configuration` and `didChangeConfiguration`: an editor may have merged settings of
    /// the opened folder into these, so they set nothing that decides where text goes.
    EditorChange,
    /// Flags of the command that was run.
    CommandLine,
}

/// Who may set a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user of this machine alone: endpoints, keys, commands.
    Machine,
    /// Also a workspace's settings.
    Workspace,
}

/// Something in a layer that was not taken, in a sentence that names the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    #[error("unknown setting '{key}'{}", .near.map(|near| format!(" (did you mean '{near}'?)")).unwrap_or_default())]
    Unknown { key: String, near: Option<&'static str> },
    #[error("setting '{key}' is {found}, expected {expected}; using {kept}")]
    Invalid { key: &'static str, found: String, expected: String, kept: String },
    #[error(
        "setting '{key}' decides where code is sent, so it is taken from the user's file, the \
         editor's start options or the command line only, not from a workspace"
    )]
    NotFromWorkspace { key: &'static str },
    #[error("cannot read {}: {detail}", .path.display())]
    File { path: PathBuf, detail: String },
    #[error("'{text}' is not KEY=VALUE")]
    Assignment { text: String },
}

/// The trees of all layers, kept so that one of them can change.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    trees: std::collections::BTreeMap<Layer, Json>,
}

impl Layers {
    /// Replaces the tree of one layer.
    pub fn set(&mut self, layer: Layer, tree: Json) {
        self.trees.insert(layer, tree);
    }

    /// What the layers say together, and what of them was not taken.
    pub fn resolve(&self) -> (Settings, Vec<Complaint>) {
        let mut settings = Settings::default();
        let mut complaints = Vec::new();
        for (layer, tree) in &self.trees {
            table::apply(&mut settings, *layer, tree, &mut complaints);
        }
        (settings, complaints)
    }

    /// Reads the user's file, `hearth/config.toml` under the XDG configuration folder. No file is no complaint.
    pub fn read_user_file(&mut self) -> Option<Complaint> {
        let path = user_file()?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Complaint::File { path, detail: error.to_string() }),
        };
        match toml::from_str::<Json>(&text) {
            Ok(tree) => self.set(Layer::UserFile, tree),
            Err(error) => return Some(Complaint::File { path, detail: error.to_string() }),
        }
        None
    }

    /// Takes `KEY=VALUE` assignments from the command line. A value that is not TOML is a string.
    pub fn assign(&mut self, assignments: &[String]) -> Result<(), Complaint> {
        let mut tree = Json::Object(serde_json::Map::new());
        for text in assignments {
            let (key, value) =
                text.split_once('=').ok_or_else(|| Complaint::Assignment { text: text.clone() })?;
            let value = toml::from_str::<Json>(&format!("value = {value}"))
                .ok()
                .and_then(|mut table| table.get_mut("value").map(Json::take))
                .unwrap_or_else(|| Json::String(value.to_owned()));
            let mut place = &mut tree;
            for part in key.trim().split('.') {
                if !place.is_object() {
                    *place = Json::Object(serde_json::Map::new());
                }
                place = &mut place[part];
            }
            *place = value;
        }
        self.set(Layer::CommandLine, tree);
        Ok(())
    }
}

/// Where the user's file is, or would be. `None` where there is no home folder.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
pub fn user_file() -> Option<PathBuf> {
    let folder = match std::env::var("XDG_CONFIG_HOME") {
        Ok(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => std::env::home_dir()?.join(".config"),
    };
    Some(folder.join("hearth").join("config.toml"))
}

/// Cargo's folder: what `CARGO_HOME` names, or else `.cargo` in the home folder.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
pub fn cargo_home() -> Option<PathBuf> {
    match std::env::var("CARGO_HOME") {
        Ok(folder) if !folder.is_empty() => Some(PathBuf::from(folder)),
        _ => Some(std::env::home_dir()?.join(".cargo")),
    }
}

/// The user's own folder for what Hearth keeps, `hearth` under the XDG data folder: never inside a
/// repository. It need not exist. `None` where there is no home folder.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
pub fn data_folder() -> Option<PathBuf> {
    let folder = match std::env::var("XDG_DATA_HOME") {
        Ok(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => std::env::home_dir()?.join(".local").join("share"),
    };
    Some(folder.join("hearth"))
}

#[cfg(test)]
mod tests;
