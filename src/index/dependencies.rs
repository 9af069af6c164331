//! Which packages of Cargo's registry the workspace names: of those its manifests depend on the ones
//! whose names its code knows, and what these hand on with a `pub use`, as facades do.
//!
//! Reads manifests and lock files alone and never runs Cargo: a repository can have it run programs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::{Table, Value};

/// Packages with more sources than this, in bytes, were written by a program.
const MAX_PACKAGE_BYTES: u64 = 8 << 20;

/// The tables of a manifest that name what code may use.
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A package in the registry's folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Package {
    /// As code writes it.
    pub(super) name: Arc<str>,
    pub(super) folder: Arc<Path>,
}

/// What came out of a look at the workspace's dependencies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    pub(super) packages: BTreeSet<Package>,
    /// Names of direct dependencies that no code knows.
    pub(super) unused: BTreeSet<Arc<str>>,
}

/// A name and a version in a lock file.
type Id = (String, String);

/// A package in a lock file.
#[derive(Debug, Default)]
struct Locked {
    in_registry: bool,
    dependencies: Vec<Id>,
}

/// The packages that the workspace's lock files name.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    locked: HashMap<Id, Locked>,
    /// With the names that manifests give them, where these are others.
    direct: BTreeMap<Id, Option<String>>,
    /// Where a registry's packages lie, each in a folder `NAME-VERSION`.
    registries: Vec<PathBuf>,
}

impl Dependencies {
    /// As `manifests` say, with the lock files beside or above them. `cargo_home` is Cargo's folder.
    pub(super) fn read(manifests: &BTreeSet<PathBuf>, cargo_home: &Path) -> Self {
        let sources = fs::read_dir(cargo_home.join("registry").join("src"));
        let registries = sources.into_iter().flatten().flatten().map(|entry| entry.path());
        let mut this = Self { registries: registries.collect(), ..Self::default() };
        let tables: Vec<_> =
            manifests.iter().filter_map(|path| Some((path, table(path)?))).collect();
        // What members inherit, by the name that they inherit it by.
        let inherited: HashMap<String, String> = tables
            .iter()
            .filter_map(|(_, manifest)| manifest.get("workspace")?.get("dependencies")?.as_table())
            .flat_map(|table| table.iter().map(|(name, value)| (name.clone(), real(name, value))))
            .collect();
        let mut locks: HashMap<PathBuf, HashMap<String, Vec<Id>>> = HashMap::new();
        for (path, manifest) in &tables {
            let Some(lock) = path
                .ancestors()
                .skip(1)
                .map(|folder| folder.join("Cargo.lock"))
                .find(|lock| lock.is_file())
            else {
                continue;
            };
            let members = locks.entry(lock).or_insert_with_key(|lock| this.take_lock(lock));
            let own = manifest.get("package").and_then(|package| package.get("name")?.as_str());
            let Some(locked) = own.and_then(|own| members.get(own)) else { continue };
            for (name, value) in named(manifest) {
                let inherits = value.get("workspace").is_some();
                let real = match inherited.get(name) {
                    Some(real) if inherits => real.clone(),
                    _ => real(name, value),
                };
                if let Some(id) = locked.iter().find(|id| id.0 == real) {
                    let renamed = (*name != real).then(|| name.replace('-', "_"));
                    this.direct.insert(id.clone(), renamed);
                }
            }
        }
        this
    }

    /// Takes a lock file in. What its packages that stand in no registry depend on, by name.
    fn take_lock(&mut self, lock: &Path) -> HashMap<String, Vec<Id>> {
        let Some(table) = table(lock) else { return HashMap::new() };
        let packages =
            table.get("package").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let text = |package: &Value, key| Some(package.get(key)?.as_str()?.to_owned());
        let id = |package: &Value| Some((text(package, "name")?, text(package, "version")?));
        let mut versions: HashMap<String, Vec<String>> = HashMap::new();
        for (name, version) in packages.iter().filter_map(id) {
            versions.entry(name).or_default().push(version);
        }
        // `name`, or `name version` where there are several.
        let resolve = |written: &str| {
            let mut words = written.split(' ');
            let name = words.next()?;
            let version = match words.next() {
                Some(version) => version.to_owned(),
                None => versions.get(name)?.first()?.clone(),
            };
            Some((name.to_owned(), version))
        };
        let mut members = HashMap::new();
        for package in packages {
            let Some(id) = id(package) else { continue };
            let dependencies = package.get("dependencies").and_then(Value::as_array);
            let dependencies: Vec<Id> = dependencies
                .into_iter()
                .flatten()
                .filter_map(|written| resolve(written.as_str()?))
                .collect();
            let source = text(package, "source");
            if source.is_none() {
                members.insert(id.0.clone(), dependencies.clone());
            }
            let in_registry = source.is_some_and(|source| {
                source.starts_with("registry+") || source.starts_with("sparse+")
            });
            self.locked.insert(id, Locked { in_registry, dependencies });
        }
        members
    }

