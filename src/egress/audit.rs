//! The log of every request that left and of every one that was refused.
//!
//! A line a request, counts and hashes only: no path, no source text, no word of the user's. Each
//! line holds the hash of the one before and its own, over its exact bytes, so that a change, a
//! removed and an inserted line show. A second file holds the last line: what is cut off the end
//! shows as well, and a line that a crash kept from the log is written there first, and from there
//! into the log. Whoever can write as the user can rewrite both files; the chain is evidence against
//! accidents, careless edits and other programs, not against the user.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::config::private_file;

/// What the first line holds in place of a hash.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What separates a line from its own hash.
const SEAL: &str = ",\"hash\":\"";

/// Whether a request left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Sent,
    Refused,
}

/// One line, as it is read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// From 1.
    pub n: u64,
    /// Milliseconds since 1970, UTC.
    pub time: u64,
    /// SHA-256 of the workspace's canonical path: the first 16 hexadecimal digits.
    pub workspace: String,
    /// Scheme, host and port.
    pub destination: String,
    pub model: String,
    /// How many files a part of was in the request.
    pub files: usize,
    pub tokens: usize,
    pub bytes: usize,
    /// Secrets replaced.
    pub redactions: usize,
    pub decision: Decision,
    /// A word: the consent that let it leave, or why it was refused.
    pub reason: String,
    /// Hash of the line before.
    pub previous: String,
    /// SHA-256 of this line up to here.
    #[serde(default, skip_serializing)]
    pub hash: String,
}

/// What is to be written down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) destination: &'a str,
    pub(super) model: &'a str,
    /// `None` where the request was refused before it was weighed.
    pub(super) manifest: Option<&'a Manifest>,
    pub(super) decision: Decision,
    pub(super) reason: &'a str,
}

/// What is wrong with a log, and where.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("line {line} was changed")]
    Changed { line: u64 },
    #[error("before line {line}, {missing} entries were removed")]
    Removed { line: u64, missing: u64 },
    #[error("line {line} was inserted, or repeats an older one")]
    Inserted { line: u64 },
    #[error("the log ends after line {lines}; it had {expected}")]
    Truncated { lines: u64, expected: u64 },
    /// By a crash, or by whoever cut the end off. The next entry brings it back.
    #[error(
        "line {line} was not written to its end; its record is whole, and the next request completes it"
    )]
    Unfinished { line: u64 },
    #[error("line {line} was added by something else than Hearth")]
    Added { line: u64 },
    #[error("the record of the last line ({}) is missing or unreadable", path.display())]
    Head { path: PathBuf },
    #[error("{}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
}

/// The log on disk. Cheap to clone; any number of processes may append to one.
#[derive(Debug, Clone)]
pub struct Log {
    folder: PathBuf,
}

impl Log {
    /// Kept below `state` ([`state_folder`](crate::config::state_folder)).
    pub fn new(state: &Path) -> Self {
        Self { folder: state.to_owned() }
    }

    /// The log itself.
    pub fn path(&self) -> PathBuf {
        self.folder.join("egress.jsonl")
    }

    /// The last line of the log, and nothing else.
    fn head(&self) -> PathBuf {
        self.folder.join("egress.last")
    }

    /// Writes one line and waits for the disk.
    pub(super) fn append(&self, workspace: &Path, request: &Request<'_>) -> io::Result<()> {
        private_file::folder(&self.folder)?;
        let mut log = private_file::open(&self.path())?;
        log.lock()?;
        let last = self.settle(&mut log)?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let manifest = request.manifest;
        let path = workspace.as_os_str().as_encoded_bytes();
        let entry = Entry {
            n: last.as_ref().map_or(0, |entry| entry.n) + 1,
            time: u64::try_from(time.as_millis()).map_err(io::Error::other)?,
            workspace: sha256(path).chars().take(16).collect(),
            destination: request.destination.to_owned(),
            model: request.model.to_owned(),
            files: manifest.map_or(0, Manifest::files_count),
            tokens: manifest.map_or(0, |manifest| manifest.tokens),
            bytes: manifest.map_or(0, |manifest| manifest.bytes),
            redactions: manifest.map_or(0, |manifest| manifest.redactions.values().sum()),
            decision: request.decision,
            reason: request.reason.to_owned(),
            previous: last.map_or_else(|| GENESIS.to_owned(), |entry| entry.hash),
            hash: String::new(),
        };
        let body = serde_json::to_string(&entry).map_err(io::Error::other)?;
        let body = body.trim_end_matches('}');
        let line = format!("{body}{SEAL}{}\"}}\n", sha256(body.as_bytes()));
        private_file::replace(&self.head(), line.as_bytes())?;
        log.write_all(line.as_bytes())?;
        log.sync_data()
    }

