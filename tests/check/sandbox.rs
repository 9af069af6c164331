//! What code that a model wrote can reach, by what this system has to keep it in.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use hearth::{
    check::{Isolation, Keeps, Ruling, Target, Trial},
    config::Toolchains,
};
use tempfile::TempDir;

use crate::house::{House, MANIFEST, all_rights, limits, masked};

/// The tools of this machine but for `hidden`, by links where a folder holds one of those.
fn without(hidden: &[&str]) -> (Toolchains, TempDir) {
    let mut toolchains = Toolchains::of_environment();
    let shadow = tempfile::Builder::new().prefix("tools").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let shadow = shadow.expect("a folder");
    for (n, folder) in toolchains.path.iter_mut().enumerate() {
        if hidden.iter().any(|name| folder.join(name).exists()) {
            let links = shadow.path().join(n.to_string());
            fs::create_dir(&links).expect("a folder");
            for entry in fs::read_dir(&folder).expect("a folder").flatten() {
                let name = entry.file_name();
                if hidden.iter().all(|hidden| name != *hidden) {
                    #[cfg(unix)]
                    std::os::unix::fs::symlink(entry.path(), links.join(&name)).expect("a link");
                }
            }
            *folder = links;
        }
    }
    (toolchains, shadow)
}

/// Runs this as a test's body; what was kept from it, and what it said if it failed.
async fn run(body: &str, toolchains: Toolchains) -> (Isolation, Option<String>) {
    let lib = "pub fn one() -> u8 {\n    1\n}\n#[cfg(test)]\nmod tests {\n    // More.\n}\n";
    let house = House::by(&[("Cargo.toml", MANIFEST), ("src/lib.rs", lib)], limits(), toolchains);
    let test = format!(
        "#[test]\n    fn generated() {{\n        assert_eq!(crate::one(), 1);\n        {body}\n    }}"
    );
    let mut proposal = house.proposal("src/lib.rs", "// More.", &test);
    proposal.keeps = Keeps::Nothing;
    let target = Target { file: proposal.file.clone(), range: 0..26 };
    let trial = Trial { proposal, test: "generated".to_owned(), target, repeats: 1, mutants: 1 };
    let judgement = house.checker.judge(&trial, all_rights(), &|_| {}).await;
    house.untouched();
    house.nothing_runs().await;
    let isolation = judgement.isolation.expect("something ran");
    match judgement.ruling {
        Ruling::Kills(_) => (isolation, None),
        Ruling::Dropped(dropped) => (isolation, Some(masked(&dropped.failure().message))),
        other => panic!("{other:?}"),
    }
}

/// Tries to connect, to write elsewhere and to read the home folder; what is said to be kept from it
/// is kept from it, and nothing else is claimed.
async fn check(toolchains: Toolchains) -> Isolation {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let written = elsewhere.path().join("written");
    let connect = format!("std::net::TcpStream::connect((\"127.0.0.1\", {port})).unwrap();");
    let (isolation, said) = run(&connect, toolchains.clone()).await;
    assert_eq!(isolation.network, said.is_some(), "{said:?}");
    let write = format!("std::fs::write({:?}, \"\").unwrap();", written.to_string_lossy());
    let (isolation, said) = run(&write, toolchains.clone()).await;
    assert_eq!(isolation.writes, said.is_some(), "{said:?}");
    assert_eq!(isolation.writes, !written.exists());
    let home = toolchains.home.clone().unwrap_or_else(|| PathBuf::from("/"));
    let tools = |path: &Path| {
        let folders = toolchains.folders.iter().map(|(_, folder)| folder.clone());
        folders.chain(toolchains.path.clone()).any(|tool| tool.starts_with(path))
    };
    let private = fs::read_dir(&home).expect("a folder").flatten().map(|entry| entry.path());
    let private = private.filter(|path| !tools(path)).find(|path| path.is_file());
    if let Some(private) = private {
        let (isolation, said) =
            run(&format!("std::fs::read({:?}).unwrap();", private.to_string_lossy()), toolchains)
                .await;
        assert_eq!(isolation.home, said.is_some(), "{said:?}");
    }
    isolation
}

#[tokio::test]
async fn with_what_this_system_has() {
    check(Toolchains::of_environment()).await;
}

#[cfg(unix)]
#[tokio::test]
async fn without_bubblewrap() {
    let (toolchains, _links) = without(&["bwrap"]);
    let isolation = check(toolchains).await;
    assert!(!isolation.home, "no more is claimed than is kept");
}

#[cfg(unix)]
#[tokio::test]
async fn without_anything() {
    let (toolchains, _links) = without(&["bwrap", "unshare"]);
    let isolation = check(toolchains).await;
    assert_eq!(
        isolation.to_string(),
        "what ran could use the network, write outside of its copy, read the home folder"
    );
}
