//! `hearth trust` and `hearth egress`, run as a user runs them.

use std::{fs, path::Path, process::Command};

use expect_test::expect;
use hearth::egress::{Border, Consent, Decisions, Nobody, Trust, audit::Log};

use super::{Workspace, destination, numbered, token, words};

/// Runs `hearth` in `folder`; answers with its exit code, its output, and what it said of errors.
fn run(folder: &Path, home: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(arguments)
        .current_dir(folder)
        .env("XDG_STATE_HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .env("HOME", home)
        .output()
        .expect("the program");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_user_sees_what_would_leave_and_what_left() {
    let key = token(3);
    let house = Workspace::new(&format!(
        "//- .gitignore\ntarget/\n//- src/main.rs\nfn main() {{}}\n//- src/key.rs\nlet key = \"{key}\";\n\
         //- target/big.rs\nx\n//- .env\nA=1\n"
    ));
    let home = tempfile::tempdir().expect("a folder");
    let state = home.path().join("hearth");
    let hearth = |arguments: &[&str]| run(house.root(), home.path(), arguments);
    let cloud = "router.cloud.large={ endpoint = 'https://cloud.example/v1', model = 'large-1' }";
    let preview = ["--set", cloud, "egress", "preview", "--text", "."];

    let (code, _, said) = hearth(&preview);
    assert_eq!(code, 1);
    expect![[r#"
        hearth: this workspace is not trusted, so nothing of it is sent; `hearth trust DIR` trusts it
    "#]]
    .assert_eq(&said);

    let root = house.root().canonicalize().expect("a folder");
    assert_eq!(hearth(&["trust", "."]).1, format!("{}: trusted\n", root.display()));
    assert_eq!(hearth(&["trust"]).1, format!("{}: trusted\n", root.display()));

    let (code, shown, said) = hearth(&preview);
    assert_eq!((code, said.as_str()), (0, ""));
    expect![[r#"
        to https://cloud.example (large-1)
        37 tokens, 107 bytes, at most 0 tokens out; the price is not known
          .gitignore:1-1
          src/key.rs:1-1
          src/main.rs:1-1
          replaced: 1 × github-pat
          kept here: .env looks like a place for secrets
        .gitignore:1-1
        target/
        src/key.rs:1-1
        let key = "<secret 1>";
        src/main.rs:1-1
        fn main() {}
    "#]]
    .assert_eq(&numbered(&shown));
    assert!(Log::new(&state).entries().expect("a log").is_empty(), "a look leaves no trace");

    // Consent on the command line, and back.
    let standing = || {
        let host = destination().host();
        Decisions::new(&state).standing(house.root(), &host).expect("readable")
    };
    assert_eq!(hearth(&["egress", "allow", super::CLOUD]).0, 0);
    assert_eq!(standing(), Some(Consent::Workspace));
    let (_, _, said) = hearth(&["egress", "allow", "nobody"]);
    assert_eq!(said, "hearth: no cloud 'nobody' is set up (router.cloud.nobody)\n");
    assert_eq!(hearth(&["egress", "allow", super::CLOUD, "--never"]).0, 0);
    assert_eq!(standing(), Some(Consent::Never));
    assert_eq!(hearth(&["egress", "forget"]).0, 0);
    assert_eq!(standing(), None);

    let border = Border::new(house.root(), &house.settings, &state, Trust::Stored);
    let border = border.expect("a border");
    let sent = border.examine(house.pieces(&["src/key.rs"]), words).expect("examined");
    sent.seal(Consent::Once).expect("sent");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let refused = border.clear(house.pieces(&["src/main.rs"]), words, &Nobody);
    runtime.block_on(refused).expect_err("nobody agreed");
    let (code, listed, _) = hearth(&["egress", "log"]);
    assert_eq!(code, 0);
    // The date and the workspace's hash are different each time.
    let lines: Vec<&str> =
        listed.lines().filter_map(|line| Some(line.split_once(" GMT ")?.1)).collect();
    let hash = Log::new(&state).entries().expect("a log")[0].workspace.clone();
    expect![[r#"
        sent (once) workspace HASH to https://cloud.example:8443 (large-1): 1 files, 8 tokens, 70 bytes, 1 secrets replaced
        refused (declined) workspace HASH to https://cloud.example:8443 (large-1): 1 files, 7 tokens, 44 bytes, 0 secrets replaced"#]].assert_eq(&lines.join("\n").replace(&hash, "HASH"));
    let (_, last, _) = hearth(&["egress", "log", "--json", "-n", "1"]);
    let json: serde_json::Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!((&json["n"], &json["reason"]), (&2.into(), &"declined".into()));

    let (code, said, _) = hearth(&["egress", "verify"]);
    assert_eq!(code, 0);
    assert!(said.ends_with(": 2 entries, whole and in order\n"), "{said}");
    let path = Log::new(&state).path();
    let text = fs::read_to_string(&path).expect("a log");
    fs::write(&path, text.replacen("sent", "refused", 1)).expect("written");
    let (code, said, _) = hearth(&["egress", "verify"]);
    assert_eq!(code, 1);
    assert!(said.ends_with(": line 1 was changed\n"), "{said}");

    assert_eq!(hearth(&["trust", ".", "--revoke"]).0, 0);
    assert_eq!(hearth(&preview).0, 1);
}

/// The user's own globs, and those of a repository in the repository, from wherever one looks.
#[test]
fn what_git_leaves_out_for_this_user_stays_here() {
    let house = Workspace::new(
        "//- .git/HEAD\nref\n//- src/main.rs\nfn main() {}\n//- src/notes.rs\nA\n//- src/in/.git/HEAD\nref\n\
         //- src/in/.git/info/exclude\n/local.rs\n//- src/in/local.rs\nB\n//- src/in/shared.rs\nC\n",
    );
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("git")).expect("a folder");
    fs::write(home.path().join("git/ignore"), "src/*otes.rs\n").expect("a file");
    let src = house.root().join("src");
    for folder in [house.root(), &src] {
        let hearth = |arguments: &[&str]| run(folder, home.path(), arguments);
        assert_eq!(hearth(&["trust", "."]).0, 0);
        let cloud =
            "router.cloud.large={ endpoint = 'https://cloud.example/v1', model = 'large-1' }";
        let (code, shown, said) = hearth(&["--set", cloud, "egress", "preview", "."]);
        assert_eq!((code, said.as_str()), (0, ""));
        assert!(shown.contains("main.rs:1-1") && shown.contains("in/shared.rs:1-1"), "{shown}");
        assert!(!shown.contains("notes.rs:1-1") && !shown.contains("local.rs:1-1"), "{shown}");
    }
}