    /// The packages that count when each hands on what `handed_on` says of its folder, by the first
    /// names of the paths in its `pub use`; `is_used`: whether the workspace's code knows a name.
    pub(super) fn find(
        &self,
        handed_on: &HashMap<Arc<Path>, BTreeSet<String>>,
        is_used: impl Fn(&str) -> bool,
    ) -> Found {
        let mut found = Found::default();
        let mut seen = BTreeSet::new();
        let direct = self.direct.iter();
        let mut due: Vec<_> = direct.map(|(id, name)| (id, name.as_deref(), true)).collect();
        while let Some((id, name, is_direct)) = due.pop() {
            if !seen.insert(id) {
                continue;
            }
            let Some(locked) = self.locked.get(id).filter(|locked| locked.in_registry) else {
                continue;
            };
            let Some(package) = self.package(id, name) else { continue };
            if is_direct && !is_used(&package.name) {
                found.unused.insert(package.name);
                // Another package may hand it on.
                seen.remove(id);
                continue;
            }
            if let Some(names) = handed_on.get(&package.folder) {
                let handed_on = |id: &&Id| names.contains(&id.0.replace('-', "_"));
                let handed_on = locked.dependencies.iter().filter(handed_on);
                due.extend(handed_on.map(|id| (id, None, false)));
            }
            found.packages.insert(package);
        }
        found
    }

    /// `renamed`: what its manifest calls it, where that is another name.
    fn package(&self, (package, version): &Id, renamed: Option<&str>) -> Option<Package> {
        let folder = format!("{package}-{version}");
        // A lock file may say anything, and a path would lead out of the registry.
        let is_of_a_name =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        if !folder.chars().all(is_of_a_name) {
            return None;
        }
        let folder =
            self.registries.iter().map(|all| all.join(&folder)).find(|path| path.is_dir())?;
        let manifest = table(&folder.join("Cargo.toml"))?;
        let library = manifest.get("lib");
        let text = |key| library.and_then(|library| library.get(key));
        // Its functions are for the compiler.
        if text("proc-macro").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        let own = text("name").and_then(Value::as_str).unwrap_or(package).replace('-', "_");
        let name = renamed.map_or_else(|| own.into(), Arc::from);
        Some(Package { name, folder: folder.into() })
    }
}

impl Package {
    /// `path` from the package's folder on.
    pub(super) fn below<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.folder).unwrap_or(path)
    }

    /// What the file at `path` may be called: as it lies in the registry, and as it is shown.
    pub(super) fn names_of(&self, path: &Path) -> [PathBuf; 2] {
        let folder = self.folder.file_name().unwrap_or_default();
        [Path::new(folder), Path::new(&*self.name)].map(|package| package.join(self.below(path)))
    }

    /// The sources of its library.
    pub(super) fn sources(&self) -> Vec<PathBuf> {
        let entries = ignore::WalkBuilder::new(self.folder.join("src"))
            .standard_filters(false)
            .follow_links(false)
            .build()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"));
        let (mut sources, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            sources.push(entry.into_path());
        }
        if bytes > MAX_PACKAGE_BYTES {
            tracing::info!(
                package = &*self.name,
                bytes,
                "a dependency that is left out: too large"
            );
            sources.clear();
        }
        sources
    }
}

fn table(path: &Path) -> Option<Table> {
    fs::read_to_string(path).ok()?.parse().ok()
}

/// What a manifest depends on, by the names it gives them.
fn named(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let of_targets = targets.into_iter().flatten().filter_map(|(_, target)| target.as_table());
    std::iter::once(manifest)
        .chain(of_targets)
        .flat_map(|table| TABLES.iter().filter_map(|name| table.get(*name)?.as_table()))
        .flatten()
}