    /// Brings the log to where its head stands, and gives the last line. Fails where the two do not
    /// belong together: then [`verify`](Self::verify) says why, and nothing leaves.
    fn settle(&self, log: &mut File) -> io::Result<Option<Entry>> {
        let head = match fs::read_to_string(self.head()) {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let length = log.metadata()?.len();
        let window = (head.len() as u64 + 1).max(64 << 10).min(length);
        log.seek(SeekFrom::Start(length - window))?;
        let mut tail = vec![0; usize::try_from(window).map_err(io::Error::other)?];
        log.read_exact(&mut tail)?;
        let damaged = || {
            let advice =
                "the audit log does not match its last line; `hearth egress verify` says where";
            io::Error::new(io::ErrorKind::InvalidData, advice)
        };
        if head.is_empty() {
            return if length == 0 { Ok(None) } else { Err(damaged()) };
        }
        let (entry, true) = parse(head.trim_end_matches('\n')).ok_or_else(damaged)? else {
            return Err(damaged());
        };
        if tail.ends_with(head.as_bytes()) {
            return Ok(Some(entry));
        }
        // A crash between the two writes: the log ends with the line before, or with a part of this.
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (lines, torn) = tail.split_at(whole);
        let before = lines.strip_suffix(b"\n").map_or(GENESIS.to_owned(), |lines| {
            let line = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = std::str::from_utf8(line).unwrap_or_default();
            parse(line).map(|(entry, _)| entry.hash).unwrap_or_default()
        });
        if before != entry.previous || !head.as_bytes().starts_with(torn) {
            return Err(damaged());
        }
        log.set_len(length - torn.len() as u64)?;
        log.write_all(head.as_bytes())?;
        Ok(Some(entry))
    }

    /// Every line, oldest first. Lines that cannot be read are left out: [`verify`](Self::verify)
    /// names them.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        match fs::read(self.path()) {
            Ok(text) => {
                let lines = text.split(|byte| *byte == b'\n');
                let lines = lines.filter_map(|line| std::str::from_utf8(line).ok());
                Ok(lines.filter_map(|line| parse(line).map(|(entry, _)| entry)).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Checks every byte of the log; answers with the number of its lines.
    pub fn verify(&self) -> Result<u64, Damage> {
        let unreadable = |path: PathBuf, error| Damage::Unreadable { path, error };
        let log = match File::open(self.path()) {
            Ok(mut log) => {
                // No writer between the log and its head.
                log.lock_shared().map_err(|error| unreadable(self.path(), error))?;
                let mut text = Vec::new();
                log.read_to_end(&mut text).map_err(|error| unreadable(self.path(), error))?;
                text
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unreadable(self.path(), error)),
        };
        let head = match fs::read(self.head()) {
            Ok(head) => Some(head),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(self.head(), error)),
        };
        check(&log, head.as_deref())
            .map_err(|damage| damage.unwrap_or(Damage::Head { path: self.head() }))
    }
}

/// Checks a log against its last line. `Err(None)` where that last line is not one.
fn check(log: &[u8], head: Option<&[u8]>) -> Result<u64, Option<Damage>> {
    let mut previous = GENESIS.to_owned();
    let mut lines = 0;
    let mut last: &[u8] = b"";
    let head = head.filter(|head| !head.is_empty());
    let head_entry = head.and_then(|head| {
        let line = std::str::from_utf8(head).ok()?.strip_suffix('\n')?;
        parse(line).filter(|(entry, sound)| *sound && entry.n > 0).map(|(entry, _)| entry)
    });
    let expected = head_entry.as_ref().map(|entry| entry.n);
    // Whether what follows is the beginning of the last line, and nothing else is missing.
    let unfinished = |lines: u64, previous: &str, torn: &[u8]| {
        head_entry.as_ref().is_some_and(|entry| entry.n == lines + 1 && entry.previous == previous)
            && head.is_some_and(|head| head.starts_with(torn))
    };
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let number = lines + 1;
        let changed = || Some(Damage::Changed { line: number });
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(match expected {
                Some(_) if unfinished(lines, &previous, line) => {
                    Some(Damage::Unfinished { line: number })
                }
                Some(expected) if expected >= number => Some(Damage::Truncated { lines, expected }),
                _ => changed(),
            });
        };
        let text = std::str::from_utf8(text).map_err(|_| changed())?;
        let (entry, sound) = parse(text).ok_or_else(changed)?;
        if !sound {
            return Err(changed());
        }
        if entry.n > number {
            return Err(Some(Damage::Removed { line: number, missing: entry.n - number }));
        }
        if entry.n < number || entry.previous != previous {
            return Err(Some(Damage::Inserted { line: number }));
        }
        if expected.is_some_and(|expected| number > expected) {
            return Err(Some(Damage::Added { line: number }));
        }
        previous = entry.hash;
        lines = number;
        last = line;
    }
    match (expected, head) {
        (None, None) if lines == 0 => Ok(0),
        (None, _) => Err(None),
        (Some(_), _) if unfinished(lines, &previous, b"") => {
            Err(Some(Damage::Unfinished { line: lines + 1 }))
        }
        (Some(expected), _) if lines < expected => Err(Some(Damage::Truncated { lines, expected })),
        (Some(_), Some(head)) if head == last => Ok(lines),
        (Some(_), _) => Err(Some(Damage::Changed { line: lines })),
    }
}

/// A line without its end, and whether its hash is right.
fn parse(line: &str) -> Option<(Entry, bool)> {
    let entry: Entry = serde_json::from_str(line).ok()?;
    let (body, hash) = line.rsplit_once(SEAL)?;
    let sound = hash.strip_suffix("\"}") == Some(&sha256(body.as_bytes()));
    Some((entry, sound))
}

/// SHA-256 in lower-case hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
