//! The audit log: what it says, what it notices, what it survives.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use expect_test::expect;
use hearth::{
    config::Settings,
    egress::{
        Border, Consent, Content, Parcel, Piece, Trust,
        audit::{Damage, Decision, Log},
    },
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Workspace, parcel, words};

/// How many entries the log has that the properties take apart.
const ENTRIES: usize = 6;

fn sound() -> &'static (Vec<u8>, Vec<u8>) {
    static SOUND: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    SOUND.get_or_init(|| {
        let house = Workspace::new("//- a.rs\nfn main() {}\n");
        for n in 0..ENTRIES {
            let private = n % 3 == 2;
            let _ = house.try_once(Parcel { private, ..house.pieces(&["a.rs"]) });
        }
        let read = |name: &str| fs::read(house.state.path().join(name)).expect("a file");
        (read("egress.jsonl"), read("egress.last"))
    })
}

/// A log of these bytes.
fn written(log: &[u8], last: &[u8]) -> (TempDir, Log) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("egress.jsonl"), log).expect("written");
    fs::write(folder.path().join("egress.last"), last).expect("written");
    let log = Log::new(folder.path());
    (folder, log)
}

/// Sends one file, from a workspace of its own.
fn append(state: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let border = Border::new(folder.path(), &Settings::default(), state, Trust::Editor(true));
    let contents = vec![Content::Piece(Piece::file("a.rs", "fn main() {}\n"))];
    let examined = border.expect("a border").examine(parcel(contents), words);
    let sealed = examined.expect("examined").seal(Consent::Once);
    sealed.map(drop).map_err(|refusal| refusal.to_string())
}

#[test]
fn a_log_counts_and_does_not_quote() {
    let house = Workspace::new("//- src/plans.rs\nfn conquer_the_world() {}\n");
    let words_of_the_user = Content::Words("what is conquest".to_owned());
    let sent = parcel(vec![words_of_the_user, house.piece("src/plans.rs")]);
    house.try_once(sent).expect("a permit");
    house.try_once(Parcel { private: true, ..house.pieces(&["src/plans.rs"]) }).expect_err("no");
    let text = fs::read_to_string(house.log().path()).expect("a log");
    for word in ["plans", "conque", "src", "house", house.root().to_str().expect("UTF-8")] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    let entries = house.log().entries().expect("a log");
    let counts: Vec<_> = entries
        .iter()
        .map(|entry| (entry.n, entry.decision, entry.reason.as_str(), entry.files, entry.tokens))
        .collect();
    let expected =
        [(1, Decision::Sent, "once", 1, 10), (2, Decision::Refused, "private-task", 0, 0)];
    assert_eq!(counts, expected);
    assert_eq!(entries[0].workspace.len(), 16);
    assert_eq!(entries[0].workspace, entries[1].workspace);
}

#[derive(Debug, Clone)]
enum Tampering {
    Change { at: usize, to: u8 },
    Remove(usize),
    Swap(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
    Add(String),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let line = 0..ENTRIES;
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>())
            .prop_map(|(at, to)| Tampering::Change { at: at.index(sound().0.len()), to }),
        line.clone().prop_map(Tampering::Remove),
        (line.clone(), line.clone()).prop_map(|(a, b)| Tampering::Swap(a, b)),
        (line.clone(), 0..=ENTRIES).prop_map(|(a, b)| Tampering::Repeat(a, b)),
        (0..sound().0.len()).prop_map(Tampering::Cut),
        "[ -~]{0,40}\n?".prop_map(Tampering::Add),
    ]
}

proptest! {
    #[test]
    fn every_change_shows(tampering in tampering()) {
        let (bytes, last) = sound();
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        prop_assert_eq!(lines.len(), ENTRIES);
        let changed = match &tampering {
            Tampering::Change { at, to } => {
                let mut bytes = bytes.clone();
                bytes[*at] = *to;
                bytes
            }
            Tampering::Remove(line) => {
                lines.remove(*line);
                lines.concat()
            }
            Tampering::Swap(a, b) => {
                lines.swap(*a, *b);
                lines.concat()
            }
            Tampering::Repeat(line, before) => {
                lines.insert(*before, lines[*line]);
                lines.concat()
            }
            Tampering::Cut(at) => bytes[..*at].to_vec(),
            Tampering::Add(text) => [bytes, text.as_bytes()].concat(),
        };
        let (folder, log) = written(&changed, last);
        let verified = log.verify();
        if changed == *bytes {
            prop_assert_eq!(verified.expect("unchanged"), ENTRIES as u64);
            return Ok(());
        }
        prop_assert!(verified.is_err(), "{tampering:?}");
        // What goes on does not hide it, but for a last line that a crash can have cut.
        let unfinished = matches!(verified, Err(Damage::Unfinished { .. }));
        let appended = append(folder.path()).is_ok();
        prop_assert!(appended || !unfinished);
        prop_assert_eq!(log.verify().is_ok(), unfinished);
    }
}