/// The package's own name.
fn real(name: &str, value: &Value) -> String {
    value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Packages in a registry that the manifests of a workspace lead to.
    fn check(files: &[(&str, &str)], handed_on: &[(&str, &[&str])], expected: Expect) {
        let folder = tempfile::tempdir().unwrap();
        let registry = folder.path().join("home/registry/src/index");
        for (name, text) in files {
            let path = folder.path().join("work").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for (name, manifest) in [
            ("plain-1.0.0", ""),
            ("plain-2.0.0", ""),
            ("facade-1.0.0", ""),
            ("inner-core-1.0.0", "[lib]\nname = 'core_of_it'"),
            ("real-name-3.1.0", ""),
            ("derive-1.0.0", "[lib]\nproc-macro = true"),
            ("hidden-1.0.0", ""),
            ("never-used-1.0.0", ""),
            ("../../../elsewhere-1.0.0", ""),
        ] {
            fs::create_dir_all(registry.join(name)).unwrap();
            fs::write(registry.join(name).join("Cargo.toml"), manifest).unwrap();
        }
        let manifests = files.iter().filter(|(name, _)| name.ends_with("Cargo.toml"));
        let manifests = manifests.map(|(name, _)| folder.path().join("work").join(name)).collect();
        let handed_on = handed_on.iter().map(|(name, names)| {
            let names = names.iter().map(|name| (*name).to_owned());
            (Arc::from(registry.join(name)), names.collect())
        });
        let found = Dependencies::read(&manifests, &folder.path().join("home"))
            .find(&handed_on.collect(), |name| name != "never_used");
        let show = |package: &Package| {
            let folder = package.folder.file_name().unwrap().to_string_lossy();
            format!("{} in {folder}\n", package.name)
        };
        let unused = found.unused.iter().map(|name| format!("{name} is not used\n"));
        let lines = found.packages.iter().map(show).chain(unused);
        expected.assert_eq(&lines.collect::<String>());
    }

    const LOCK: &str = r#"
        [[package]]
        name = "app"
        version = "0.1.0"
        dependencies = ["derive", "facade", "plain 2.0.0", "real-name", "gone", "member", "never-used", "../../../elsewhere"]

        [[package]]
        name = "member"
        version = "0.1.0"
        dependencies = ["plain 1.0.0", "real-name"]

        [[package]]
        name = "plain"
        version = "1.0.0"
        source = "registry+https://example.com/index"

        [[package]]
        name = "plain"
        version = "2.0.0"
        source = "registry+https://example.com/index"

        [[package]]
        name = "facade"
        version = "1.0.0"
        source = "registry+https://example.com/index"
        dependencies = ["hidden", "inner-core"]

        [[package]]
        name = "inner-core"
        version = "1.0.0"
        source = "registry+https://example.com/index"

        [[package]]
        name = "hidden"
        version = "1.0.0"
        source = "git+https://example.com/hidden"

        [[package]]
        name = "real-name"
        version = "3.1.0"
        source = "registry+https://example.com/index"

        [[package]]
        name = "never-used"
        version = "1.0.0"
        source = "registry+https://example.com/index"

        [[package]]
        name = "gone"
        version = "1.0.0"
        source = "registry+https://example.com/index"

        [[package]]
        name = "derive"
        version = "1.0.0"
        source = "registry+https://example.com/index"

        [[package]]
        name = "../../../elsewhere"
        version = "1.0.0"
        source = "registry+https://example.com/index"
    "#;

    const APP: &str = r#"
        package.name = "app"
        workspace.dependencies.short = { package = "real-name", version = "3" }
        dependencies.facade = "1"
        dependencies.gone = "1"
        dependencies.never-used = "1"
        dependencies.member.path = "member"
        dependencies."../../../elsewhere" = "1"
        target."cfg(unix)".dependencies.plain = "2"
        dev-dependencies.derive = "1"
    "#;

    #[test]
    fn what_manifests_name() {
        check(
            &[("Cargo.toml", APP), ("Cargo.lock", LOCK)],
            &[],
            expect![[r#"
                facade in facade-1.0.0
                plain in plain-2.0.0
                never_used is not used
            "#]],
        );
    }

    #[test]
    fn a_member_has_versions_and_names_of_its_own() {
        let member = r#"
            package.name = "member"
            dependencies.plain = "1"
            dependencies.short.workspace = true
        "#;
        check(
            &[("Cargo.toml", APP), ("Cargo.lock", LOCK), ("member/Cargo.toml", member)],
            &[],
            expect![[r#"
                facade in facade-1.0.0
                plain in plain-1.0.0
                plain in plain-2.0.0
                short in real-name-3.1.0
                never_used is not used
            "#]],
        );
    }

    #[test]
    fn a_facade_hands_on() {
        check(
            &[("Cargo.toml", APP), ("Cargo.lock", LOCK)],
            &[("facade-1.0.0", &["inner_core", "hidden", "std"])],
            expect![[r#"
                core_of_it in inner-core-1.0.0
                facade in facade-1.0.0
                plain in plain-2.0.0
                never_used is not used
            "#]],
        );
    }

    #[test]
    fn without_a_lock_file_nothing_is_known() {
        check(&[("Cargo.toml", APP)], &[], expect![[""]]);
        check(&[("Cargo.toml", "not a manifest"), ("Cargo.lock", "[[")], &[], expect![[""]]);
    }
}
