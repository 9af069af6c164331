//! Code that would send without permission does not compile.
//!
//! The cases are compiled against the library that this test is linked with. A crate that does such
//! tests builds everything that Hearth stands on twice more, for minutes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The newest library beside this test: cargo built it for this very run.
fn library(folder: &Path) -> PathBuf {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = entry.path();
        let named = entry.file_name().to_string_lossy().starts_with("libhearth-");
        if named && path.extension().is_some_and(|extension| extension == "rlib") {
            let written = entry.metadata().and_then(|about| about.modified()).expect("a time");
            found.push((written, path));
        }
    }
    found.into_iter().max().expect("the library").1
}

/// What the compiler says of a case, and whether it compiles.
fn compile(case: &Path) -> (bool, String) {
    let test = std::env::current_exe().expect("this test");
    let deps = test.parent().expect("a folder");
    let out = tempfile::tempdir().expect("a folder");
    let mut hearth = std::ffi::OsString::from("hearth=");
    hearth.push(library(deps));
    let output = Command::new("rustc")
        .args(["--edition=2024", "--emit=metadata", "--out-dir"])
        .arg(out.path())
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--extern")
        .arg(hearth)
        .arg(case.file_name().expect("a name"))
        .current_dir(case.parent().expect("a folder"))
        .output()
        .expect("rustc");
    (output.status.success(), String::from_utf8(output.stderr).expect("UTF-8"))
}

/// Cases, and what the compiler has against each.
const FORBIDDEN: [(&str, &str); 7] = [
    ("without_a_permit", "expected `&Permit`, found `&Examined`"),
    ("cloud_without_a_permit", "expected `&Permit`, found `&Parcel`"),
    ("made_by_hand", "cannot construct `Permit` with struct literal syntax due to private fields"),
    ("unexamined", "no function or associated item named `new` found for struct `Permit`"),
    ("copied", "expected `Permit`, found `&Permit`"),
    ("changed", "field `turns` of struct `Permit` is private"),
    ("read_from_a_file", "is not satisfied"),
];

#[test]
fn only_the_border_permits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/permit");
    let (compiles, said) = compile(&folder.join("with_a_permit.rs"));
    assert!(compiles, "{said}");
    for (case, why) in FORBIDDEN {
        let (compiles, said) = compile(&folder.join(format!("{case}.rs")));
        assert!(!compiles, "{case} compiles");
        assert!(said.contains(why), "{case}: {said}");
    }
}
