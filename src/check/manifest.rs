//! What Cargo's manifests say of a file: its package, the workspace around it, and what its build
//! needs from elsewhere. Reads files alone; nothing is started for it.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use toml::{Table, Value};

/// The packages around a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crates {
    /// The folder of the nearest manifest.
    pub(super) package: PathBuf,
    /// Folders that a build reads: the workspace, then path dependencies outside of it.
    pub(super) roots: Vec<PathBuf>,
    /// Single files above them that it reads.
    pub(super) files: Vec<PathBuf>,
}

/// Folders of manifests looked at below one root.
const DEEPEST: usize = 12;

impl Crates {
    /// The packages around `file`. Where the opened folder is a repository, all of it counts as the
    /// workspace: builds include files from beside their packages.
    pub(super) fn around(file: &Path, opened: &Path) -> Option<Self> {
        let package = file.ancestors().skip(1).find(|up| up.join("Cargo.toml").is_file())?;
        let workspace = workspace_of(package);
        let repository = workspace.starts_with(opened) && opened.join(".git").exists();
        let mut roots = vec![if repository { opened.to_path_buf() } else { workspace }];
        let mut next = 0;
        while let Some(root) = roots.get(next).cloned() {
            let mut manifests = Vec::new();
            find_manifests(&root, DEEPEST, &mut manifests);
            for dependency in manifests.iter().flat_map(|manifest| path_dependencies(manifest)) {
                if !roots.iter().any(|root| dependency.starts_with(root)) {
                    roots.push(workspace_of(&dependency));
                }
            }
            next += 1;
        }
        let above = roots.iter().flat_map(|root| root.ancestors().skip(1));
        let mut files: Vec<PathBuf> = above
            .flat_map(|up| {
                [".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"]
                    .map(|name| up.join(name))
            })
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        files.dedup();
        Some(Self { package: package.to_path_buf(), roots, files })
    }
}

/// The edition of the package around `file`, as rustfmt takes it.
pub(super) fn edition(file: &Path) -> String {
    let package = file.ancestors().skip(1).find(|up| up.join("Cargo.toml").is_file());
    let edition = package.and_then(|folder| {
        let manifest = read(&folder.join("Cargo.toml"))?;
        let own = manifest.get("package")?.get("edition")?;
        if let Some(edition) = own.as_str() {
            return Some(edition.to_owned());
        }
        let workspace = read(&workspace_of(folder).join("Cargo.toml"))?;
        Some(workspace.get("workspace")?.get("package")?.get("edition")?.as_str()?.to_owned())
    });
    // What Cargo takes where a manifest says nothing; a file outside of packages is most likely new.
    edition.unwrap_or_else(|| if package.is_some() { "2015" } else { "2024" }.to_owned())
}

fn read(manifest: &Path) -> Option<Table> {
    fs::read_to_string(manifest).ok()?.parse().ok()
}

/// The folder of the workspace that a package belongs to; its own where there is none.
fn workspace_of(package: &Path) -> PathBuf {
    for folder in package.ancestors() {
        let Some(manifest) = read(&folder.join("Cargo.toml")) else { continue };
        let named = manifest.get("package").and_then(|table| table.get("workspace"));
        if let Some(named) = named.and_then(Value::as_str).filter(|_| folder == package) {
            return normal(&folder.join(named));
        }
        let Some(workspace) = manifest.get("workspace") else { continue };
        let excluded = workspace.get("exclude").and_then(Value::as_array).is_some_and(|paths| {
            paths
                .iter()
                .filter_map(Value::as_str)
                .any(|path| package.starts_with(folder.join(path)))
        });
        if !excluded {
            return folder.to_path_buf();
        }
    }
    package.to_path_buf()
}

fn find_manifests(folder: &Path, deep: usize, found: &mut Vec<PathBuf>) {
    let manifest = folder.join("Cargo.toml");
    if manifest.is_file() {
        found.push(manifest);
    }
    let Some(deeper) = deep.checked_sub(1) else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if folder && !hidden && !entry.path().join("CACHEDIR.TAG").exists() {
            find_manifests(&entry.path(), deeper, found);
        }
    }
}

/// The folders of packages that a manifest names by `path`, wherever in it.
fn path_dependencies(manifest: &Path) -> Vec<PathBuf> {
    let Some(folder) = manifest.parent() else { return Vec::new() };
    let mut paths = Vec::new();
    if let Some(table) = read(manifest) {
        collect_paths(&table, &mut paths);
    }
    paths
        .into_iter()
        .map(|path| normal(&folder.join(path)))
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect()
}

fn collect_paths(table: &Table, paths: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::String(path) if key == "path" => paths.push(path.clone()),
            Value::Table(table) => collect_paths(table, paths),
            _ => {}
        }
    }
}

/// The path without `.` and `..`, links not resolved: the copy has none.
pub(super) fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            other => path.push(other),
        }
        path
    })
}
