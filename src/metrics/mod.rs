//! What becomes of suggestions, counted: how many were shown, accepted and kept.
//!
//! Numbers alone, a row a day, in one file of the user's on this machine: no text, no path, no name of
//! anything. It must never hold up a key: to count is to add to a number in memory; whoever owns the
//! server's tasks has it [written](Tally::write) from time to time.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::AddAssign,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::config::private_file;

/// Below the state folder ([`crate::config::state_folder`]).
const FILE: &str = "suggestions.json";

/// Days that are kept.
const DAYS: usize = 90;

/// One thing that became of a suggestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// It was handed to the editor for the first time.
    Shown,
    /// All of it was accepted at once.
    Accepted,
    /// A part of it was: a word, a line. Counted once a suggestion.
    Partly,
    /// Half a minute after a suggestion or a part of it was accepted, `kept` of its `accepted` bytes
    /// still stood.
    Survived { accepted: usize, kept: usize },
    /// The document or the editor was closed within that half minute, or more was accepted in it than
    /// is followed: nobody knows how much of it will have stood.
    LostSight,
    /// It was on the screen for so long, as an editor's plugin says.
    OnScreen(Duration),
}

/// What became of the suggestions of a day, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    pub shown: u64,
    /// All of it at once.
    pub accepted: u64,
    /// By words or lines.
    pub accepted_in_part: u64,
    /// Acceptances, whole and in part, that were looked at half a minute later.
    pub looked_at: u64,
    /// Those of them that stood unchanged.
    pub unchanged: u64,
    /// Acceptances that could not be looked at then: their document or the editor was closed before.
    pub lost_sight: u64,
    /// Bytes of those that were looked at, and how many of them still stood.
    pub accepted_bytes: u64,
    pub kept_bytes: u64,
    /// Suggestions whose time on the screen was reported, and that time in milliseconds.
    pub timed: u64,
    pub on_screen_ms: u64,
}

impl Counts {
    /// Which share of the accepted text still stood half a minute later, from 0 to 1; `None` before
    /// any was looked at.
    pub fn kept_rate(&self) -> Option<f64> {
        (self.accepted_bytes > 0).then(|| self.kept_bytes as f64 / self.accepted_bytes as f64)
    }

    fn count(&mut self, what: Count) {
        match what {
            Count::Shown => self.shown += 1,
            Count::Accepted => self.accepted += 1,
            Count::Partly => self.accepted_in_part += 1,
            Count::Survived { accepted, kept } => {
                self.looked_at += 1;
                self.unchanged += u64::from(kept == accepted);
                self.accepted_bytes += accepted as u64;
                self.kept_bytes += kept.min(accepted) as u64;
            }
            Count::LostSight => self.lost_sight += 1,
            Count::OnScreen(time) => {
                self.timed += 1;
                self.on_screen_ms += u64::try_from(time.as_millis()).unwrap_or_default();
            }
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let sum = |a: &mut u64, b: u64| *a = a.saturating_add(b);
        sum(&mut self.shown, other.shown);
        sum(&mut self.accepted, other.accepted);
        sum(&mut self.accepted_in_part, other.accepted_in_part);
        sum(&mut self.looked_at, other.looked_at);
        sum(&mut self.unchanged, other.unchanged);
        sum(&mut self.lost_sight, other.lost_sight);
        sum(&mut self.accepted_bytes, other.accepted_bytes);
        sum(&mut self.kept_bytes, other.kept_bytes);
        sum(&mut self.timed, other.timed);
        sum(&mut self.on_screen_ms, other.on_screen_ms);
    }
}

/// By days since 1970, UTC.
type Days = BTreeMap<u64, Counts>;

/// What was counted since it was last written down.
#[derive(Debug, Default)]
pub struct Tally {
    pending: Mutex<Days>,
    /// Held while it is written down, so that nobody who writes later is done sooner.
    writing: Mutex<()>,
    counted: watch::Sender<()>,
}

impl Tally {
    /// Counts it for today.
    pub fn count(&self, what: Count) {
        self.lock().entry(today()).or_default().count(what);
        self.counted.send_replace(());
    }

    /// Told of everything that is counted.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.counted.subscribe()
    }

