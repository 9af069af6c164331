//! Whatever a workspace is like, nothing that is excluded and no secret leaves it.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use hearth::egress::{Border, Consent, Content, Origin, Piece, Trust};
use proptest::prelude::*;

use super::{Workspace, parcel, text, words};
use crate::support::random::Random;

const FOLDERS: [&str; 5] = ["", "src", "src/deep", "build", "notes"];
const NAMES: [&str; 6] = ["a.rs", "b.rs", "keep.log", "run.log", "Makefile", "é x.md"];
const PATTERNS: [&str; 14] = [
    "*.log",
    "!keep.log",
    "/build",
    "build/",
    "src/*.rs",
    "**/deep",
    "src/**/b.rs",
    "notes/*",
    "!notes/a.rs",
    "# a comment",
    "a.rs",
    "\\!x",
    "é*",
    "deep/",
];

#[derive(Debug, Clone)]
struct File {
    path: String,
    /// Seeds of the secrets in it; none for most files.
    secrets: Vec<u64>,
    /// Where the piece begins and ends, in percent.
    cut: (usize, usize),
    derived: bool,
}

#[derive(Debug, Clone)]
struct Tree {
    files: Vec<File>,
    /// Ignore files: folder, whether it is git's, patterns.
    ignored: Vec<(usize, bool, Vec<usize>)>,
    exclude: Option<usize>,
}

fn trees() -> impl Strategy<Value = Tree> {
    let file = (
        0..FOLDERS.len(),
        0..NAMES.len(),
        prop::collection::vec(any::<u64>(), 0..3),
        (0_usize..=100, 0_usize..=100),
        any::<bool>(),
    );
    let file = file.prop_map(|(folder, name, secrets, cut, derived)| File {
        path: Path::new(FOLDERS[folder]).join(NAMES[name]).to_string_lossy().into_owned(),
        secrets,
        cut: (cut.0.min(cut.1), cut.0.max(cut.1)),
        derived,
    });
    let patterns = prop::collection::vec(0..PATTERNS.len(), 1..4);
    let ignored = prop::collection::vec((0..FOLDERS.len(), any::<bool>(), patterns), 0..4);
    let exclude = prop::option::of(0..FOLDERS.len());
    (prop::collection::vec(file, 1..12), ignored, exclude).prop_map(
        |(mut files, ignored, exclude)| {
            files.sort_by(|a, b| a.path.cmp(&b.path));
            files.dedup_by(|a, b| a.path == b.path);
            Tree { files, ignored, exclude }
        },
    )
}

/// A secret in one of the shapes that people leave in files, and the line that it stands in.
fn secret(seed: u64) -> (String, String) {
    let mut random = Random::new(seed);
    let of = |letters: &[u8], count: usize, random: &mut Random| -> String {
        (0..count).map(|_| char::from(letters[random.below(letters.len())])).collect()
    };
    let all = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let base32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    match seed % 5 {
        0 => {
            let key = format!("ghp_{}", of(all, 36, &mut random));
            (key.clone(), format!("let token = \"{key}\";"))
        }
        1 => {
            let key = format!("AKIA{}", of(base32, 16, &mut random));
            (key.clone(), format!("aws_access_key_id: {key}"))
        }
        2 => {
            let password = format!("{}7{}", of(all, 12, &mut random), of(all, 8, &mut random));
            (password.clone(), format!("url = \"postgres://app:{password}@db.internal/main\""))
        }
        3 => {
            let body: Vec<String> = (0..40).map(|_| of(all, 64, &mut random)).collect();
            let name = "RSA PRIVATE KEY";
            let key = format!("-----BEGIN {name}-----\n{}\n-----END {name}-----", body.join("\n"));
            (body.concat(), key)
        }
        _ => {
            let key = of(b"0123456789abcdef", 40, &mut random);
            (key.clone(), format!("{{ \"api_key\": \"{key}\" }}"))
        }
    }
}

