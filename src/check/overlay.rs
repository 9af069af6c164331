//! A copy of a workspace in which changed files are compiled and run, kept in step between checks.
//!
//! The user's tree is only ever read. Files are copies, never links: what a test writes through a
//! link would land in the user's file. For the same reason nothing is written without looking: what
//! ran in the copy may have put links there. Where the user has a link the copy has what it leads to,
//! and a file that can be reached on two ways is there twice, with the same text.
//!
//! Cargo recompiles what is newer than its last build. So a file that changes gets the present time
//! however old its source is, and one that does not change keeps its own.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// Days that build artefacts stay without being used.
const KEPT_DAYS: u64 = 14;

/// Where things are in a copy.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// `lock`, `stamps.json`, and `work`, which is all that commands may write to.
    slot: PathBuf,
}

/// A copy of a workspace, this process's alone while this lives.
#[derive(Debug)]
pub(super) struct Overlay {
    layout: Layout,
    /// Holds the lock.
    _lock: File,
    stamps: HashMap<PathBuf, Stamp>,
    /// From an earlier session; its artefacts are there, its files are not.
    before: HashMap<PathBuf, Stamp>,
    /// Whether there are no artefacts of an earlier session.
    cold: bool,
    /// Files that links lead to, and the paths on which they do.
    aliases: HashMap<PathBuf, Vec<PathBuf>>,
}

