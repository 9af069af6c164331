//! Settings: one table, from which the parser, the JSON Schema and the reference follow.
//!
//! Later layers win: defaults < the user's file < the editor < the command line. Nothing that a
//! repository contains may set an endpoint, a key or a command, so those are never taken from what
//! an editor may have read in a workspace ([`Layer::EditorChange`]). A bad value never stops the
//! server: it is named, and the value of the layer below stands.

mod clouds;
pub(crate) mod private_file;
mod reference;
mod table;
mod value;

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

pub use clouds::{Cloud, CloudKind, Clouds, Dollars, KeyReference, KeySource};
pub use reference::{json_schema, reference, vscode_properties};
pub use table::{CloudSettings, Settings};
pub use value::{
    Auto, Bounded, Fraction, KeepAlive, NamedPrompt, PrivateHost, ProviderSetting, RunTests,
};

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
    /// What the user switched while the editor runs, for as long as it does.
    Switched,
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
    Invalid { key: String, found: String, expected: String, kept: String },
    #[error(
        "setting '{key}' decides where code is sent or what runs, so it is taken from the user's \
         file, the editor's start options or the command line only, not from a workspace"
    )]
    NotFromWorkspace { key: String },
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
            // Its message alone: the whole error quotes the line, and that may hold a key.
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start));
                let line = before.map_or(1, |before| before.matches('\n').count() + 1);
                let detail = format!("line {line}: {}", error.message());
                return Some(Complaint::File { path, detail });
            }
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
pub fn user_file() -> Option<PathBuf> {
    Some(folder("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
}

/// Where decisions and the audit log are kept, outside of any repository: `hearth` under the XDG
/// state folder. `None` where there is no home folder.
pub fn state_folder() -> Option<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state")
}

/// The key that the model servers of the private network want, where the environment has one. Must not be
/// logged.
pub fn private_network_key() -> Option<String> {
    let variable = Some("HEARTH_PRIVATE_KEY".to_owned());
    KeySource { variable, ..KeySource::default() }.in_environment()
}

/// The folder `hearth` in the one that `variable` names, or else in `usual` in the home folder. A
/// relative path is none (XDG says so): it would lead into whatever folder Hearth was started in.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
fn folder(variable: &str, usual: &str) -> Option<PathBuf> {
    let named = std::env::var(variable).ok().map(PathBuf::from);
    let named = named.filter(|folder| folder.is_absolute());
    Some(named.or_else(|| Some(std::env::home_dir()?.join(usual)))?.join("hearth"))
}

/// Where Hearth keeps what can be made again: `hearth` under the XDG cache folder. `None` where there
/// is no home folder.
pub fn cache_folder() -> Option<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
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
pub fn data_folder() -> Option<PathBuf> {
    folder("XDG_DATA_HOME", ".local/share")
}

/// [`cache_folder`], or without a home folder one below the system's temporary folder.
pub fn cache_or_temporary_folder() -> PathBuf {
    cache_folder().unwrap_or_else(|| std::env::temp_dir().join("hearth"))
}

/// What build tools need of the environment: where programs and toolchains are. Nothing else of it,
/// and so no token or key, is handed to what a check runs.
#[derive(Debug, Clone, Default)]
pub struct Toolchains {
    /// The user's home folder, which is not handed on.
    pub home: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// Variables that are handed on as they are.
    pub variables: Vec<(&'static str, std::ffi::OsString)>,
    /// Folders below the home folder that hold toolchains and downloaded packages, and the variables
    /// that name them.
    pub folders: Vec<(&'static str, PathBuf)>,
}

impl Toolchains {
    /// As this process's environment has them.
    pub fn of_environment() -> Self {
        let home = std::env::home_dir();
        let variable = |name: &'static str| std::env::var_os(name).filter(|text| !text.is_empty());
        let path: Vec<PathBuf> = variable("PATH")
            .map(|path| std::env::split_paths(&path).filter(|path| path.is_absolute()).collect())
            .unwrap_or_default();
        // Toolchains, compilers and libraries; no variable here can hold a secret.
        let handed_on = [
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "GOROOT",
            "SDKROOT",
            "DEVELOPER_DIR",
            "SystemRoot",
            "CC",
            "CXX",
            "AR",
            "CFLAGS",
            "CXXFLAGS",
            "LDFLAGS",
            "LIBRARY_PATH",
            "LD_LIBRARY_PATH",
            "PKG_CONFIG_PATH",
            "LIBCLANG_PATH",
            "OPENSSL_DIR",
            "PROTOC",
        ];
        let folders = [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"), ("GOPATH", "go")];
        let folder = |(name, usual): (&'static str, &str)| {
            let set = variable(name).map(PathBuf::from);
            set.or_else(|| Some(home.as_ref()?.join(usual)))
                .filter(|folder| folder.is_absolute() && folder.is_dir())
                .map(|folder| (name, folder))
        };
        Self {
            path,
            variables: handed_on
                .into_iter()
                .filter_map(|name| Some((name, variable(name)?)))
                .collect(),
            folders: folders.into_iter().filter_map(folder).collect(),
            home,
        }
    }

    /// The folder that a variable names.
    pub fn folder(&self, name: &str) -> Option<&Path> {
        let named = self.folders.iter().find(|(variable, _)| *variable == name);
        named.map(|(_, folder)| folder.as_path())
    }

    /// Where a program is, by its name.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
        self.path.iter().map(|folder| folder.join(&name)).find(|path| path.is_file())
    }
}

#[cfg(test)]
mod tests;
