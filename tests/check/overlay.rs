//! What a build finds in the copy: the whole workspace as the editor has it, and what lies around it.

use std::fs;

use hearth::check::{Buffer, Keeps, Limits, Rung, Skip};

use crate::house::{House, MANIFEST, label, limits, shown};

fn package(name: &str, more: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{more}")
}

const ONE: &str = "pub fn one() -> u8 {\n    1\n}\n";

/// Replaces `1` by `new` in `file`; the label, and what is wrong.
async fn check(house: &House, file: &str, new: &str) -> String {
    let proposal = house.proposal(file, "    1\n", &format!("    {new}\n"));
    let report = house.climb(&hearth::check::Proposal { keeps: Keeps::Nothing, ..proposal }).await;
    report.failure().map_or_else(|| label(&report), |(_, failure)| failure.message.clone())
}

#[tokio::test]
async fn path_dependencies_outside_of_the_root_are_found() {
    let house = House::with(
        &[
            ("Cargo.toml", &package("fixture", "[dependencies]\nnear = { path = \"../near\" }\n")),
            ("src/lib.rs", "pub fn one() -> u8 {\n    1\n}\npub use near::two;\n"),
            ("../near/Cargo.toml", &package("near", "")),
            ("../near/src/lib.rs", "pub fn two() -> u8 {\n    2\n}\n"),
        ],
        limits(),
    );
    assert_eq!(
        check(&house, "src/lib.rs", "near::two() - 1").await,
        "parsed, formatted, compiled; tests not run (this module has no tests)"
    );
    // An unsaved buffer there counts, too.
    let mut proposal = house.proposal("src/lib.rs", "    1\n", "    near::three()\n");
    proposal.keeps = Keeps::Nothing;
    let path = fs::canonicalize(house.root.join("../near/src/lib.rs")).expect("a file");
    let text = "pub fn two() -> u8 {\n    2\n}\npub fn three() -> u8 {\n    3\n}\n".to_owned();
    proposal.buffers = vec![Buffer { path, text }];
    let report = house.climb(&proposal).await;
    assert!(report.held(Rung::Compiles), "{}", shown(&report));
}

#[tokio::test]
async fn of_a_workspace_the_member_alone_is_built() {
    let members = "[workspace]\nmembers = [\"a\", \"b\"]\ndefault-members = [\"b\"]\n";
    let house = House::with(
        &[
            ("Cargo.toml", &package("fixture", members)),
            ("src/lib.rs", ONE),
            ("a/Cargo.toml", &package("a", "")),
            ("a/src/lib.rs", ONE),
            // Does not compile, and does not matter.
            ("b/Cargo.toml", &package("b", "")),
            ("b/src/lib.rs", "pub fn broken() -> u8 {\n    \"\"\n}\n"),
        ],
        limits(),
    );
    for file in ["src/lib.rs", "a/src/lib.rs"] {
        assert_eq!(
            check(&house, file, "2").await,
            "parsed, formatted, compiled; tests not run (this module has no tests)"
        );
    }
}

#[tokio::test]
async fn a_lock_file_is_not_needed_and_not_left() {
    let house = House::with(
        &[
            ("Cargo.toml", &package("fixture", "[dependencies]\nitoa = \"1\"\n")),
            (
                "src/lib.rs",
                "pub fn one() -> u8 {\n    1\n}\npub fn text() -> String {\n    itoa::Buffer::new().format(1).to_owned()\n}\n",
            ),
        ],
        limits(),
    );
    // This package was downloaded to build Hearth.
    assert_eq!(
        check(&house, "src/lib.rs", "itoa::Buffer::new().format(7).len() as u8").await,
        "parsed, formatted, compiled; tests not run (this module has no tests)"
    );
    assert!(!house.root.join("Cargo.lock").exists());
}

#[tokio::test]
async fn what_is_not_on_this_machine_is_not_fetched() {
    let absent = "[dependencies]\nhearth-has-no-such-dependency = \"1\"\n";
    let house =
        House::with(&[("Cargo.toml", &package("fixture", absent)), ("src/lib.rs", ONE)], limits());
    let said = check(&house, "src/lib.rs", "2").await;
    assert!(
        said.starts_with("parsed, formatted; not compiled (error: no matching package"),
        "{said}"
    );
    let house = House::new(&[
        ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.1.0\"\n"),
        ("src/lib.rs", ONE),
    ]);
    let said = check(&house, "src/lib.rs", "2").await;
    // Without rustup nothing reads that file.
    let without_rustup = "parsed, formatted, compiled; tests not run (this module has no tests)";
    assert!(
        said.contains("'1.1.0") && said.contains("not installed") || said == without_rustup,
        "{said}"
    );
}

#[tokio::test]
async fn build_scripts_run_in_the_copy() {
    let house = House::new(&[
        (
            "build.rs",
            "fn main() {\n    std::fs::write(\"src/made.txt\", \"1\").unwrap();\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    std::fs::write(out + \"/made.rs\", \"const MADE: u8 = 1;\").unwrap();\n}\n",
        ),
        (
            "src/lib.rs",
            "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\npub fn one() -> u8 {\n    1\n}\n",
        ),
    ]);
    assert_eq!(
        check(&house, "src/lib.rs", "MADE").await,
        "parsed, formatted, compiled; tests not run (this module has no tests)"
    );
    assert!(!house.root.join("src/made.txt").exists());
}

