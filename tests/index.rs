//! The index follows the workspace: seen through the whole server, on real files.

mod support;

use std::{
    fs,
    os::unix::fs as unix,
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use expect_test::{Expect, expect};
use hearth::{
    index::{Contents, Index, Scope, Symbol},
    server::Options,
    session::Session,
};
use serde_json::{Value as Json, json};
use support::client::{Client, Setup};
use tempfile::TempDir;

/// The index works at the lowest priority: on a machine that does other things as well it may be long
/// before it comes to it. Only a test that fails waits for all of this.
const LIMIT: std::time::Duration = std::time::Duration::from_mins(2);

/// An editor with folders of its own open in Hearth.
struct House {
    /// Dropped last.
    folder: TempDir,
    client: Client,
    session: Arc<Session>,
    index: Arc<Index>,
}

/// What the editor can do beside editing.
#[derive(Clone, Copy, PartialEq)]
enum Editor {
    /// Tells of changed files.
    Tells,
    /// Does not: the server has to look by itself.
    IsSilent,
}

fn uri(path: &Path) -> String {
    url::Url::from_file_path(path).unwrap().into()
}

impl House {
    /// Opens the folder `w`, in which `files` are.
    async fn open(files: &[(&str, &str)], editor: Editor) -> Self {
        Self::open_with(files, editor, json!({})).await
    }

    async fn open_with(files: &[(&str, &str)], editor: Editor, settings: Json) -> Self {
        let setup = Setup {
            initialization_options: settings,
            watched_files: editor == Editor::Tells,
            ..Setup::default()
        };
        Self::open_as(files, setup).await
    }

    async fn open_as(files: &[(&str, &str)], setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("w")).unwrap();
        let (index, session) = (Arc::<Index>::default(), Arc::<Session>::default());
        let setup = Setup {
            folders: vec![uri(&folder.path().join("w"))],
            options: Options {
                index: Arc::clone(&index),
                session: Arc::clone(&session),
                ..Options::default()
            },
            ..setup
        };
        for (name, text) in files {
            write(&folder, name, text);
        }
        let house = Self { folder, client: setup.start().await, session, index };
        house.has_roots(&["w"]).await;
        house.index.settled().await;
        house
    }

    /// Waits until the index is that of these folders. It is told of them aside: until then it is settled
    /// over nothing.
    async fn has_roots(&self, names: &[&str]) {
        let roots: Vec<_> = names.iter().map(|name| self.folder.path().join(name)).collect();
        let mut progress = self.index.progress();
        while self.index.scope().roots != roots {
            progress.changed().await.unwrap();
        }
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.folder, name, text);
    }

    fn uri(&self, name: &str) -> String {
        uri(&self.folder.path().join(name))
    }

    /// Tells the server that these have changed, as an editor does.
    fn tell(&self, names: &[&str]) {
        // What happened to them is not looked at.
        let change = |name: &&str| json!({ "uri": self.uri(name), "type": 2 });
        let changes: Vec<_> = names.iter().map(change).collect();
        self.client.notify_raw("workspace/didChangeWatchedFiles", json!({ "changes": changes }));
    }

    /// Waits until the index has what is in an open document.
    async fn parsed(&self, uri: &str) {
        self.client.settle().await;
        self.session.document(uri).unwrap().parsed().await;
        self.index.settled().await;
    }

    /// Waits until the index says this; fails with what it says instead.
    async fn expect(&self, expected: Expect) {
        let wanted = expected.data().to_owned();
        let mut progress = self.index.progress();
        let reached = async {
            while unindented(&self.dump()) != unindented(&wanted) {
                progress.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(LIMIT, reached).await.is_err() {
            expected.assert_eq(&self.dump());
        }
    }

    /// Files with the items in them, then what was left out.
    fn dump(&self) -> String {
        let view = self.index.read();
        let mut lines = Vec::new();
        for (id, file) in view.files() {
            let names: Vec<_> = view.items(id).map(|item| item.path()).collect();
            lines.push(format!("{}: {}\n", file.relative_path(), names.join(" ")));
        }
        lines.sort();
        let progress = self.index.progress().borrow().clone();
        lines.extend(progress.skipped.iter().map(|(skip, count)| format!("{count} {skip}\n")));
        lines.concat()
    }

    /// How many of something there are of a name.
    fn count(&self, name: &str, count: impl Fn(&Contents, Symbol) -> usize) -> usize {
        let view = self.index.read();
        view.symbol(name).map_or(0, |name| count(&view, name))
    }

    async fn close(self) {
        self.client.shutdown().await;
    }
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A text without the indentation that `expect!` takes off, whatever that is.
fn unindented(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().map(str::trim).collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_an_editor_tells_of_are_followed() {
    files_on_disk_are_followed(Editor::Tells).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_no_editor_tells_of_are_followed() {
    files_on_disk_are_followed(Editor::IsSilent).await;
}

async fn files_on_disk_are_followed(editor: Editor) {
    let house = House::open(&[("w/a.rs", "fn one() {}"), ("w/b.py", "x = 1")], editor).await;
    house
        .expect(expect![[r#"
            a.rs: a::one
            b.py: b.x
        "#]])
        .await;

    house.write("w/new/c.rs", "fn made() {}");
    house.tell(&["w/new/c.rs"]);
    house
        .expect(expect![[r#"
            a.rs: a::one
            b.py: b.x
            new/c.rs: new::c::made
        "#]])
        .await;

    house.write("w/a.rs", "fn changed() {}");
    house.tell(&["w/a.rs"]);
    house
        .expect(expect![[r#"
            a.rs: a::changed
            b.py: b.x
            new/c.rs: new::c::made
        "#]])
        .await;

    fs::rename(house.folder.path().join("w/new"), house.folder.path().join("w/old")).unwrap();
    house.tell(&["w/new", "w/old"]);
    house
        .expect(expect![[r#"
            a.rs: a::changed
            b.py: b.x
            old/c.rs: old::c::made
        "#]])
        .await;

    fs::remove_file(house.folder.path().join("w/b.py")).unwrap();
    fs::remove_dir_all(house.folder.path().join("w/old")).unwrap();
    house.tell(&["w/b.py", "w/old"]);
    house
        .expect(expect![[r#"
            a.rs: a::changed
        "#]])
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_switched() {
    let house = House::open(&[("w/keep.rs", "fn keep() {}")], Editor::Tells).await;
    let names: Vec<String> = (0..3_000).map(|n| format!("w/m{}/f{n}.rs", n % 50)).collect();
    for name in &names {
        house.write(name, "fn first() {}");
    }
    let told: Vec<&str> = names.iter().map(String::as_str).collect();
    house.tell(&told);
    for name in &names[..2_000] {
        fs::remove_file(house.folder.path().join(name)).unwrap();
    }
    house.write("w/keep.rs", "fn kept() {}");
    house.write("w/.gitignore", "m1/\nm2/\n");
    house.tell(&told);
    house.tell(&["w/.gitignore", "w/keep.rs"]);
    house.client.settle().await;
    house.index.settled().await;
    assert_eq!(house.index.read().totals().files, 1 + 1_000 - 2 * 20);
    assert_eq!(house.count("kept", |view, name| view.definitions(name).count()), 1);
    assert_eq!(house.count("keep", |view, name| view.definitions(name).count()), 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsaved_buffer_counts_instead_of_its_file() {
    let mut house = House::open(&[("w/a.rs", "fn disk() {}")], Editor::Tells).await;
    let uri = house.uri("w/a.rs");
    house.client.open(&uri, "fn buffer() {}");
    house
        .expect(expect![[r#"
        a.rs: a::buffer
    "#]])
        .await;
    house.client.change(&uri, (0, 3), (0, 9), "typed");
    house
        .expect(expect![[r#"
        a.rs: a::typed
    "#]])
        .await;
    // The disk changes under the buffer, or goes.
    house.write("w/a.rs", "fn later() {}");
    house.tell(&["w/a.rs"]);
    house.client.settle().await;
    house.index.settled().await;
    house
        .expect(expect![[r#"
        a.rs: a::typed
    "#]])
        .await;
    house.client.close(&uri);
    house
        .expect(expect![[r#"
        a.rs: a::later
    "#]])
        .await;
    // A file that was never saved.
    let new = house.uri("w/new.rs");
    house.client.open(&new, "fn never_saved() {}");
    house
        .expect(expect![[r#"
        a.rs: a::later
        new.rs: new::never_saved
    "#]])
        .await;
    house.client.close(&new);
    house
        .expect(expect![[r#"
        a.rs: a::later
    "#]])
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_without_a_grammar_has_uses() {
    let mut house = House::open(&[("w/a.c", "int on_disk;")], Editor::Tells).await;
    let uri = house.uri("w/a.c");
    house.client.open(&uri, "int opened;\n");
    house.parsed(&uri).await;
    house.client.change(&uri, (1, 0), (1, 0), "int typed;");
    house.parsed(&uri).await;
    let uses = |name| house.count(name, |view, name| view.uses(name).count());
    assert_eq!(["on_disk", "opened", "typed"].map(uses), [0, 1, 1]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_excluded_is_not_there_where_an_editor_tells() {
    what_is_excluded_is_not_there(Editor::Tells).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_excluded_is_not_there_where_no_editor_tells() {
    what_is_excluded_is_not_there(Editor::IsSilent).await;
}

async fn what_is_excluded_is_not_there(editor: Editor) {
    let files = [
        ("w/a.rs", "fn a() {}"),
        ("w/out/b.rs", "fn b() {}"),
        ("w/.gitignore", "out/\n"),
        ("w/secret/c.rs", "fn c() {}"),
        ("w/.hearthignore", "/own.rs\n!out/\n"),
        ("w/own.rs", "fn own() {}"),
        ("w/.hidden/d.rs", "fn d() {}"),
    ];
    let settings = json!({ "privacy": { "exclude": ["secret/", "!secret/c.rs"] } });
    let mut house = House::open_with(&files, editor, settings).await;
    house
        .expect(expect![[r#"
            a.rs: a::a
        "#]])
        .await;
    // Open or not.
    for name in ["w/own.rs", "w/secret/c.rs", "w/out/new.rs"] {
        let uri = house.uri(name);
        house.client.open(&uri, "fn open() {}");
        house.parsed(&uri).await;
    }
    house
        .expect(expect![[r#"
            a.rs: a::a
        "#]])
        .await;
    house.write("w/.hearthignore", "a.rs\n");
    house.tell(&["w/.hearthignore"]);
    house
        .expect(expect![[r#"
            own.rs: own::open
        "#]])
        .await;
    fs::remove_file(house.folder.path().join("w/.gitignore")).unwrap();
    house.tell(&["w/.gitignore"]);
    house
        .expect(expect![[r#"
            out/b.rs: out::b::b
            out/new.rs: out::new::open
            own.rs: own::open
        "#]])
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_come_and_go() {
    let files = [("w/a.rs", "fn a() {}"), ("v/b.rs", "fn b() {}"), ("w/in/c.rs", "fn c() {}")];
    let house = House::open(&files, Editor::IsSilent).await;
    let change = |added: &[&str], removed: &[&str]| {
        let folders = |names: &[&str]| -> Vec<Json> {
            names.iter().map(|name| json!({ "uri": house.uri(name), "name": name })).collect()
        };
        let event = json!({ "added": folders(added), "removed": folders(removed) });
        house.client.notify_raw("workspace/didChangeWorkspaceFolders", json!({ "event": event }));
    };
    change(&["v", "w/in"], &[]);
    house
        .expect(expect![[r#"
        a.rs: a::a
        b.rs: b::b
        c.rs: c::c
    "#]])
        .await;
    house.write("v/d.rs", "fn d() {}");
    house
        .expect(expect![[r#"
        a.rs: a::a
        b.rs: b::b
        c.rs: c::c
        d.rs: d::d
    "#]])
        .await;
    change(&[], &["w"]);
    house
        .expect(expect![[r#"
        b.rs: b::b
        c.rs: c::c
        d.rs: d::d
    "#]])
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_may_be_anything() {
    let large = "// a line of a log\n".repeat(50 << 20 >> 4);
    let files = [
        ("w/a.rs", "fn a() {}"),
        ("w/large.rs", large.as_str()),
        ("w/zeros.rs", "fn b() {}\0"),
        ("w/made.rs", "/* Automatically generated by a program */\nfn c() {}"),
        ("w/broken.rs", "fn ( { struct } mod ]"),
        ("w/empty.rs", ""),
        ("w/deep.rs", &"mod a {\n".repeat(10_000)),
        ("w/deeper.rs", &"(\n".repeat(100_000)),
        ("w/nested.rs", &format!("fn f() {{\n{}1{}\n}}", "(\n".repeat(20_000), ")".repeat(20_000))),
        ("elsewhere/d.rs", "fn d() {}"),
    ];
    let house = House::open(&files, Editor::Tells).await;
    let folder = house.folder.path().join("w");
    fs::write(folder.join("latin.rs"), b"fn caf\xe9() {}").unwrap();
    unix::symlink(&folder, folder.join("loop")).unwrap();
    unix::symlink(folder.join("../elsewhere/d.rs"), folder.join("link.rs")).unwrap();
    unix::symlink(folder.join("nowhere"), folder.join("dangling.rs")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.join("pipe.rs")).status();
    assert!(made.unwrap().success());
    house.tell(&["w/latin.rs", "w/loop", "w/link.rs", "w/dangling.rs", "w/pipe.rs", "w/loop/a.rs"]);
    house.client.settle().await;
    house
        .expect(expect![[r#"
        a.rs: a::a
        broken.rs: 
        deep.rs: 
        deeper.rs: 
        empty.rs: 
        nested.rs: nested::f
        1 too large
        2 binary
        1 generated
    "#]])
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_reading_is_told() {
    let setup = Setup { progress: true, watched_files: true, ..Setup::default() };
    let house = House::open_as(&[], setup).await;
    for number in 0..1_000 {
        house.write(&format!("w/new/f{number}.rs"), &format!("fn f{number}() {{}}\n"));
    }
    house.write("w/new/zeros.rs", "\0");
    // As long as somebody looks nothing is taken in: it lasts until it is told.
    let ((looks, is_looked_at), (told, is_told)) = (mpsc::channel(), mpsc::channel());
    let index = Arc::clone(&house.index);
    let looking = thread::spawn(move || {
        let _view = index.read();
        looks.send(()).unwrap();
        is_told.recv().unwrap();
    });
    is_looked_at.recv().unwrap();
    house.tell(&["w/new"]);
    let token = house.client.received("window/workDoneProgress/create").await["token"].take();
    told.send(()).unwrap();
    looking.join().unwrap();
    let mut told = String::new();
    loop {
        let mut message = house.client.received("$/progress").await;
        assert_eq!(message["token"], token);
        let value = message["value"].take();
        if value["kind"] != "report" {
            told.push_str(&value.to_string());
            told.push('\n');
        }
        if value["kind"] == "end" {
            break;
        }
    }
    expect![[r#"
        {"title":"Reading the workspace","kind":"begin"}
        {"message":"2000 lines in 1000 files; left out: 1 binary","kind":"end"}
    "#]]
    .assert_eq(&told);
    house.close().await;
}

/// A registry with one package that hands on another, and one that the workspace does not name.
#[test]
fn public_signatures_of_dependencies_count() {
    let folder = tempfile::tempdir().unwrap();
    let lock = |name: &str, source: &str, dependencies: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{source}{dependencies}\n")
    };
    let registry = "source = \"registry+https://example.com/index\"\n";
    let locks = [
        lock("app", "", "dependencies = [\"facade\"]"),
        lock("facade", registry, "dependencies = [\"inner\", \"hidden\"]"),
        lock("inner", registry, ""),
        lock("hidden", registry, ""),
    ];
    let files = [
        ("w/Cargo.toml", "package.name = \"app\"\ndependencies.facade = \"1\""),
        ("w/Cargo.lock", &locks.concat()),
        ("w/src/main.rs", "fn main() { facade::run() }"),
        (
            "home/registry/src/i/facade-1.0.0/src/lib.rs",
            "use hidden::x;\npub use inner::{Inner, deep::*};\n/// Runs.\npub fn run() -> u8 { 1 }\n\
             fn private() {}\npub(crate) fn own() {}\n#[cfg(test)] mod tests { pub fn t() {} }",
        ),
        ("home/registry/src/i/facade-1.0.0/Cargo.toml", "package.name = \"facade\""),
        ("home/registry/src/i/facade-1.0.0/tests/t.rs", "pub fn test_of_facade() {}"),
        (
            "home/registry/src/i/inner-1.0.0/src/deep/mod.rs",
            "pub struct Inner { pub a: u8, b: u8 }\nimpl Inner { pub fn new() -> Self {} fn n() {} }",
        ),
        ("home/registry/src/i/inner-1.0.0/Cargo.toml", "package.name = \"inner\""),
        ("home/registry/src/i/hidden-1.0.0/src/lib.rs", "pub fn hidden() {}"),
        ("home/registry/src/i/hidden-1.0.0/Cargo.toml", "package.name = \"hidden\""),
    ];
    for (name, text) in files {
        write(&folder, name, text);
    }
    let scope = Scope {
        roots: vec![folder.path().join("w")],
        cargo_home: Some(folder.path().join("home")),
        ..Scope::default()
    };
    let index = Index::start(scope.clone());
    futures::executor::block_on(index.settled());
    let dump = || {
        let view = index.read();
        let mut lines: Vec<_> = view
            .files()
            .flat_map(|(id, file)| {
                let show = |item: hearth::index::Item<'_>| {
                    format!("{} {} `{}`\n", file.relative_path(), item.path(), item.signature())
                };
                view.items(id).map(show).collect::<Vec<_>>()
            })
            .collect();
        lines.sort();
        lines.concat()
    };
    expect![[r#"
        facade/src/lib.rs facade::run `pub fn run() -> u8`
        inner/src/deep/mod.rs inner::deep::Inner `impl Inner`
        inner/src/deep/mod.rs inner::deep::Inner `pub struct Inner`
        inner/src/deep/mod.rs inner::deep::Inner::a `pub a: u8`
        inner/src/deep/mod.rs inner::deep::Inner::new `pub fn new() -> Self`
        src/main.rs app::main `fn main()`
    "#]]
    .assert_eq(&dump());
    assert_eq!(index.read().totals().files, 1, "dependencies are not the workspace");
    let without = |globs: &[&str]| Scope {
        exclude: globs.iter().map(|glob| (*glob).to_owned()).collect(),
        ..scope.clone()
    };
    // By the names of the registry and of the code; what is excluded is gone at once.
    for globs in [&["inner/"][..], &["inner-1.0.0"], &["/inner/src/deep"], &["*/src/deep/*.rs"]] {
        index.set_scope(without(globs));
        assert!(!dump().contains("inner/"), "{globs:?}");
        futures::executor::block_on(index.settled());
        expect![[r#"
            facade/src/lib.rs facade::run `pub fn run() -> u8`
            src/main.rs app::main `fn main()`
        "#]]
        .assert_eq(&dump());
    }
    // And back again.
    index.set_scope(without(&["hidden", "deep"]));
    index.set_scope(without(&["lib.rs"]));
    futures::executor::block_on(index.settled());
    assert!(dump().starts_with("inner/src/deep/mod.rs inner::deep::Inner"), "{}", dump());
    assert!(!dump().contains("facade/"), "{}", dump());
    index.set_scope(Scope { cargo_home: None, ..scope });
    futures::executor::block_on(index.settled());
    expect![[r#"
        src/main.rs app::main `fn main()`
    "#]]
    .assert_eq(&dump());
}

/// A dependency by path and one that is vendored lie in the workspace: what excludes files there excludes
/// them.
#[test]
fn dependencies_in_the_workspace_are_excluded_as_its_files_are() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "package.name = \"app\"\ndependencies = { by-path.path = \"by-path\", \
                    other.path = \"../other\", vendored = \"1\" }";
    let locked = |name: &str, more: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{more}\n")
    };
    let locks = [
        locked("app", "dependencies = [\"by-path\", \"other\", \"vendored\"]"),
        locked("by-path", ""),
        locked("other", ""),
        locked("vendored", "source = \"registry+https://example.com/index\"\n"),
    ];
    for (name, text) in [
        ("w/Cargo.toml", manifest),
        ("w/Cargo.lock", &locks.concat()),
        ("w/src/main.rs", "fn main() { by_path::f(); other::f(); vendored::f() }"),
        ("w/by-path/Cargo.toml", "package.name = \"by-path\""),
        ("w/by-path/src/lib.rs", "pub fn of_a_path() {}"),
        ("w/vendor/vendored/Cargo.toml", "package.name = \"vendored\""),
        ("w/vendor/vendored/src/lib.rs", "pub fn vendored() {}"),
        ("other/Cargo.toml", "package.name = \"other\""),
        ("other/src/lib.rs", "pub fn outside_of_the_workspace() {}"),
        ("home/registry/src/i/.keep", ""),
    ] {
        write(&folder, name, text);
    }
    let check = |rules: &[(&str, &str)], expected: &str| {
        for (name, text) in rules {
            write(&folder, name, text);
        }
        let index = Index::start(Scope {
            roots: vec![folder.path().join("w")],
            cargo_home: Some(folder.path().join("home")),
            ..Scope::default()
        });
        futures::executor::block_on(index.settled());
        let view = index.read();
        let items = view.files().flat_map(|(id, _)| view.items(id));
        let mut names: Vec<_> = items.map(|item| item.name().to_owned()).collect();
        names.sort();
        assert_eq!(names.join(" "), expected, "{rules:?}");
        for (name, _) in rules {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    };
    check(&[], "main of_a_path vendored");
    check(&[("w/.hearthignore", "vendor/\n")], "main of_a_path");
    check(&[("w/.gitignore", "vendor/\n/by-path\n")], "main");
    check(&[("w/vendor/vendored/.hearthignore", "src/lib.rs\n")], "main of_a_path");
}
