//! `hearth analyze`, as a process.

use std::{
    fs,
    process::{Output, Stdio},
};

use expect_test::expect;

use crate::{
    support::fake_model::FakeModel,
    world::{FILES, plays, write},
};

struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("work"), FILES);
        fs::create_dir(folder.path().join("work/.git")).unwrap();
        Self { folder }
    }

    /// Runs `hearth` in the codebase, with nobody at the terminal.
    async fn hearth(&self, endpoint: &str, arguments: &[&str]) -> Output {
        let base = self.folder.path();
        tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth"))
            .args(arguments)
            .args(["--set", &format!("router.local_endpoint={endpoint}")])
            .current_dir(base.join("work"))
            .env("XDG_CONFIG_HOME", base.join("config"))
            .env("XDG_STATE_HOME", base.join("state"))
            .env("XDG_CACHE_HOME", base.join("cache"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("hearth starts")
    }
}

const NOBODY: &str = "http://127.0.0.1:9";

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it was not killed");
    format!("{}--- {code}\n{}", text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_map_has_every_item_and_asks_nobody() {
    let house = House::new();
    expect![[r#"
        src/door.rs (13 lines)
        2 pub struct Door {pub open: bool}
        6 impl Door
         8 pub fn turn(&mut self, key: u32) -> bool
        src/hall.rs (9 lines)
        4 pub fn enter(door: &mut Door) -> bool
        8 fn never_called()
        diary/day.rs (3 lines)
        1 pub const DAY: &str = "diary_of_the_private_file"
        2 pub fn day()
        payroll/pay.rs (3 lines)
        1 pub const SALARY: &str = "salary_of_the_excluded_file"
        2 pub fn pay()
        src/main.rs (7 lines)
        1 mod door
        2 mod hall
        4 fn main()
        src/note.rs (4 lines)
        3 pub fn note()
        --- 0
        14 of 14 items in 6 files; about 201 tokens, 34 % fewer than the 305 of the files
    "#]]
    .assert_eq(&shown(&house.hearth(NOBODY, &["analyze", "--map"]).await));
    expect![[r#"
        src/hall.rs (9 lines)
        4 pub fn enter(door: &mut Door) -> bool
        8 fn never_called()
        --- 0
        2 of 2 items in 1 files; about 33 tokens, 39 % fewer than the 54 of the files
    "#]]
    .assert_eq(&shown(&house.hearth(NOBODY, &["analyze", "--map", "src/hall.rs"]).await));
    let json = house.hearth(NOBODY, &["analyze", "--map", "--json", "src/hall.rs"]).await;
    expect![[r#"
        {
          "items": 2,
          "ofItems": 2,
          "tokens": 33,
          "sourceTokens": 54,
          "files": [
            {
              "path": "src/hall.rs",
              "lines": 9,
              "items": 2,
              "text": "src/hall.rs (9 lines)\n4 pub fn enter(door: &mut Door) -> bool\n8 fn never_called()\n"
            }
          ]
        }
    "#]].assert_eq(&String::from_utf8_lossy(&json.stdout));
}

#[tokio::test]
async fn a_report_goes_to_stdout_and_the_rest_does_not() {
    let (house, model) = (House::new(), FakeModel::llama_server().await);
    let answer = "- A `Door` is opened by `turn` (src/door.rs:8).\n";
    let endpoint = model.url().to_string();
    let command = ["analyze", "src", "How is the door opened?"];
    let (output, _) = tokio::join!(house.hearth(&endpoint, &command), plays(&model, &[], answer));
    assert_eq!(output.status.code(), Some(0));
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(
        report.starts_with("# Analysis: How is the door opened?\n\n> Answered on this machine"),
        "{report}"
    );
    assert!(report.ends_with(answer), "{report}");
    let told = String::from_utf8(output.stderr).unwrap();
    expect![[r#"
        drawing the map
        the model reads
        checking citations
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn without_a_model_the_index_answers_and_the_command_fails() {
    let house = House::new();
    let output = house.hearth(NOBODY, &["analyze", "--kind", "dead-code", "--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["by"], serde_json::Value::Null);
    let page = report["markdown"].as_str().unwrap();
    assert!(page.contains("src/hall.rs:8 function `hall::never_called`"), "{page}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let house = House::new();
    for command in
        [&["analyze"][..], &["analyze", "--kind", "impact"], &["analyze", "nowhere", "What?"]]
    {
        let output = house.hearth(NOBODY, command).await;
        assert_eq!(output.status.code(), Some(1), "{command:?}");
    }
    let output = house.hearth(NOBODY, &["analyze", "--kind", "impact"]).await;
    expect![[r#"
        --- 1
        hearth: there is no question, and impact has none of its own
    "#]]
    .assert_eq(&shown(&output));
}
