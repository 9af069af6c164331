//! The index's work on what is outside of the workspace: which packages its code names, and the public
//! signatures of their sources.
//!
//! What is off limits is so here as well; ignore files do not count, for they speak of the folders they are in.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use super::{
    Contents, File, Origin,
    contents::About,
    dependencies::{Dependencies, Found, Package},
    extract::Draft,
    modules,
    queue::Job,
    reach::Reach,
    source,
    work::{Shared, fingerprint, slashed},
};
use crate::syntax::Language;

/// What is outside of the workspace.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Cargo's folder; `None` where dependencies do not count.
    pub(super) cargo_home: Option<PathBuf>,
    found: Found,
    /// By the folder of a package: the first names of the paths in its `pub use`.
    handed_on: HashMap<Arc<Path>, BTreeSet<String>>,
}

impl Outside {
    /// Dependencies count from now on where there is a `cargo_home`. Those whose sources are to be
    /// looked at again, for other files of theirs may be read.
    pub(super) fn renew(&mut self, cargo_home: Option<PathBuf>) -> Vec<Job> {
        self.cargo_home = cargo_home;
        if self.cargo_home.is_none() {
            self.found = Found::default();
            self.handed_on.clear();
        }
        self.found.packages.iter().map(|package| Job::Package(Arc::new(package.clone()))).collect()
    }

    /// Of `contents` the files of dependencies that may not be read.
    pub(super) fn not_within(&self, reach: &Reach, contents: &Contents) -> Vec<Arc<Path>> {
        let packages: HashMap<&Path, &Package> =
            self.found.packages.iter().map(|package| (&*package.folder, package)).collect();
        let may_be_read = |file: &File| {
            let package = file.path().ancestors().find_map(|folder| packages.get(folder));
            package.is_some_and(|package| reach.takes_of(package, file.path()))
        };
        let files = contents.files().map(|(_, file)| file);
        files
            .filter(|file| *file.origin() != Origin::Workspace && !may_be_read(file))
            .map(|file| Arc::clone(file.path()))
            .collect()
    }

    /// Whether the workspace's code has come to know a dependency that it did not name before.
    pub(super) fn is_more_used(&self, contents: &Contents) -> bool {
        self.found.unused.iter().any(|name| is_used(contents, name))
    }
}

impl Shared {
    pub(super) fn do_dependencies(&self) {
        let manifests = self.lock().manifests.clone();
        let (cargo_home, handed_on) = {
            let outside = self.outside();
            (outside.cargo_home.clone(), outside.handed_on.clone())
        };
        let wanted = cargo_home
            .map(|home| {
                let dependencies = Dependencies::read(&manifests, &home);
                dependencies.find(&handed_on, |name| is_used(&self.read(), name))
            })
            .unwrap_or_default();
        let before = {
            let outside = &mut *self.outside();
            let is_wanted =
                |folder: &Arc<Path>| wanted.packages.iter().any(|new| new.folder == *folder);
            outside.handed_on.retain(|folder, _| is_wanted(folder));
            std::mem::replace(&mut outside.found, wanted.clone()).packages
        };
        let wanted = wanted.packages;
        if !before.is_subset(&wanted) {
            self.forget_outside(&self.reach());
        }
        let new = wanted.difference(&before).cloned().map(|package| Job::Package(package.into()));
        let mut queue = self.lock();
        queue.due.extend(new);
        self.tell(&queue);
    }

    /// Nothing of what is outside stays that may not be read.
    pub(super) fn forget_outside(&self, reach: &Reach) {
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        for path in self.outside().not_within(reach, &contents) {
            contents.remove(&path);
        }
    }

    pub(super) fn list(&self, package: &Arc<Package>) {
        let sources = package.sources();
        let jobs = sources.into_iter().map(|path| Job::Public(path.into(), Arc::clone(package)));
        let mut queue = self.lock();
        queue.due.extend(jobs);
        self.tell(&queue);
    }

    /// Takes the public signatures of a dependency's source in.
    pub(super) fn read_public(&self, path: &Arc<Path>, package: &Package) {
        let Some(language) = Language::by_path(path) else { return };
        let reach = self.reach();
        // A dependency may be open as a workspace, too.
        if reach.root_of(path).is_some() || !reach.takes_of(package, path) {
            return;
        }
        let Ok(text) = source::read(path).0 else { return };
        let Some(tree) = language.parse_text(&text, &self.stop) else { return };
        let draft = Draft::of_signatures(&text, &tree, language);
        let handed_on = draft.first_names();
        let below = package.below(path);
        let about = About {
            path: Arc::clone(path),
            relative_path: format!("{}/{}", package.name, slashed(below)),
            module: modules::of_rust(Some(&package.name), below),
            origin: Origin::Dependency(Arc::clone(&package.name)),
            language: Some(language),
            fingerprint: fingerprint(&text),
        };
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        let outside = &mut *self.outside();
        // Where what may be read has changed on the way, all packages are listed again.
        if !outside.found.packages.contains(package) || !Arc::ptr_eq(&reach, &self.reach()) {
            return;
        }
        contents.put(about, draft);
        drop(contents);
        let known = outside.handed_on.entry(Arc::clone(&package.folder)).or_default();
        let count = known.len();
        known.extend(handed_on);
        if known.len() > count {
            let mut queue = self.lock();
            queue.due.insert(Job::Dependencies);
        }
    }
}

/// Whether the workspace's code knows a name.
fn is_used(contents: &Contents, name: &str) -> bool {
    contents.symbol(name).is_some_and(|name| contents.file_frequency(name) > 0)
}