/// What a file of the copy was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    source: Source,
    /// Its time in the copy, and its length.
    written: SystemTime,
    length: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    /// The file on disk, of this time and length.
    Disk(SystemTime, u64),
    /// A text, by its hash.
    Text(u64),
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum OverlayError {
    #[error("the workspace is larger than a check may copy")]
    TooLarge,
    #[error("cannot copy the workspace: {0}")]
    Io(#[from] io::Error),
}

impl Layout {
    /// The folder that commands may write to.
    pub(super) fn work(&self) -> PathBuf {
        self.slot.join("work")
    }

    pub(super) fn target(&self) -> PathBuf {
        self.work().join("target")
    }

    /// Where a file or folder of the user's is in the copy. The copy mirrors whole paths, so that
    /// `../` leads where it leads there.
    pub(super) fn mirrored(&self, path: &Path) -> PathBuf {
        path.components().fold(self.tree(), |tree, component| match component {
            Component::Normal(name) => tree.join(name),
            Component::Prefix(prefix) => {
                tree.join(prefix.as_os_str().to_string_lossy().replace([':', '\\'], "_"))
            }
            _ => tree,
        })
    }

    /// What stands before a path of the user's in the copy.
    pub(super) fn tree(&self) -> PathBuf {
        self.work().join("tree")
    }
}

impl Overlay {
    /// A copy for `root`, with the artefacts of the last session if no other process has it.
    /// Artefacts of all workspaces beyond `kept` bytes are removed, the oldest first.
    pub(super) fn open(cache: &Path, root: &Path, kept: u64) -> io::Result<Self> {
        let folder = cache.join("check");
        // The cache itself may be a link of the user's making.
        private_folders().create(&folder)?;
        // As a command sees its own folder.
        let folder = fs::canonicalize(folder)?;
        let mut hasher = DefaultHasher::new();
        root.hash(&mut hasher);
        let name = format!("{:016x}", hasher.finish());
        for n in 0.. {
            let slot = folder.join(format!("{name}-{n}"));
            let Some(lock) = lock(&slot)? else { continue };
            sweep(&folder, kept);
            let work = slot.join("work");
            let stamps = slot.join("stamps.json");
            let before = fs::read(&stamps).ok().and_then(|text| serde_json::from_slice(&text).ok());
            let _ = fs::remove_file(&stamps);
            if before.is_none() || size(&work) > kept {
                // A session that ended in the midst of something, or artefacts without end.
                remove(&work)?;
            }
            private_folder(&work)?;
            for inner in ["tree", "home", "tmp", "target"] {
                private_folder(&work.join(inner))?;
            }
            let cold = fs::read_dir(work.join("target"))?.next().is_none();
            return Ok(Self {
                layout: Layout { slot },
                _lock: lock,
                stamps: HashMap::new(),
                before: before.unwrap_or_default(),
                cold,
                aliases: HashMap::new(),
            });
        }
        Err(io::Error::other("no free slot"))
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout.clone()
    }

    /// Where in the copy a file of the user's is: once, or more often where links lead to it.
    pub(super) fn copies(&self, file: &Path) -> Vec<PathBuf> {
        let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
        let aliases = self.aliases.get(&real).into_iter().flatten();
        let all = [file, &real].into_iter().chain(aliases.map(PathBuf::as_path));
        all.map(|path| self.layout.mirrored(path)).collect()
    }

    /// Brings the copy in step with the disk below `roots`, and `files` beside them, with `texts` in
    /// place of what the disk has. Texts of files that lie elsewhere do not matter.
    pub(super) fn sync(
        &mut self,
        roots: &[PathBuf],
        files: &[PathBuf],
        texts: &BTreeMap<PathBuf, String>,
        most: u64,
    ) -> Result<(), OverlayError> {
        let mut sources = Vec::new();
        let mut left = most;
        for root in roots {
            list(root, &mut sources, &mut left, &mut Vec::new())?;
        }
        for file in files {
            sources.extend(Listed::of(file.clone(), file.clone()));
        }
        let real: HashMap<PathBuf, &String> = texts
            .iter()
            .filter_map(|(path, text)| Some((fs::canonicalize(path).ok()?, text)))
            .collect();
        let mut wanted = HashMap::new();
        self.aliases.clear();
        for listed in sources {
            let text = texts.get(&listed.path).or_else(|| real.get(&listed.real).copied());
            let stamp = match text {
                Some(text) => Some(self.written(&listed.path, text)?),
                None => self.copied(&listed)?,
            };
            if listed.real != listed.path {
                self.aliases.entry(listed.real).or_default().push(listed.path.clone());
            }
            wanted.extend(stamp.map(|stamp| (listed.path, stamp)));
        }
        for (path, text) in texts {
            let new = !wanted.contains_key(path) && roots.iter().any(|root| path.starts_with(root));
            if new {
                wanted.insert(path.clone(), self.written(path, text)?);
            }
        }
        self.stamps = wanted;
        let mirrored = self.stamps.keys().map(|path| self.layout.mirrored(path)).collect();
        prune(&self.layout.tree(), &mirrored)?;
        // What an earlier run left there is no part of this one.
        for scratch in ["home", "tmp"] {
            let scratch = self.layout.work().join(scratch);
            remove(&scratch)?;
            private_folder(&scratch)?;
        }
        Ok(())
    }

    /// A file of the copy as the disk has it. None of one that may not be read.
    fn copied(&self, listed: &Listed) -> io::Result<Option<Stamp>> {
        let to = self.layout.mirrored(&listed.path);
        let source = Source::Disk(listed.modified, listed.length);
        let last = self.stamps.get(&listed.path);
        if let Some(last) = last.filter(|last| last.stands(&to)) {
            if last.source == source {
                return Ok(Some(last.clone()));
            }
            if let Source::Text(hash) = last.source
                && last.length == listed.length
                && fs::read(&listed.path).is_ok_and(|bytes| hashed(&bytes) == hash)
            {
                // A buffer has been saved.
                return Ok(Some(Stamp { source, ..last.clone() }));
            }
        }
        let written = match self.before.get(&listed.path) {
            Some(before) if last.is_none() && before.source == source => before.written,
            _ if last.is_none() && self.cold => listed.modified,
            _ => SystemTime::now(),
        };
        let Some(mut from) = readable(File::open(&listed.path))? else { return Ok(None) };
        let mut file = self.create(&to)?;
        io::copy(&mut from, &mut file)?;
        file.set_permissions(own(from.metadata()?.permissions()))?;
        finish(file, source, written).map(Some)
    }

    /// A file of the copy as an editor has it.
    fn written(&self, path: &Path, text: &str) -> io::Result<Stamp> {
        let to = self.layout.mirrored(path);
        let source = Source::Text(hashed(text.as_bytes()));
        if let Some(last) = self.stamps.get(path).filter(|last| last.stands(&to)) {
            let same = last.source == source
                || (last.length == text.len() as u64
                    && fs::read(&to).is_ok_and(|bytes| bytes == text.as_bytes()));
            if same {
                return Ok(Stamp { source, ..last.clone() });
            }
        } else if let Some(disk) = Listed::of(path.to_path_buf(), path.to_path_buf())
            && disk.length == text.len() as u64
            && fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes())
            && let Some(stamp) = self.copied(&disk)?
        {
            return Ok(stamp);
        }
        let mut file = self.create(&to)?;
        file.write_all(text.as_bytes())?;
        finish(file, source, SystemTime::now())
    }

    /// A new file in the copy, in place of whatever is there.
    fn create(&self, to: &Path) -> io::Result<File> {
        let tree = self.layout.tree();
        let below = to.strip_prefix(&tree).map_err(io::Error::other)?;
        let mut folder = tree.clone();
        private_folder(&folder)?;
        for name in below.parent().into_iter().flat_map(Path::components) {
            folder.push(name);
            private_folder(&folder)?;
        }
        remove(to)?;
        File::create_new(to)
    }
}

impl Drop for Overlay {
    /// Removes all source text; artefacts stay for the next session.
    fn drop(&mut self) {
        let work = self.layout.work();
        let emptied = ["tree", "home", "tmp"].iter().all(|inner| remove(&work.join(inner)).is_ok());
        if emptied && let Ok(text) = serde_json::to_vec(&self.stamps) {
            // Without the stamps the next session starts afresh.
            let _ = fs::write(self.layout.slot.join("stamps.json"), text);
        }
    }
}