    /// Adds what was counted to the file below `state`, which other processes add to as well. Blocks.
    /// What cannot be written is kept for the next time.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = std::mem::take(&mut *self.lock());
        if counted.is_empty() {
            return Ok(());
        }
        let written = add(state, &counted);
        if written.is_err() {
            let mut pending = self.lock();
            for (day, counts) in counted {
                *pending.entry(day).or_default() += counts;
            }
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, Days> {
        // Numbers: whatever panicked, they are complete.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of the suggestions of the last `days` days, today among them, as far as it was written
/// down below `state`.
pub fn recent(state: &Path, days: u64) -> io::Result<Counts> {
    let first = today().saturating_sub(days.saturating_sub(1));
    let mut sum = Counts::default();
    for (_, counts) in read(state)?.range(first..) {
        sum += *counts;
    }
    Ok(sum)
}

fn add(state: &Path, counted: &Days) -> io::Result<()> {
    private_file::folder(state)?;
    let lock = private_file::open(&state.join("suggestions.lock"))?;
    lock.lock()?;
    let mut days = read(state)?;
    for (day, counts) in counted {
        *days.entry(*day).or_default() += *counts;
    }
    while days.len() > DAYS {
        days.pop_first();
    }
    private_file::replace(&state.join(FILE), &serde_json::to_vec(&days)?)
}

fn read(state: &Path) -> io::Result<Days> {
    match fs::read(state.join(FILE)) {
        // What is no longer what was written is worth nothing, and must not stop the counting.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Days::new()),
        Err(error) => Err(error),
    }
}

fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / (24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_add_up() {
        let state = tempfile::tempdir().expect("a folder");
        let (one, other) = (Tally::default(), Tally::default());
        one.count(Count::Shown);
        one.write(state.path()).expect("it is written");
        other.count(Count::Shown);
        other.count(Count::Accepted);
        other.count(Count::Survived { accepted: 10, kept: 10 });
        other.count(Count::Survived { accepted: 10, kept: 5 });
        other.count(Count::LostSight);
        other.count(Count::OnScreen(Duration::from_millis(700)));
        other.write(state.path()).expect("it is written");
        one.write(state.path()).expect("there is nothing to add");
        let counts = recent(state.path(), 1).expect("it is read");
        let expected = Counts {
            shown: 2,
            accepted: 1,
            accepted_in_part: 0,
            looked_at: 2,
            unchanged: 1,
            lost_sight: 1,
            accepted_bytes: 20,
            kept_bytes: 15,
            timed: 1,
            on_screen_ms: 700,
        };
        assert_eq!(counts, expected);
        assert_eq!(counts.kept_rate(), Some(0.75));
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_the_users_alone_and_holds_numbers() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("hearth");
        let tally = Tally::default();
        tally.count(Count::Shown);
        tally.write(&state).expect("it is written");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!(mode(&state.join(FILE)) & 0o777, 0o600);
        assert_eq!(mode(&state) & 0o777, 0o700);
        let text = fs::read_to_string(state.join(FILE)).expect("text");
        let today = today();
        let counts = r#"{"shown":1,"accepted":0,"acceptedInPart":0,"lookedAt":0,"unchanged":0,"lostSight":0,"acceptedBytes":0,"keptBytes":0,"timed":0,"onScreenMs":0}"#;
        assert_eq!(text, format!(r#"{{"{today}":{counts}}}"#));
    }

    #[test]
    fn old_days_go_and_a_damaged_file_starts_anew() {
        let state = tempfile::tempdir().expect("a folder");
        let shown = Counts { shown: 1, ..Counts::default() };
        let days: Days = (0..200).map(|day| (day, shown)).collect();
        add(state.path(), &days).expect("it is written");
        let kept = read(state.path()).expect("it is read");
        assert_eq!((kept.len(), kept.first_key_value()), (DAYS, Some((&110, &shown))));
        fs::write(state.path().join(FILE), "not JSON").expect("it is written");
        add(state.path(), &Days::from([(7, shown)])).expect("it is written");
        assert_eq!(read(state.path()).expect("it is read"), Days::from([(7, shown)]));
    }

    #[test]
    fn what_cannot_be_written_is_written_the_next_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("hearth");
        fs::write(&state, "a file").expect("it is written");
        let tally = Tally::default();
        tally.count(Count::Shown);
        tally.write(&state).expect_err("it is no folder");
        fs::remove_file(&state).expect("it goes");
        tally.write(&state).expect("it is written");
        assert_eq!(recent(&state, 1).expect("it is read").shown, 1);
    }
}