#[test]
fn the_kind_of_damage_is_named() {
    let (bytes, last) = sound();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let said = |lines: &[&[u8]], last: &[u8]| {
        let (folder, log) = written(&lines.concat(), last);
        let said = log.verify().expect_err("damage").to_string();
        said.replace(folder.path().to_str().expect("UTF-8"), "STATE")
    };
    let edited = String::from_utf8_lossy(lines[2]).replace("refused", "sent");
    let all = [
        said(&[lines[0], lines[1], edited.as_bytes(), lines[3], lines[4], lines[5]], last),
        said(&[lines[0], lines[3], lines[4], lines[5]], last),
        said(&[lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]], last),
        said(&[lines[0], lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]], last),
        said(&lines[..4], last),
        said(&lines[..5], last),
        said(&[], last),
        said(&[bytes, b"{}\n"], last),
        said(&lines, b""),
        said(&lines, lines[4]),
    ];
    expect![[r#"
        line 3 was changed
        before line 2, 2 entries were removed
        before line 2, 1 entries were removed
        line 2 was inserted, or repeats an older one
        the log ends after line 4; it had 6
        line 6 was not written to its end; its record is whole, and the next request completes it
        the log ends after line 0; it had 6
        line 7 was changed
        the record of the last line (STATE/egress.last) is missing or unreadable
        line 6 was added by something else than Hearth"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn a_crash_in_mid_write_is_made_good() {
    let (bytes, last) = sound();
    let before = bytes.len() - last.len();
    // Wherever the line was cut, from before its first byte on.
    for end in before..bytes.len() {
        let (folder, log) = written(&bytes[..end], last);
        assert!(matches!(log.verify(), Err(Damage::Unfinished { line }) if line == ENTRIES as u64));
        append(folder.path()).expect("the log goes on");
        assert_eq!(log.verify().expect("whole again"), ENTRIES as u64 + 1);
        assert!(fs::read(log.path()).expect("a log").starts_with(bytes));
    }
    // Before that, the record of the last line is written beside the old one.
    let (folder, log) = written(bytes, last);
    fs::write(folder.path().join("egress.new"), &last[..20]).expect("written");
    append(folder.path()).expect("the log goes on");
    assert_eq!(log.verify().expect("whole"), ENTRIES as u64 + 1);
    // And before the very first line there is nothing.
    let (folder, log) = written(b"", b"");
    append(folder.path()).expect("the log begins");
    assert_eq!(log.verify().expect("whole"), 1);
}

/// This test in another process, which appends until it has written `count` entries or is killed.
fn appending(state: &Path, count: usize) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "log::processes_share_one_log", "--nocapture"])
        .env("HEARTH_TEST_APPENDS", count.to_string())
        .env("HEARTH_TEST_STATE", state)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its other processes what to do")]
fn processes_share_one_log() {
    const EACH: usize = 25;
    if let Ok(count) = std::env::var("HEARTH_TEST_APPENDS") {
        let state = std::env::var("HEARTH_TEST_STATE").expect("a folder");
        for _ in 0..count.parse::<usize>().expect("a number") {
            append(state.as_ref()).expect("appended");
            let mut out = std::io::stdout();
            writeln!(out, "appended").and_then(|()| out.flush()).expect("a pipe");
        }
        return;
    }
    let state = tempfile::tempdir().expect("a folder");
    let processes: Vec<Child> = (0..4).map(|_| appending(state.path(), EACH)).collect();
    for process in processes {
        assert!(process.wait_with_output().expect("an end").status.success());
    }
    let log = Log::new(state.path());
    assert_eq!(log.verify().expect("a whole log"), 4 * EACH as u64);

    // Killed in the middle, wherever that is.
    for _ in 0..8 {
        let known = log.entries().expect("a log").len();
        let mut process = appending(state.path(), usize::MAX);
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let appended = lines.by_ref().map_while(Result::ok).filter(|line| line == "appended");
        assert_eq!(appended.take(3).count(), 3);
        process.kill().expect("killed");
        process.wait().expect("an end");
        let more = lines.map_while(Result::ok).filter(|line| line == "appended").count();
        append(state.path()).expect("the log goes on");
        let now = usize::try_from(log.verify().expect("whole again")).expect("a count");
        // What had been answered is there; what was under way may be.
        assert!((known + more + 4..=known + more + 5).contains(&now), "{known} + {more}: {now}");
    }
}