/// What git itself says: which of `paths` are ignored by the files of this name.
fn ignored_by_git(tree: &Tree, paths: &[String], gits: bool) -> Vec<String> {
    let mirror = tempfile::tempdir().expect("a folder");
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(mirror.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
    };
    assert!(git(&["init", "--quiet"]).status().expect("git").success());
    for (folder, lines) in ignore_files(tree, gits) {
        let folder = mirror.path().join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(".gitignore"), lines).expect("a file");
    }
    let mut asked = git(&["check-ignore", "--no-index", "--stdin", "-z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git");
    asked.stdin.take().expect("a pipe").write_all(paths.join("\0").as_bytes()).expect("written");
    let said = asked.wait_with_output().expect("git").stdout;
    let said = String::from_utf8(said).expect("UTF-8");
    said.split_terminator('\0').map(str::to_owned).collect()
}

fn ignore_files(tree: &Tree, gits: bool) -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    for (folder, of_git, patterns) in &tree.ignored {
        if *of_git == gits && !files.iter().any(|(other, _)| *other == FOLDERS[*folder]) {
            let lines: Vec<&str> = patterns.iter().map(|pattern| PATTERNS[*pattern]).collect();
            files.push((FOLDERS[*folder], lines.join("\n")));
        }
    }
    files
}

fn check(tree: &Tree) {
    let mut house = Workspace::new("//- .git/HEAD\nref: refs/heads/main\n");
    let excluded = tree
        .exclude
        .map(|folder| Path::new(FOLDERS[folder]).join("a.rs").to_string_lossy().into_owned());
    house.settings.privacy_exclude = excluded.iter().map(|path| format!("/{path}")).collect();
    for (gits, name) in [(true, ".gitignore"), (false, ".hearthignore")] {
        for (folder, lines) in ignore_files(tree, gits) {
            house.write(&Path::new(folder).join(name).to_string_lossy(), &lines);
        }
    }
    let paths: Vec<String> = tree.files.iter().map(|file| file.path.clone()).collect();
    let mut stay = ignored_by_git(tree, &paths, true);
    stay.extend(ignored_by_git(tree, &paths, false));
    stay.extend(excluded);
    let mut contents = Vec::new();
    let mut secrets = Vec::new();
    for (n, file) in tree.files.iter().enumerate() {
        let mut body = format!("canary{n}x\nfn f{n}() {{}}\n");
        for seed in &file.secrets {
            let (secret, line) = secret(*seed);
            body.push_str(&format!("{line}\ncanary{n}x\n"));
            secrets.push(secret);
        }
        house.write(&file.path, &body);
        let (from, to) = (body.len() * file.cut.0 / 100, body.len() * file.cut.1 / 100);
        contents.extend(Piece::cut(&file.path, &body, from..to).map(Content::Piece));
        if file.derived {
            let origin = Origin::new(&file.path, 0..body.lines().count());
            let words: Vec<&str> = body.split_whitespace().rev().collect();
            contents.extend(Piece::derived(vec![origin], words.join("\n")).map(Content::Piece));
        }
    }
    let border = Border::new(house.root(), &house.settings, house.state.path(), Trust::Stored);
    let examined = border.expect("a border").examine(parcel(contents), words);
    let Ok(examined) = examined else {
        assert!(paths.iter().all(|path| stay.contains(path)), "{:?} refused", stay);
        return;
    };
    let permit = examined.seal(Consent::Once).expect("a permit");
    let sent = text(&permit);
    for (n, file) in tree.files.iter().enumerate() {
        let stays = stay.contains(&file.path);
        let left = permit.manifest().files.iter().any(|part| part.path == file.path);
        assert_eq!(left, !stays, "{}", file.path);
        let words = sent.contains(&format!("canary{n}x"));
        assert!(!(stays && words) && (stays || words || !file.derived), "{}", file.path);
    }
    for secret in secrets {
        for window in secret.as_bytes().windows(12) {
            let window = std::str::from_utf8(window).expect("ASCII");
            assert!(!sent.contains(window), "{window} of {secret} in\n{sent}");
        }
    }
    assert_eq!(sent.len(), permit.manifest().bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_excluded_and_no_secret_leaves(tree in trees()) {
        check(&tree);
    }
}