impl Stamp {
    /// Whether the copy still is what was made.
    fn stands(&self, to: &Path) -> bool {
        fs::symlink_metadata(to).is_ok_and(|found| {
            found.is_file()
                && found.len() == self.length
                && found.modified().is_ok_and(|time| time == self.written)
        })
    }
}

/// Gives a finished file its time. What the file system makes of it is what counts from now on.
fn finish(file: File, source: Source, time: SystemTime) -> io::Result<Stamp> {
    file.set_modified(time)?;
    let made = file.metadata()?;
    Ok(Stamp { source, written: made.modified()?, length: made.len() })
}

fn own(permissions: fs::Permissions) -> fs::Permissions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::Permissions::from_mode((permissions.mode() & 0o700) | 0o600)
    }
    #[cfg(not(unix))]
    permissions
}

fn hashed(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// A file of the user's.
struct Listed {
    path: PathBuf,
    /// Without links.
    real: PathBuf,
    modified: SystemTime,
    length: u64,
}

impl Listed {
    fn of(path: PathBuf, real: PathBuf) -> Option<Self> {
        let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some(Self { modified: found.modified().ok()?, length: found.len(), path, real })
    }
}

/// What may not be read is left out; if a build needs it, the build says so.
fn readable<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        read => read.map(Some),
    }
}

/// Lists the files below `folder`, but for version control, caches (build artefacts among them) and
/// installed packages. Links are followed, as the copy holds none.
fn list(
    folder: &Path,
    found: &mut Vec<Listed>,
    left: &mut u64,
    above: &mut Vec<PathBuf>,
) -> Result<(), OverlayError> {
    let own = fs::canonicalize(folder)?;
    if above.contains(&own) {
        return Ok(());
    }
    let Some(entries) = readable(fs::read_dir(folder))? else { return Ok(()) };
    above.push(own.clone());
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // A link that leads nowhere, or what has just been removed.
        let Ok(kind) = fs::metadata(&path) else { continue };
        if kind.is_dir() {
            let name = path.file_name().unwrap_or_default();
            let left_out = [".git", ".hg", ".jj", ".svn", "node_modules", "__pycache__"];
            let left_out = left_out.iter().any(|other| name == *other)
                || path.join("CACHEDIR.TAG").exists()
                || path.join("pyvenv.cfg").exists();
            if !left_out {
                list(&path, found, left, above)?;
            }
            continue;
        }
        let link = entry.file_type()?.is_symlink();
        let real = if link { fs::canonicalize(&path)? } else { own.join(entry.file_name()) };
        if let Some(listed) = Listed::of(path, real) {
            // A file costs a block at least.
            *left = left.checked_sub(listed.length.max(4096)).ok_or(OverlayError::TooLarge)?;
            found.push(listed);
        }
    }
    above.pop();
    Ok(())
}

/// Removes what is in the copy and should not be. A lock file that Cargo made where the user has
/// none stays.
fn prune(folder: &Path, wanted: &std::collections::HashSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            prune(&path, wanted)?;
            continue;
        }
        let lock = entry.file_name() == "Cargo.lock" && entry.file_type()?.is_file();
        if !lock && !wanted.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// A folder that nobody else may look into, made if it is not there. What is there and is no folder
/// makes room.
fn private_folder(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    private_folders().create(path)
}

fn private_folders() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Removes whatever is at a path; links are not followed.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Locks a slot. `None` when another process has it, or another checker of this one.
fn lock(slot: &Path) -> io::Result<Option<File>> {
    private_folder(slot)?;
    let lock = File::options().create(true).truncate(false).write(true).open(slot.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Removes slots that nobody uses: those long unused, then the oldest until the rest is small enough.
fn sweep(folder: &Path, kept: u64) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut slots: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let used = fs::metadata(entry.path().join("stamps.json")).and_then(|it| it.modified());
            Some((used.or_else(|_| entry.metadata()?.modified()).ok()?, entry.path()))
        })
        .collect();
    slots.sort();
    let mut left = kept;
    for (used, slot) in slots.into_iter().rev() {
        let size = size(&slot);
        let old = used.elapsed().is_ok_and(|age| age > Duration::from_hours(24 * KEPT_DAYS));
        match left.checked_sub(size) {
            Some(rest) if !old => left = rest,
            _ => {
                // The lock file stays: another process may be about to lock it.
                if let Ok(Some(_lock)) = lock(&slot) {
                    let _ = remove(&slot.join("stamps.json"));
                    let _ = remove(&slot.join("work"));
                }
            }
        }
    }
}

/// Bytes below a folder.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
