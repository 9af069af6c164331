//! The index's own threads: they take what is to be done out of the [`Queue`] and bring what is known to
//! how things are.
//!
//! Work on one path is never done twice at once, and what is due is a path, not a text: whoever
//! takes it up looks at how things are then. So the last state of a file is the one that stays,
//! whatever order events come in.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::BuildHasher as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustc_hash::FxBuildHasher;
use tokio::sync::watch;

use super::{
    Contents, File, Origin, Progress, Skip,
    contents::About,
    extract::Draft,
    give_back,
    modules::Packages,
    outside::Outside,
    queue::{Buffer, Job, Queue},
    reach::{self, Reach},
    rules::Rules,
    source::{self, MAX_FILES, Stamp},
    watch::Watch,
};
use crate::syntax::Language;

/// For how long nothing is to be done before free memory is given back. To take it again costs a file
/// that changes on disk a quarter of what its parse does.
const IDLE: Duration = Duration::from_secs(1);

/// What the threads and the handle share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) contents: RwLock<Contents>,
    queue: Mutex<Queue>,
    wake: Condvar,
    reach: RwLock<Arc<Reach>>,
    packages: Packages,
    /// Taken after `contents` where both are.
    outside: Mutex<Outside>,
    watch: Mutex<Option<Watch>>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) stop: AtomicBool,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            contents: RwLock::default(),
            queue: Mutex::default(),
            wake: Condvar::new(),
            reach: RwLock::new(Arc::new(Reach::default())),
            packages: Packages::default(),
            outside: Mutex::default(),
            watch: Mutex::default(),
            progress: watch::Sender::default(),
            stop: AtomicBool::new(false),
        }
    }

    /// What may be read is different from now on, and dependencies count or not.
    pub(super) fn set_reach(&self, reach: Reach, cargo_home: Option<PathBuf>) {
        let packages = self.outside().renew(cargo_home);
        self.replace_reach(reach);
        let mut queue = self.lock();
        // Relative paths and modules follow from the roots.
        queue.known.clear();
        queue.due.extend(packages);
        drop(queue);
        self.scan();
    }

    /// Nothing that is excluded stays for even as long as a scan takes.
    fn replace_reach(&self, reach: Reach) {
        let reach = Arc::new(reach);
        *self.reach.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&reach);
        let known: Vec<_> = {
            let contents = self.read();
            let files = contents.files().filter(|(_, file)| *file.origin() == Origin::Workspace);
            files.map(|(_, file)| Arc::clone(file.path())).collect()
        };
        for path in known.iter().filter(|path| !reach.allows(path)) {
            self.forget(path, None);
        }
        self.forget_outside(&reach);
    }

    /// Compares everything below the roots with what is known.
    pub(super) fn scan(&self) {
        let mut queue = self.lock();
        queue.allowed.clear();
        queue.due.insert(Job::Scan);
        let open: Vec<_> = queue.buffers.keys().cloned().map(Job::Edited).collect();
        queue.due.extend(open);
        self.tell(&queue);
    }

    pub(super) fn edited(&self, path: Arc<Path>, buffer: Buffer) {
        let mut queue = self.lock();
        queue.buffers.insert(Arc::clone(&path), buffer);
        queue.due.insert(Job::Edited(path));
        self.tell(&queue);
    }

    /// Somebody types: the last text counts once there is a rest. A document that was just opened
    /// counts at once.
    pub(super) fn typed(&self, path: Arc<Path>, buffer: Buffer) {
        let mut queue = self.lock();
        if queue.buffers.insert(Arc::clone(&path), buffer).is_none() {
            queue.due.insert(Job::Edited(path));
            self.tell(&queue);
            return;
        }
        let nobody_waits = queue.typed.is_empty();
        queue.put_off(path);
        if nobody_waits {
            self.tell(&queue);
            self.wake.notify_one();
        }
    }

    pub(super) fn closed(&self, path: &Arc<Path>) {
        let mut queue = self.lock();
        if queue.buffers.remove(path).is_some() {
            queue.allowed.remove(path);
            queue.typed.remove(path);
            queue.due.insert(Job::Changed(Arc::clone(path)));
            self.tell(&queue);
        }
    }

    /// Something has happened at these paths.
    pub(super) fn changed<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) {
        let mut queue = self.lock();
        for path in paths {
            if Rules::are_in(path) {
                queue.due.insert(Job::Sweep);
                continue;
            }
            match path.file_name().and_then(|name| name.to_str()) {
                Some("Cargo.toml") => {
                    self.packages.forget(path);
                    queue.due.insert(Job::Scan);
                }
                Some("Cargo.lock") => {
                    queue.due.insert(Job::Dependencies);
                }
                _ => {
                    queue.allowed.remove(path);
                    queue.due.insert(Job::Changed(path.into()));
                }
            }
        }
        self.tell(&queue);
    }

    /// From now on `watch` follows what may be read.
    pub(super) fn set_watch(&self, watch: Watch) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch);
        self.scan();
    }

    /// The text of `file` if it is still the one that was indexed.
    pub(super) fn text(&self, file: &File) -> Option<String> {
        let buffer = self.lock().buffers.get(file.path()).map(|buffer| buffer.text.clone());
        let text = match buffer {
            Some(text) => text.to_string(),
            None => source::read(file.path()).0.ok()?,
        };
        (fingerprint(&text) == file.fingerprint).then_some(text)
    }

    /// Whether `path` may be read.
    pub(super) fn includes(&self, path: &Path) -> bool {
        self.reach().includes(path)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // Whoever looks at the flag under the lock is either before it or waits for this.
        drop(self.lock());
        self.wake.notify_all();
    }

    /// What each thread does until the end.
    pub(super) fn run(&self) {
        while let Some(job) = self.next() {
            // What a file has in it must not end a thread: what is left of the workspace goes on.
            if catch_unwind(AssertUnwindSafe(|| self.work(&job))).is_err() {
                tracing::error!("a fault in the index: a file is left out of it");
                if let Some(path) = job.path() {
                    self.forget(path, Some(Skip::Fault));
                }
            }
            let mut queue = self.lock();
            queue.busy.retain(|busy| *busy != job);
            queue.worked = Some(Instant::now());
            self.tell(&queue);
        }
    }

    fn work(&self, job: &Job) {
        match job {
            Job::Sweep => {
                self.replace_reach(self.reach().with_new_rules());
                self.scan();
            }
            Job::Scan => self.do_scan(),
            Job::Changed(path) if !source::is_source(path) => self.folder_changed(path),
            Job::Edited(path) | Job::Changed(path) => self.refresh(path, false),
            Job::Found(path) => self.refresh(path, true),
            Job::Package(package) => self.list(package),
            Job::Public(path, package) => self.read_public(path, package),
            Job::Dependencies => self.do_dependencies(),
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let next_rest = queue.take_rested();
            let free =
                queue.due.iter().find(|due| !queue.busy.iter().any(|busy| busy.excludes(due)));
            if let Some(job) = free.cloned() {
                queue.due.remove(&job);
                queue.busy.push(job.clone());
                return Some(job);
            }
            let rests = queue.busy.is_empty() && queue.due.is_empty() && queue.typed.is_empty();
            let rested = queue.worked.filter(|_| rests);
            let to_rest = rested.map(|since| IDLE.saturating_sub(since.elapsed()));
            if to_rest == Some(Duration::ZERO) {
                queue.worked = None;
                drop(queue);
                give_back();
                queue = self.lock();
                continue;
            }
            queue = match next_rest.or(to_rest) {
                Some(left) => {
                    let waited = self.wake.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// What is no source by its name may be, or have been, a folder.
    fn folder_changed(&self, path: &Path) {
        if !self.reach().allows(path) {
            return;
        }
        let mut queue = self.lock();
        if path.is_dir() {
            queue.due.insert(Job::Scan);
        } else {
            let below = queue.known.keys().filter(|known| known.starts_with(path));
            let below: Vec<_> = below.cloned().map(Job::Changed).collect();
            queue.due.extend(below);
        }
        self.tell(&queue);
    }

    fn do_scan(&self) {
        let reach = self.reach();
        let watches = self.watch.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let mut folders = HashSet::new();
        let (mut manifests, mut too_many) = (BTreeSet::new(), 0);
        let mut seen: HashSet<Arc<Path>> = HashSet::new();
        for entry in reach.entries() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if watches && reach::is_folder(&entry) {
                folders.insert(entry.path().to_owned());
            }
            if reach::is_file(&entry) && entry.file_name() == "Cargo.toml" {
                manifests.insert(entry.path().to_owned());
            }
            if !reach::is_file(&entry) || !source::is_source(entry.path()) {
                continue;
            }
            if seen.len() >= MAX_FILES {
                too_many += 1;
                continue;
            }
            let path: Arc<Path> = entry.path().into();
            let stamp = entry.metadata().ok().map(|metadata| Stamp::of(&metadata));
            let mut queue = self.lock();
            let is_new = seen.insert(Arc::clone(&path));
            let is_known = stamp.is_some() && queue.known.get(&path) == stamp.as_ref();
            if is_new && !is_known {
                queue.found += 1;
                queue.due.insert(Job::Found(path));
                self.tell(&queue);
            }
        }
        let watch = &mut *self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let again = watch.as_mut().is_some_and(|watch| watch.set(folders));
        let mut queue = self.lock();
        if again {
            queue.due.insert(Job::Scan);
        }
        queue.manifests = manifests;
        queue.too_many = too_many;
        queue.due.insert(Job::Dependencies);
        let unseen: Vec<_> =
            queue.known.keys().filter(|path| !seen.contains(*path)).cloned().collect();
        queue.due.extend(unseen.into_iter().map(Job::Changed));
        self.tell(&queue);
    }

    /// Brings what is known of `path` to how things are.
    fn refresh(&self, path: &Arc<Path>, may_be_read: bool) {
        let reach = self.reach();
        let (buffer, allowed) = {
            let mut queue = self.lock();
            let allowed = queue.allowed.get(path).copied();
            let buffer = queue.buffers.get_mut(path).map(|buffer| {
                let tree = buffer.tree.take();
                Buffer { tree, ..buffer.clone() }
            });
            (buffer, allowed)
        };
        let may_be_read = match &buffer {
            Some(_) => allowed.unwrap_or_else(|| reach.includes_open(path)),
            None => may_be_read || reach.includes(path),
        };
        if buffer.is_some() {
            self.lock().allowed.insert(Arc::clone(path), may_be_read);
        }
        let Some(root) = reach.root_of(path).filter(|_| may_be_read) else {
            self.forget(path, None);
            return;
        };
        let (language, text, tree) = if let Some(buffer) = buffer {
            let text = buffer.text.to_string();
            if source::is_generated(&text) {
                self.forget(path, Some(Skip::Generated));
                return;
            }
            (buffer.language, text, buffer.tree)
        } else {
            let is_one_too_many = {
                let known = &self.lock().known;
                known.len() >= MAX_FILES && !known.contains_key(path)
            };
            if is_one_too_many {
                self.forget(path, None);
                return;
            }
            let (text, stamp) = source::read(path);
            {
                let mut queue = self.lock();
                match stamp {
                    Some(stamp) => queue.known.insert(Arc::clone(path), stamp),
                    None => queue.known.remove(path),
                };
            }
            match text {
                Ok(text) => (Language::by_path(path), text, None),
                Err(skip) => {
                    // A file that is gone is not one that was skipped.
                    self.forget(path, stamp.map(|_| skip));
                    return;
                }
            }
        };
        let tree = tree.or_else(|| language?.parse_text(&text, &self.stop));
        let draft = match (language, tree) {
            (Some(language), Some(tree)) => Draft::of_tree(&text, &tree, language),
            _ => Draft::of_lines(&text),
        };
        let about = About {
            path: Arc::clone(path),
            relative_path: slashed(path.strip_prefix(root).unwrap_or(path)),
            module: language
                .map(|language| self.packages.module(root, path, language))
                .unwrap_or_default(),
            origin: Origin::Workspace,
            language,
            fingerprint: fingerprint(&text),
        };
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&reach, &self.reach()) {
            contents.put(about, draft);
            let more_used = self.outside().is_more_used(&contents);
            drop(contents);
            let mut queue = self.lock();
            queue.skipped.remove(path);
            if more_used {
                queue.due.insert(Job::Dependencies);
            }
        } else {
            drop(contents);
            // What may be read has changed on the way.
            let mut queue = self.lock();
            queue.due.insert(Job::Changed(Arc::clone(path)));
            self.tell(&queue);
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, path: &Arc<Path>, skip: Option<Skip>) {
        {
            let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
            let of_workspace = |(_, file): (_, &File)| *file.origin() == Origin::Workspace;
            // A dependency's file that somebody looks at in the editor stays what it is.
            if contents.file_at(path).is_some_and(of_workspace) {
                contents.remove(path);
            }
        }
        let mut queue = self.lock();
        if let Some(skip) = skip {
            queue.skipped.insert(Arc::clone(path), skip);
        } else {
            queue.known.remove(path);
            queue.skipped.remove(path);
        }
    }

    pub(super) fn reach(&self) -> Arc<Reach> {
        Arc::clone(&self.reach.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes threads and tells how things stand.
    pub(super) fn tell(&self, queue: &Queue) {
        match queue.due.len() {
            0 => {}
            1 => self.wake.notify_one(),
            _ => self.wake.notify_all(),
        }
        let mut skipped = BTreeMap::new();
        if queue.due.is_empty() {
            for skip in queue.skipped.values() {
                *skipped.entry(*skip).or_insert(0) += 1;
            }
            if queue.too_many > 0 {
                skipped.insert(Skip::TooMany, queue.too_many);
            }
        }
        self.progress.send_if_modified(|progress| {
            let pending = queue.due.len() + queue.typed.len() + queue.busy.len();
            let now = Progress { found: queue.found, pending, skipped };
            let news = *progress != now;
            *progress = now;
            news
        });
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells texts apart within one process.
pub(super) fn fingerprint(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}

/// A relative path with `/`.
pub(super) fn slashed(below: &Path) -> String {
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
