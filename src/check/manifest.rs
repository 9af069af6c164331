//! What Cargo's manifests say of a file: its package, the workspace around it, and what its build
//! needs from elsewhere. Reads files alone; nothing is started for it.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use toml::{Table, Value};
use url::Url;

/// The packages around a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crates {
    pub(super) package: Package,
    /// Folders that a build reads: the workspace, then path dependencies outside of it.
    pub(super) roots: Vec<PathBuf>,
    /// Single files above them that it reads.
    pub(super) files: Vec<PathBuf>,
}

/// The package of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    /// The folder of the nearest manifest.
    pub(super) folder: PathBuf,
    name: String,
}

impl Package {
    fn around(file: &Path) -> Option<Self> {
        let folder = file.ancestors().skip(1).find(|up| up.join("Cargo.toml").is_file())?;
        // A workspace without a package of its own compiles nothing itself.
        let manifest = read(&folder.join("Cargo.toml"))?;
        let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
        Some(Self { folder: folder.to_path_buf(), name })
    }

    /// How Cargo is told to look at this package and no other. The folder alone would not do: in a
    /// workspace's own folder it looks at the default members.
    pub(super) fn specification(&self, copy: &Path) -> Option<String> {
        Some(format!("{}#{}", Url::from_file_path(copy).ok()?, self.name))
    }
}

/// Folders of manifests looked at below one root.
const DEEPEST: usize = 12;

impl Crates {
    /// The packages around `file`. Where the opened folder is a repository, all of it counts as the
    /// workspace: builds include files from beside their packages.
    pub(super) fn around(file: &Path, opened: &Path) -> Option<Self> {
        let package = Package::around(file)?;
        let workspace = workspace_of(&package.folder);
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
        Some(Self { package, roots, files })
    }
}

/// The toolchain that `rustup override set` names for a folder: nothing in the copy can say so, as the
/// copy is elsewhere. A toolchain file that is nearer than the override counts instead.
pub(super) fn toolchain_override(folder: &Path, rustup_home: &Path) -> Option<String> {
    let settings = read(&rustup_home.join("settings.toml"))?;
    let overrides = settings.get("overrides")?.as_table()?;
    for up in folder.ancestors() {
        if let Some(named) = overrides.get(up.to_str()?) {
            return named.as_str().map(str::to_owned);
        }
        if ["rust-toolchain.toml", "rust-toolchain"].iter().any(|name| up.join(name).is_file()) {
            return None;
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(folder.path()).expect("a path");
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        (folder, root)
    }

    #[test]
    fn what_a_build_reads() {
        let (_held, root) = folder(&[
            (".cargo/config.toml", ""),
            ("rust-toolchain.toml", ""),
            (
                "ws/Cargo.toml",
                "[workspace]\nmembers = [\"a\"]\n[workspace.dependencies]\nfar = { path = \"../far/b\" }\n",
            ),
            (
                "ws/a/Cargo.toml",
                "[package]\nname = \"a\"\n[target.'cfg(unix)'.dev-dependencies]\nc = { path = \"../../c/.\" }\n",
            ),
            ("far/Cargo.toml", "[workspace]\n"),
            ("far/b/Cargo.toml", "[package]\nname = \"far\"\n"),
            ("c/Cargo.toml", "[package]\nname = \"c\"\n"),
            ("other/Cargo.toml", "[package]\nname = \"other\"\n"),
        ]);
        let crates = Crates::around(&root.join("ws/a/src/lib.rs"), &root.join("ws")).expect("one");
        assert_eq!(crates.package.folder, root.join("ws/a"));
        assert_eq!(crates.roots, ["ws", "far", "c"].map(|name| root.join(name)));
        let own: Vec<_> = crates.files.iter().filter(|file| file.starts_with(&root)).collect();
        let named = [".cargo/config.toml", "rust-toolchain.toml"].map(|name| root.join(name));
        assert_eq!(own, named.iter().collect::<Vec<_>>());
        // No package, no build.
        assert_eq!(Crates::around(&root.join("ws/x.rs"), &root.join("ws")), None);
    }

    #[test]
    fn the_nearer_word_on_toolchains_counts() {
        let (_held, root) = folder(&[("a/b/rust-toolchain", "1.2"), ("c/Cargo.toml", "")]);
        let named =
            |path: &str| format!("{:?} = \"nightly\"\n", root.join(path).display().to_string());
        let settings = format!("[overrides]\n{}{}", named("a"), named("c"));
        fs::write(root.join("settings.toml"), settings).expect("a file");
        let found = |path: &str| toolchain_override(&root.join(path), &root);
        assert_eq!(found("a").as_deref(), Some("nightly"));
        assert_eq!(found("a/b"), None);
        assert_eq!(found("c/d").as_deref(), Some("nightly"));
        assert_eq!(found("d"), None);
    }
}
