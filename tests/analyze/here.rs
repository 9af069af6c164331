//! A model of this machine, which is shown a codebase in parts.

use std::{fmt::Write as _, sync::Arc};

use expect_test::expect;
use hearth::{egress::Consent, model::Tier, task::Wish};

use crate::{
    support::{
        fake_cloud::{Api, FakeCloud, Says},
        fake_model::{FakeModel, Reply},
    },
    world::{Answers, World, ask, merged, plays, with_cloud, with_model},
};

const ANSWER: &str = "- A `Door` is opened by `turn` (src/door.rs:8).\n";

/// A codebase of so many files and more, too large for 2,048 tokens of context.
fn large(files: usize) -> Vec<(String, String)> {
    let file = |number: usize| {
        let mut text = String::new();
        for item in 0..25 {
            let _ = writeln!(
                text,
                "pub fn step_{number}_{item}(first: usize, second: &str) -> Option<String> {{\n    None\n}}\n"
            );
        }
        (format!("src/part_{number}.rs"), text)
    };
    (0..files).map(file).collect()
}

fn large_world(files: usize, more: &serde_json::Value) -> World {
    let files = large(files);
    let mut files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.extend(crate::world::FILES);
    World::of(&files, more)
}

#[tokio::test]
async fn what_has_room_is_read_at_once_and_then_on() {
    let model = FakeModel::llama_server().await;
    let world = World::new(&with_model(&model));
    let reads = [
        r#"{"tool": "read_symbol", "argument": "Door::turn"}"#,
        r#"{"tool": "list", "argument": "src"}"#,
    ];
    let (question, user) = (ask("How is the door opened?"), Answers::none());
    let (report, shown) =
        tokio::join!(world.analyze(&question, &user), plays(&model, &reads, ANSWER));
    assert_eq!((report.steps, report.coverage.parts), (2, 1));
    assert_eq!(report.coverage.items, report.coverage.of_items);
    assert!(shown.last().unwrap().contains("read_symbol Door::turn:\nsrc/door.rs:8-11\n8 "));
    expect![[r#"
        # Analysis: How is the door opened?

        > Answered on this machine, at once, by coder at http://127.0.0.1:PORT: large_codebase_analysis needs a frontier model; no cloud is set up (router.cloud), so it stays on this machine: coder (Q8_0) at http://127.0.0.1:PORT, the most precise one.  
        > Covered: 12 of 12 items; 159 tokens for the map and 84 for the rest, in 2 steps, where the files have 273 (11 % fewer).  
        > Nothing left this machine.  
        > Citations: 1 of 1 hold.  

        - A `Door` is opened by `turn` (src/door.rs:8).
    "#]].assert_eq(&world.plain(&report.markdown));
}

/// However many parts that takes.
#[tokio::test]
async fn what_has_none_is_read_in_parts_every_item_of_it() {
    const FILES: usize = 160;
    let model = FakeModel::llama_server().await;
    let world = large_world(FILES, &with_model(&model));
    let (question, user) = (ask("How is the door opened?"), Answers::none());
    let (report, shown) = tokio::join!(world.analyze(&question, &user), plays(&model, &[], ANSWER));
    assert_eq!(report.coverage.items, report.coverage.of_items);
    assert!(report.coverage.parts > 64, "{:?}", report.coverage);
    let all = shown.concat();
    for number in 0..FILES {
        for item in 0..25 {
            assert!(all.contains(&format!("fn step_{number}_{item}(")), "{number} {item}");
        }
    }
    assert!(report.markdown.contains("whose notes were put together (map and reduce)"));
}

#[tokio::test]
async fn a_model_that_cannot_say_what_it_wants_answers_from_what_it_has() {
    let model = FakeModel::llama_server().await;
    let world = World::new(&with_model(&model));
    let (question, user) = (ask("How is the door opened?"), Answers::none());
    let wrong = ["I want to read it all."; 4];
    let (report, _) = tokio::join!(world.analyze(&question, &user), plays(&model, &wrong, ANSWER));
    assert_eq!(report.steps, 0);
    assert!(report.by.is_some());
}

/// What keeps it here, and how the report says so.
#[tokio::test]
async fn without_a_cloud_it_is_done_here_and_the_report_says_why() {
    let question = ask("How is the door opened?");
    let why = async |wish: Wish, user: Arc<Answers>, cloud: &FakeCloud| {
        let model = FakeModel::llama_server().await;
        let settings = merged(with_model(&model), with_cloud(cloud, Api::Anthropic));
        let world = large_world(8, &settings);
        let (report, _) =
            tokio::join!(world.analyze_as(wish, &question, &user), plays(&model, &[], ANSWER));
        assert_eq!(report.by.as_ref().map(|by| by.tier), Some(Tier::ThisMachine));
        assert!(report.coverage.parts > 1);
        let before: Vec<String> =
            report.before.iter().map(|it| format!("\nbefore: {it}")).collect();
        world.plain(&format!("{}{}", report.why, before.concat()))
    };
    let cloud = FakeCloud::start(Api::Anthropic).await;
    // The user says no, for now and for ever.
    let now = why(Wish::AsRuled, Answers::none(), &cloud).await;
    expect![[r#"
        large_codebase_analysis needs a frontier model: frontier-1 at frontier
        before: sending to http://127.0.0.1:PORT was declined"#]]
    .assert_eq(&now);
    let never = why(Wish::AsRuled, Answers::saying(Consent::Never), &cloud).await;
    expect![[r#"
        large_codebase_analysis needs a frontier model: frontier-1 at frontier
        before: sending to http://127.0.0.1:PORT was declined"#]]
    .assert_eq(&never);
    // It is private.
    let private = why(Wish::Stays, Answers::saying(Consent::Once), &cloud).await;
    expect!["it stays on this machine, as it was asked for as private; 2048 tokens fit at once, so it is done in parts: coder (Q8_0) at http://127.0.0.1:PORT, the most precise one"].assert_eq(&private);
    assert_eq!(cloud.connections(), 0);
    // The cloud is down.
    cloud.says(Says::status(529, &[("retry-after", "600")], "overloaded"));
    let down = why(Wish::AsRuled, Answers::saying(Consent::Once), &cloud).await;
    expect![[r#"
        large_codebase_analysis needs a frontier model: frontier-1 at frontier
        before: http://127.0.0.1:PORT cannot answer now: 529 overloaded"#]]
    .assert_eq(&down);
    // It breaks off after it has read on.
    cloud.says(Says::call("c1", "list", &[r#"{"path": ""}"#]));
    cloud.says(Says::status(500, &[("retry-after", "600")], "out of order"));
    let broken = why(Wish::AsRuled, Answers::saying(Consent::Once), &cloud).await;
    expect![[r#"
        large_codebase_analysis needs a frontier model: frontier-1 at frontier
        before: http://127.0.0.1:PORT cannot answer now: 500 out of order"#]]
    .assert_eq(&broken);
}

#[tokio::test]
async fn without_any_cloud_nobody_is_asked_anything() {
    let model = FakeModel::llama_server().await;
    let world = World::new(&with_model(&model));
    let (question, user) = (ask("How is the door opened?"), Answers::none());
    let (report, _) = tokio::join!(world.analyze(&question, &user), plays(&model, &[], ANSWER));
    assert_eq!((user.times(), report.left.requests), (0, 0));
    assert!(report.markdown.contains("Nothing left this machine."));
}

#[tokio::test]
async fn a_model_that_fails_is_a_reason_that_is_said() {
    let model = FakeModel::llama_server().await;
    let broken = Reply::json(500, &serde_json::json!({ "error": { "message": "out of memory" } }));
    model.reply("POST /v1/chat/completions", broken);
    let world = World::new(&with_model(&model));
    let report = world.analyze(&ask("How is the door opened?"), &Answers::none()).await;
    assert!(report.by.is_none());
    expect![[r#"
        # Analysis: How is the door opened?

        > No model answered: the server at http://127.0.0.1:PORT refused: 500 out of memory. This is what the index says, by names alone.  
        > Nothing left this machine.  

        ```text
        Names that the question shares words with:
        src/door.rs:2 struct `door::Door`: Opens.
        src/hall.rs:4 function `hall::enter`: The way in.
        src/main.rs:4 function `main`
        src/door.rs:8 method `door::Door::turn`: Turns the key.

        src/door.rs:2-4
        2 pub struct Door {
        3     pub open: bool,
        4 }
        src/hall.rs:4-6
        4 pub fn enter(door: &mut Door) -> bool {
        5     door.turn(7)
        6 }
        src/main.rs:4-6
        4 fn main() {
        5     hall::enter(&mut door::Door { open: false });
        6 }
        src/door.rs:8-11
        8     pub fn turn(&mut self, key: u32) -> bool {
        9         self.open = key == 7;
        10         self.open
        11     }
        ```
    "#]].assert_eq(&world.plain(&report.markdown));
}