#[tokio::test]
async fn what_a_condition_leaves_out_is_not_called_compiled() {
    let lib = "#[cfg(any())]\nmod never {\n    pub fn one() -> u8 {\n    1\n    }\n}\npub mod ever {\n    #[cfg(all())]\n    pub fn two() -> u8 {\n    2\n    }\n}\n";
    let house = House::new(&[("src/lib.rs", lib), ("src/all.rs", "")]);
    let never = house.proposal(
        "src/lib.rs",
        "pub fn one() -> u8 {\n    1\n    }",
        "pub fn one() -> u8 {\n    \"no number\"\n    }",
    );
    let report = house.climb(&never).await;
    assert_eq!(report.skipped(Rung::Compiles), Some(&Skip::LeftOut), "{}", shown(&report));
    let ever = house.proposal(
        "src/lib.rs",
        "pub fn two() -> u8 {\n    2\n    }",
        "pub fn two() -> u8 {\n    3\n    }",
    );
    let report = house.climb(&ever).await;
    assert!(report.held(Rung::Compiles), "{}", shown(&report));
}

#[cfg(unix)]
#[tokio::test]
async fn links_lead_to_what_the_editor_has() {
    let house = House::new(&[("src/lib.rs", "pub mod shared;\n"), ("../common/shared.rs", ONE)]);
    let common = fs::canonicalize(house.root.join("../common")).expect("a folder");
    let house = house.and(|root| {
        std::os::unix::fs::symlink(common.join("shared.rs"), root.join("src/shared.rs"))
            .expect("a link");
        std::os::unix::fs::symlink(root, root.join("src/again")).expect("a link");
        std::os::unix::fs::symlink("nowhere", root.join("src/broken")).expect("a link");
    });
    assert_eq!(
        check(&house, "src/shared.rs", "2").await,
        "parsed, formatted, compiled; tests not run (this module has no tests)"
    );
    let said = check(&house, "src/shared.rs", "\"\"").await;
    assert!(said.contains("src/shared.rs:2:"), "{said}");
    // Of itself it is no part of any package.
    let itself = common.join("shared.rs");
    assert_eq!(
        check(&house, &itself.to_string_lossy(), "2").await,
        "parsed, formatted; not compiled (no target of the package contains this file)"
    );
    // The buffer of the file that the link leads to is what the link leads to.
    let mut proposal =
        house.proposal("src/lib.rs", "pub mod shared;", "pub mod shared;\nuse shared::new as _;");
    proposal.keeps = Keeps::Nothing;
    let text = ONE.replace("one", "new");
    proposal.buffers = vec![Buffer { path: common.join("shared.rs"), text }];
    let report = house.climb(&proposal).await;
    assert!(report.held(Rung::Compiles), "{}", shown(&report));
}

#[cfg(unix)]
#[tokio::test]
async fn what_may_not_be_read_is_left_out() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new(&[("src/lib.rs", ONE), ("secret/key", "a"), ("secret.txt", "b")]);
    let house = house.and(|root| {
        for (name, mode) in [("secret", 0o000), ("secret.txt", 0o000)] {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).expect("mine");
        }
    });
    let said = check(&house, "src/lib.rs", "2").await;
    for name in ["secret", "secret.txt"] {
        let open = fs::Permissions::from_mode(0o700);
        fs::set_permissions(house.root.join(name), open).expect("mine");
    }
    assert_eq!(said, "parsed, formatted, compiled; tests not run (this module has no tests)");
}

#[tokio::test]
async fn a_workspace_larger_than_a_check_may_copy_is_not_copied() {
    let house = House::with(
        &[("Cargo.toml", MANIFEST), ("src/lib.rs", ONE), ("data.bin", &"x".repeat(100_000))],
        Limits { copied: 64 << 10, ..limits() },
    );
    assert_eq!(
        check(&house, "src/lib.rs", "2").await,
        "parsed, formatted; not compiled (the workspace is larger than a check may copy)"
    );
}

#[tokio::test]
async fn artefacts_stay_within_their_bound_and_source_text_does_not_stay() {
    let mut house = House::with(
        &[("Cargo.toml", MANIFEST), ("src/lib.rs", ONE)],
        Limits { kept: 8 << 20, ..limits() },
    );
    check(&house, "src/lib.rs", "2").await;
    let slot = house.slot();
    house.restart();
    let left: Vec<_> = fs::read_dir(slot.join("work")).expect("a folder").flatten().collect();
    let names: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(names, ["target"], "no text of the user's is left");
    let built = slot.join("work/target/debug");
    assert!(built.exists());
    check(&house, "src/lib.rs", "3").await;
    // As if builds had gone on for long.
    let large = fs::File::create(built.join("large")).expect("a file");
    large.set_len(9 << 20).expect("a sparse file");
    house.restart();
    check(&house, "src/lib.rs", "4").await;
    assert!(!built.join("large").exists());
}
