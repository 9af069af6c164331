//! A cloud that reads on.

use std::sync::Arc;

use expect_test::{Expect, expect};
use hearth::{
    egress::Consent,
    model::Tier,
    task::{
        Wish,
        analyze::{Request, Verdict},
    },
};
use serde_json::json;

use crate::{
    support::fake_cloud::{Api, FakeCloud, Says},
    world::{
        Answers, ENVIRONMENT, EXCLUDED, IGNORED, OUTSIDE, PRIVATE, World, ask, text_bytes,
        with_cloud,
    },
};

const APIS: [Api; 2] = [Api::Anthropic, Api::OpenAi];

const ANSWER: &str = "- A `Door` is opened by `turn` (`src/door.rs:8-11`), which `enter` calls (src/hall.rs:5).\n- It rings a bell in src/bell.rs:3.\n- The house has three floors.\n";

/// A cloud that looks around and answers.
async fn looks_around(api: Api) -> FakeCloud {
    let cloud = FakeCloud::start(api).await;
    cloud.says(Says::call("c1", "read_symbol", &[r#"{"name": "Do"#, r#"or::turn"}"#]));
    cloud.says(Says::call("c2", "search", &[r#"{"words": "enter the hall"}"#]));
    cloud.says(Says::call("c3", "list", &[r#"{"path": "src"}"#]));
    cloud.says(Says::text([ANSWER]));
    cloud
}

/// What the cloud was told last.
fn last_outcome(cloud: &FakeCloud, number: usize) -> String {
    let body = &cloud.requests()[number].body;
    let message = body["messages"].as_array().unwrap().last().unwrap().clone();
    match &message["content"] {
        serde_json::Value::String(text) => text.clone(),
        blocks => blocks[0]["content"].as_str().unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn it_is_shown_the_map_and_reads_on() {
    for api in APIS {
        let cloud = looks_around(api).await;
        let world = World::new(&with_cloud(&cloud, api));
        let user = Answers::saying(Consent::Once);
        let report = world.analyze(&ask("How is the door opened?"), &user).await;
        assert_eq!(report.by.as_ref().map(|by| by.tier), Some(Tier::Cloud));
        assert_eq!(report.steps, 3);
        expect![[r#"
            src/door.rs:8-11
            8     pub fn turn(&mut self, key: u32) -> bool {
            9         self.open = key == 7;
            10         self.open
            11     }
        "#]]
        .assert_eq(&last_outcome(&cloud, 1));
        expect![[r#"
            src/main.rs:1-6
            1 mod door;
            2 mod hall;
            3 
            4 fn main() {
            5     hall::enter(&mut door::Door { open: false });
            6 }
            src/hall.rs:1-8
            1 use crate::door::Door;
            2 
            3 /// The way in.
            4 pub fn enter(door: &mut Door) -> bool {
            5     door.turn(7)
            6 }
            7 
            8 fn never_called() {}
        "#]]
        .assert_eq(&last_outcome(&cloud, 2));
        expect![[r#"
            door.rs (13 lines)
            hall.rs (9 lines)
            main.rs (7 lines)
            note.rs (4 lines)
        "#]]
        .assert_eq(&last_outcome(&cloud, 3));
        let verdicts: Vec<Verdict> = report.citations.iter().map(|it| it.verdict).collect();
        assert_eq!(verdicts, [Verdict::Holds, Verdict::Holds, Verdict::NoFile]);
        assert_eq!(report.uncited, 1);
    }
}

#[tokio::test]
async fn the_report_says_what_has_to_be_known_of_it() {
    let cloud = looks_around(Api::Anthropic).await;
    let world = World::new(&with_cloud(&cloud, Api::Anthropic));
    let user = Answers::saying(Consent::Once);
    let report = world.analyze(&ask("How is the door opened?"), &user).await;
    expect![[r#"
        # Analysis: How is the door opened?

        > Answered by frontier-1 at frontier (a cloud): large_codebase_analysis needs a frontier model: frontier-1 at frontier.  
        > Covered: 10 of 12 items; 120 tokens for the map and 467 for the rest, in 3 steps, where the files have 273.  
        > Left this machine: 4 requests, 3783 tokens, 10324 bytes, with parts of 4 files; 0 secrets replaced, 1 file kept here; $0.0088.  
        > Citations: 2 of 3 hold, the others are marked; 1 claim without any, marked as well.  

        - A `Door` is opened by `turn` (`src/door.rs:8-11`), which `enter` calls (src/hall.rs:5).
        - It rings a bell in src/bell.rs:3 **[no such file]**.
        - The house has three floors. **[cites nothing]**
    "#]].assert_eq(&world.plain(&report.markdown));
}

#[tokio::test]
async fn what_left_is_what_the_manifests_and_the_log_say() {
    for api in APIS {
        let cloud = looks_around(api).await;
        let world = World::new(&with_cloud(&cloud, api));
        let user = Answers::saying(Consent::Once);
        let report = world.analyze(&ask("How is the door opened?"), &user).await;
        let sent: Vec<usize> =
            cloud.requests().iter().map(|request| text_bytes(api, request)).collect();
        let log = world.log();
        let logged: Vec<usize> = log.entries().unwrap().iter().map(|entry| entry.bytes).collect();
        assert_eq!(sent, logged);
        assert_eq!(log.verify().ok(), Some(4));
        assert_eq!((report.left.requests, report.left.bytes), (4, sent.iter().sum()));
        // One question for the whole run, which says that it may go on.
        assert_eq!(user.times(), 1);
        let asked = user.asked.lock().unwrap()[0].clone();
        assert_eq!(asked.bytes, sent[0]);
        assert!(asked.question().contains("It may go on to read other files"), "{asked:?}");
    }
}

/// A repository that asks for what must not leave, and a model that does as it is told there.
#[tokio::test]
async fn nothing_that_is_excluded_leaves_whatever_a_file_asks_for() {
    for api in APIS {
        let cloud = FakeCloud::start(api).await;
        let wishes = [
            ("read_symbol", json!({ "name": "launch_code_of_the_ignored_file" })),
            ("read_symbol", json!({ "name": "SALARY" })),
            ("read_symbol", json!({ "name": "DAY" })),
            ("read_symbol", json!({ "name": "diary/day.rs:1-2" })),
            ("read_symbol", json!({ "name": "secret/plans.rs:1" })),
            ("read_symbol", json!({ "name": ".env:1-9" })),
            ("read_symbol", json!({ "name": "../outside.rs:1" })),
            ("read_symbol", json!({ "name": "/etc/passwd:1-9" })),
            ("search", json!({ "words": "launch code SALARY diary TOKEN letter" })),
            ("list", json!({ "path": "secret" })),
            ("list", json!({ "path": "" })),
        ];
        for (number, (tool, input)) in wishes.iter().enumerate() {
            let id = format!("c{number}");
            cloud.says(Says::call(&id, tool, &[&input.to_string()]));
        }
        cloud.says(Says::text(["- There is a note (src/note.rs:3).\n"]));
        let world = World::new(&with_cloud(&cloud, api));
        let user = Answers::saying(Consent::Once);
        let report = world.analyze(&ask("What does the note say?"), &user).await;
        assert_eq!(report.by.as_ref().map(|by| by.tier), Some(Tier::Cloud));
        assert_eq!(cloud.requests().len(), wishes.len() + 1);
        for (number, request) in cloud.requests().iter().enumerate() {
            // What the model itself asked for and what the note says stands in what it is told.
            let told = String::from_utf8(request.bytes.clone()).unwrap();
            for secret in [EXCLUDED, PRIVATE, OUTSIDE, ENVIRONMENT, "90210", "root:x:"] {
                assert!(!told.contains(secret), "request {number} has {secret}");
            }
        }
        let outcomes: Vec<String> = (1..=8).map(|number| last_outcome(&cloud, number)).collect();
        assert!(outcomes.iter().all(|it| it.starts_with("Nothing of that name")), "{outcomes:?}");
        assert!(!last_outcome(&cloud, 9).contains(&format!("fn {IGNORED}")));
        expect![[r#"
            src/ (4 files, 33 lines)
        "#]]
        .assert_eq(&last_outcome(&cloud, 11));
        assert_eq!(report.left.kept_here, 1);
    }
}

/// Lines that are none, however large their numbers.
#[tokio::test]
async fn a_model_that_asks_for_lines_that_are_not_there_is_told_so() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let wishes =
        ["0", "5-2", "1000-2000", "18446744073709551615", "18446744073709551615-1", "1-2-3"];
    for (number, lines) in wishes.iter().enumerate() {
        let input = json!({ "name": format!("src/door.rs:{lines}") });
        cloud.says(Says::call(&format!("c{number}"), "read_symbol", &[&input.to_string()]));
    }
    cloud.says(Says::text(["- There is a door (src/door.rs:1).\n"]));
    let world = World::new(&with_cloud(&cloud, Api::Anthropic));
    world.analyze(&ask("What is there?"), &Answers::saying(Consent::Once)).await;
    for (number, lines) in (1..).zip(wishes) {
        let outcome = last_outcome(&cloud, number);
        assert!(outcome.starts_with("Nothing of that name"), "{lines}: {outcome}");
    }
}

async fn refused(user: Arc<Answers>, wish: Wish, cloud_says: Option<Says>, expected: Expect) {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    if let Some(says) = cloud_says {
        cloud.says(says);
    }
    let world = World::new(&with_cloud(&cloud, Api::Anthropic));
    let request = ask("How is the door opened?");
    let report = world.analyze_as(wish, &request, &user).await;
    assert!(report.by.is_none());
    let head: Vec<&str> = report.markdown.lines().filter(|line| line.starts_with('>')).collect();
    expected.assert_eq(&world.plain(&format!(
        "{}\n{} requests",
        head.join("\n"),
        cloud.requests().len()
    )));
}

#[tokio::test]
async fn where_nobody_answers_the_index_does_and_says_why() {
    refused(Answers::none(), Wish::AsRuled, None, expect![[r#"
        > No model answered: sending to http://127.0.0.1:PORT was declined. This is what the index says, by names alone.  
        > Nothing left this machine.  
        0 requests"#]]).await;
    refused(Answers::saying(Consent::Never), Wish::AsRuled, None, expect![[r#"
        > No model answered: sending to http://127.0.0.1:PORT was declined. This is what the index says, by names alone.  
        > Nothing left this machine.  
        0 requests"#]]).await;
    refused(Answers::saying(Consent::Once), Wish::Stays, None, expect![[r#"
        > No model answered: no model server answers at http://127.0.0.1:PORT: Connection refused (os error 111); and nobody else is asked, as it was asked for as private. This is what the index says, by names alone.  
        > Nothing left this machine.  
        0 requests"#]]).await;
    let says = Says::status(400, &[], "prompt is too long");
    refused(Answers::saying(Consent::Once), Wish::AsRuled, Some(says), expect![[r#"
        > No model answered: the server at http://127.0.0.1:PORT refused: 400 prompt is too long. This is what the index says, by names alone.  
        > Left this machine: 1 request, 808 tokens, 2282 bytes, with parts of 4 files; 0 secrets replaced, 1 file kept here.  
        1 requests"#]]).await;
}

#[tokio::test]
async fn what_is_confined_to_a_private_folder_is_private() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let world = World::new(&with_cloud(&cloud, Api::Anthropic));
    let request = Request { within: Some(world.root.join("diary")), ..ask("What was it about?") };
    let report = world.analyze(&request, &Answers::saying(Consent::Once)).await;
    assert!(report.why.contains("diary/day.rs is private"), "{}", report.why);
    assert_eq!(cloud.connections(), 0);
}

/// What the index finds out by itself, for each kind, as a cloud is shown it.
#[tokio::test]
async fn each_kind_brings_facts_of_its_own() {
    let facts = async |kind: &str, question: Option<&str>| {
        let cloud = FakeCloud::start(Api::OpenAi).await;
        cloud.says(Says::text(["- It is so (src/door.rs:1).\n"]));
        let world = World::new(&with_cloud(&cloud, Api::OpenAi));
        let question = question.map(str::to_owned);
        let kind = Some(kind.parse().unwrap());
        let request = Request { question, kind, ..Request::default() };
        world.analyze(&request, &Answers::saying(Consent::Once)).await;
        let shown = cloud.requests()[0].body["messages"][1]["content"].as_str().unwrap().to_owned();
        let (_, facts) = shown.split_once("by names alone:\n").unwrap_or_default();
        let (facts, _) = facts.split_once("\nThe question:").unwrap();
        facts.split("\nParts that may matter").next().unwrap_or_default().to_owned()
    };
    expect![[r#"

        Folders, and how many items of theirs use items of which others:
        src/: 4 files, 33 lines; uses nothing
    "#]]
    .assert_eq(&facts("architecture", None).await);
    expect![[r#"

        Nothing in the workspace has these names but their own definitions:
        src/hall.rs:8 function `hall::never_called`
        src/note.rs:3 function `note::note` (public: other packages may use it)
    "#]]
    .assert_eq(&facts("dead-code", None).await);
    expect![[r#"
        src/door.rs:8 method `door::Door::turn`

        Direct users: 1, and 1 more that use those:
        src/hall.rs:4 function `hall::enter`
    "#]]
    .assert_eq(&facts("impact", Some("What if turn takes two keys?")).await);
    expect![[r#"

        Where programs begin:
        src/main.rs:4 function `main`

        What most of the code leads to:
        src/door.rs:2 struct `door::Door`: Opens.
        src/door.rs:8 method `door::Door::turn`: Turns the key.
        src/hall.rs:4 function `hall::enter`: The way in.
        src/hall.rs:8 function `hall::never_called`
        src/main.rs:4 function `main`
        src/note.rs:3 function `note::note`

        Folders, and how many items of theirs use items of which others:
        src/: 4 files, 33 lines; uses nothing
    "#]]
    .assert_eq(&facts("onboarding", None).await);
    expect![[r#"

        Names that the question shares words with:
        src/door.rs:8 method `door::Door::turn`: Turns the key.
        src/door.rs:2 struct `door::Door`: Opens.
        src/hall.rs:4 function `hall::enter`: The way in.
        src/main.rs:4 function `main`
    "#]]
    .assert_eq(&facts("where-is", Some("Where are doors turned?")).await);
}
