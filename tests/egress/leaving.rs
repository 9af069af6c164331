//! What leaves, what stays, and what is said of it.

use std::fs;

use expect_test::{Expect, expect};
use hearth::egress::{
    Border, Consent, Content, Destination, Origin, Parcel, Piece, Price, Refusal, Role, ToolCall,
    Trust, Turn,
};
use serde_json::json;

use super::{CLOUD, Workspace, destination, numbered, parcel, text, token, words};

const PROJECT: &str = "\
//- .gitignore
/build
*.log
!keep.log
//- .hearthignore
secret_plans/
//- src/main.rs
fn main() {
    let answer = 42;
}
//- build/out.rs
fn generated() {}
//- run.log
started
//- keep.log
kept
//- secret_plans/a.md
plans
//- .env
A=1
//- deploy/server.PEM
x
//- vendor/lib.rs
fn theirs() {}
";

#[test]
fn a_manifest_lists_what_leaves_and_what_stays() {
    let mut house = Workspace::new(PROJECT);
    house.settings.privacy_exclude = vec!["vendor/".to_owned()];
    let key = token(1);
    house.write("src/client.rs", &format!("const TOKEN: &str = \"{key}\";\nfn call() {{}}\n"));
    std::os::unix::fs::symlink("../.env", house.root().join("src/innocent.rs")).expect("a link");
    std::os::unix::fs::symlink("/etc/hostname", house.root().join("src/host")).expect("a link");
    let paths = [
        "src/main.rs",
        "src/client.rs",
        "keep.log",
        "build/out.rs",
        "run.log",
        "secret_plans/a.md",
        ".env",
        "deploy/server.PEM",
        "vendor/lib.rs",
        "src/innocent.rs",
        "src/host",
    ];
    let mut parcel = house.pieces(&paths);
    let price = Price { input: 3.0, output: 15.0 };
    parcel.destination = parcel.destination.with_price(price);
    let preview = house.border().preview(parcel, words).expect("something leaves");
    let root = house.root().canonicalize().expect("a folder");
    let manifest = preview.manifest.to_string().replace(root.to_str().expect("UTF-8"), "ROOT");
    expect![[r#"
        to https://cloud.example:8443 (large-1)
        21 tokens, 176 bytes, at most $0.0151 with 1000 tokens out
          keep.log:1-1
          src/client.rs:1-2
          src/main.rs:1-3
          replaced: 1 × github-pat
          kept here: build/out.rs is ignored (.gitignore)
          kept here: run.log is ignored (.gitignore)
          kept here: secret_plans/a.md is ignored (.hearthignore)
          kept here: .env looks like a place for secrets
          kept here: deploy/server.PEM looks like a place for secrets
          kept here: vendor/lib.rs is excluded (privacy.exclude)
          kept here: ROOT/src/host is outside of the workspace
    "#]]
    .assert_eq(&manifest);
    expect![[r#"
        You read code.
        src/main.rs:1-3
        fn main() {
            let answer = 42;
        }
        src/client.rs:1-2
        const TOKEN: &str = "<secret 1>";
        fn call() {}
        keep.log:1-1
        kept
    "#]]
    .assert_eq(&numbered(&preview.text));
    assert!(preview.text.len() > preview.manifest.bytes - 1 && !preview.text.contains(&key));
    assert_eq!(preview.text.len(), preview.manifest.bytes);
    assert_eq!(words(&preview.text), preview.manifest.tokens);
}

fn refused(house: &Workspace, parcel: Parcel, expected: Expect) {
    let refusal = house.try_once(parcel).expect_err("a refusal");
    expected.assert_eq(&refusal.to_string());
    let log = house.log().entries().expect("a log");
    assert_eq!(log.last().map(|entry| entry.reason.as_str()), Some(refusal.word()));
}

#[test]
fn refusals_say_why_and_are_written_down() {
    let mut house = Workspace::new(PROJECT);
    let main = || house.pieces(&["src/main.rs"]);
    refused(
        &house,
        Parcel { private: true, ..main() },
        expect!["this task is private, so it stays on this machine"],
    );
    refused(
        &house,
        house.pieces(&[".env"]),
        expect![
            "everything that this task would send has to stay here; the first: .env looks like a place for secrets"
        ],
    );
    house.decisions().trust(house.root(), false).expect("a decision");
    refused(
        &house,
        main(),
        expect![
            "this workspace is not trusted, so nothing of it is sent; `hearth trust DIR` trusts it"
        ],
    );
    house.decisions().trust(house.root(), true).expect("a decision");
    house.decisions().keep(house.root(), &destination().host(), Consent::Never).expect("kept");
    refused(&house, main(), expect!["sending to https://cloud.example:8443 was declined"]);
    house.decisions().forget(house.root()).expect("forgotten");
    let parcel = main();
    house.settings.privacy_private = vec!["src/".to_owned()];
    refused(
        &house,
        parcel.clone(),
        expect!["src/main.rs is private (privacy.private), so the task stays on this machine"],
    );
    house.settings.privacy_enforced = false;
    let permit = house.try_once(parcel).expect("the user's own decision");
    assert!(permit.manifest().private);
    assert_eq!(house.log().verify().expect("a whole log"), 6);
}

#[test]
fn a_border_that_cannot_be_built_lets_nothing_out() {
    let mut house = Workspace::new(PROJECT);
    house.settings.privacy_exclude = vec!["{a".to_owned()];
    let built = |house: &Workspace| {
        Border::new(house.root(), &house.settings, house.state.path(), Trust::Stored)
    };
    assert!(matches!(built(&house), Err(Refusal::Pattern { setting: "privacy.exclude", .. })));
    house.settings.privacy_exclude.clear();
    let gone = Workspace::new("");
    fs::remove_dir_all(gone.root()).expect("removed");
    assert!(matches!(built(&gone), Err(Refusal::Workspace { .. })));
    // An ignore file that cannot be read keeps everything below it at home.
    house.write("src/.gitignore/in_its_place", "");
    let parcel = house.pieces(&["src/main.rs"]);
    assert!(matches!(house.try_once(parcel), Err(Refusal::NothingLeft { .. })));
    // So do decisions that cannot be read.
    fs::write(house.state.path().join("decisions.json"), "{\"trust\": 1}").expect("written");
    let parcel = house.pieces(&["keep.log"]);
    assert!(matches!(house.try_once(parcel), Err(Refusal::Record { .. })));
}

#[test]
fn a_cloud_has_an_address_without_credentials() {
    let address = |url: &str| Destination::new(&url.parse().expect("a URL"), "m").is_ok();
    assert!(address("https://api.example/v1"));
    assert!(address("http://127.0.0.1:8080") && address("http://[::1]:8080"));
    for wrong in [
        "http://api.example/v1",
        "http://localhost:1",
        "https://key@api.example",
        "ftp://api.example",
        "https://api.example/?key=1",
        "https://api.example/#a",
        "data:text/plain,x",
    ] {
        assert!(!address(wrong), "{wrong}");
    }
}

#[test]
fn a_permit_is_for_one_host_and_a_redirect_elsewhere_is_written_down() {
    let house = Workspace::new(PROJECT);
    let permit = house.try_once(house.pieces(&["src/main.rs"])).expect("a permit");
    let check = |url: &str| permit.check(&url.parse().expect("a URL"));
    check(CLOUD).expect("the destination");
    check("https://cloud.example:8443/another/path").expect("the same host");
    for other in ["https://cloud.example/v1", "http://cloud.example:8443", "https://evil.example"] {
        let refusal = check(other).expect_err("another host");
        assert!(matches!(refusal, Refusal::OtherHost { .. }), "{refusal}");
    }
    let reasons: Vec<String> =
        house.log().entries().expect("a log").into_iter().map(|entry| entry.reason).collect();
    assert_eq!(reasons, ["once", "other-host", "other-host", "other-host"]);
}

#[test]
fn a_secret_is_one_wherever_it_stands() {
    let key = token(7);
    let house = Workspace::new(&format!("//- a.rs\nconst KEY: &str = \"{key}\";\n"));
    let border = house.border();
    let whole = border.examine(house.pieces(&["a.rs"]), words).expect("examined");
    let permit = whole.seal(Consent::Once).expect("a permit");
    let restorer = permit.restorer();
    let sent = text(&permit);
    let placeholder = sent.split('"').nth(1).expect("a string").to_owned();
    assert_eq!(restorer.restore(&format!("use {placeholder}!")), format!("use {key}!"));
    // Said again without anything that would tell what it is, and cut in the middle of it.
    let file = fs::read_to_string(house.root().join("a.rs")).expect("a file");
    let half = file.find("ghp_").expect("the key") + 20;
    let turn = |role, content| Turn { role, contents: vec![content] };
    let call =
        ToolCall { id: "1".into(), name: "read".into(), input: json!({ "of": [&key[4..]] }) };
    let next = Parcel {
        turns: vec![
            turn(Role::User, Content::Words(format!("What is {key} ?"))),
            turn(Role::Assistant, Content::Said(format!("x{}", &key))),
            turn(Role::Assistant, Content::Call(call)),
            turn(
                Role::User,
                Content::Outcome {
                    call_id: "1".into(),
                    note: "",
                    pieces: vec![
                        Piece::cut("a.rs", &file, half..file.len()).expect("a cut"),
                        Piece::derived(vec![Origin::new("a.rs", 0..1)], key.as_str()).expect("one"),
                    ],
                },
            ),
        ],
        ..parcel(Vec::new())
    };
    let permit = border.examine(next, words).expect("examined").seal(Consent::Once).expect("one");
    let sent = text(&permit);
    for at in 4..=key.len() - 12 {
        assert!(!sent.contains(&key[at..at + 12]), "{}", numbered(&sent));
    }
    assert!(sent.matches(&placeholder).count() >= 3, "one placeholder for one secret: {sent}");
}

#[test]
fn answers_are_restored_however_they_are_cut() {
    let keys = [token(1), token(2)];
    let house =
        Workspace::new(&format!("//- a.rs\nlet a = \"{}\";\nlet b = \"{}\";\n", keys[0], keys[1]));
    let permit = house.try_once(house.pieces(&["a.rs"])).expect("a permit");
    let body = text(&permit);
    let answer =
        format!("{body} HEARTH_SECRET_ and HEARTH_SECRET_zzz, HEARTH_SECRET_0123456789ab: ö{body}");
    let expected = permit.restorer().restore(&answer);
    assert!(keys.iter().all(|key| expected.matches(key).count() == 2));
    for size in 1..60 {
        let mut restorer = permit.restorer();
        let chars: Vec<char> = answer.chars().collect();
        let chunks = chars.chunks(size).map(|chunk| chunk.iter().collect::<String>());
        let mut restored: String = chunks.map(|chunk| restorer.push(&chunk)).collect();
        restored.push_str(&restorer.finish());
        assert_eq!(restored, expected);
    }
    let call = json!({ "path": "x", "edits": [{ "text": body }] });
    let restored = permit.restorer().restore_json(&call).to_string();
    assert!(keys.iter().all(|key| restored.contains(key.as_str())));
}

/// What an injected instruction in a file can make a model ask for.
#[test]
fn a_tool_reads_nothing_that_stays() {
    let mut house = Workspace::new(PROJECT);
    house.settings.privacy_private = vec!["src/keys.rs".to_owned()];
    house.write("src/keys.rs", "");
    let border = house.border();
    let asked = |path: &str| match border.admit(path.as_ref()) {
        Ok(shown) => format!("reads {shown}"),
        Err(withheld) => withheld.to_string(),
    };
    let root = house.root().canonicalize().expect("a folder");
    let said: Vec<String> = [
        "src/main.rs",
        "./src/../src/main.rs",
        ".env",
        "src/../.env",
        "../../etc/passwd",
        "/etc/passwd",
        "build/out.rs",
        "src/keys.rs",
        "SRC/KEYS.RS",
        ".git/config",
        "",
        "a\0b",
    ]
    .iter()
    .map(|path| asked(path).replace(root.to_str().expect("UTF-8"), "ROOT"))
    .collect();
    expect![[r#""#]].assert_eq(&said.join("\n"));
}
