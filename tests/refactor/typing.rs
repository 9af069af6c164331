//! The user types while the model works, or wants none of it any more.

use expect_test::expect;
use serde_json::json;

use crate::{
    editor::{Editor, Scene, finish},
    hold::SUM,
};

const GOOD: &str = "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n```";

async fn shown(mut editor: Editor, pending: crate::support::client::Pending) -> String {
    let mut seen = editor.until_done(pending).await;
    seen += &editor.text;
    editor.close().await;
    seen
}

#[tokio::test]
async fn elsewhere_while_the_model_works() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    let generation = editor.model.generation().await;
    editor.replace(editor.text.replace("//! Sums.", "//! Sums.\n//! All of them."));
    generation.send(GOOD);
    finish(&generation, false);
    expect![[r#"
        edit of version Some(1) "Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)":
        5:4-9:9 "all.iter().sum()" (to be confirmed)
        end: parsed, formatted; not compiled (this workspace is not trusted)
        //! Sums.
        //! All of them.

        /// Adds them up.
        pub fn sum(all: &[u32]) -> u32 {
            all.iter().sum()
        }

        pub fn far() -> u32 {
            sum(&[1, 2])
        }
    "#]].assert_eq(&shown(editor, pending).await);
}

#[tokio::test]
async fn in_the_item_while_the_model_works() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    let generation = editor.model.generation().await;
    editor.replace(editor.text.replace("total += n", "total += 2 * n"));
    generation.send(GOOD);
    finish(&generation, false);
    expect![[r#"
        page:
        # Rewrite `sum`: not applied

        the code was changed while the model worked on it.

        ```diff
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -2,11 +2,7 @@
 
         /// Adds them up.
         pub fn sum(all: &[u32]) -> u32 {
        -    let mut total = 0;
        -    for n in all {
        -        total += n;
        -    }
        -    total
        +    all.iter().sum()
         }
 
         pub fn far() -> u32 {
        ```
        end: not applied
        says: Hearth: Rewrite `sum`: not applied: the code was changed while the model worked on it
        //! Sums.

        /// Adds them up.
        pub fn sum(all: &[u32]) -> u32 {
            let mut total = 0;
            for n in all {
                total += 2 * n;
            }
            total
        }

        pub fn far() -> u32 {
            sum(&[1, 2])
        }
    "#]]
    .assert_eq(&shown(editor, pending).await);
}

#[tokio::test]
async fn while_the_edit_is_on_its_way() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor.model_says(GOOD).await;
    let asked = editor.client.asked().await;
    assert_eq!(asked.method, "workspace/applyEdit");
    // The editor is ahead of the server: it refuses an edit for the version before.
    editor.replace(editor.text.replace("//! Sums.", "//! All sums."));
    editor.obey(&asked);
    expect![[r#"
        refused: an edit for version Some(0)
        edit of version Some(1) "Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)":
        4:4-8:9 "all.iter().sum()" (to be confirmed)
        end: parsed, formatted; not compiled (this workspace is not trusted)
        //! All sums.

        /// Adds them up.
        pub fn sum(all: &[u32]) -> u32 {
            all.iter().sum()
        }

        pub fn far() -> u32 {
            sum(&[1, 2])
        }
    "#]].assert_eq(&shown(editor, pending).await);
}

#[tokio::test]
async fn a_user_who_declines_is_not_asked_again() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor.model_says(GOOD).await;
    let asked = editor.client.asked().await;
    let no = json!({ "applied": false, "failureReason": "declined in the preview" });
    editor.client.answer(&asked, &no);
    expect![[r#"
        end: not applied
        says: Hearth: Rewrite `sum`: not applied: declined in the preview
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

/// Cancels the progress that the server has begun.
async fn cancel_progress(editor: &Editor) {
    let progress = editor.client.received("$/progress").await;
    assert_eq!(progress["value"]["kind"], "begin");
    assert_eq!(progress["value"]["cancellable"], true);
    let token = json!({ "token": progress["token"] });
    editor.client.notify_raw("window/workDoneProgress/cancel", token);
}

#[tokio::test]
async fn cancelled_before_the_model_answers() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    let mut generation = editor.model.generation().await;
    cancel_progress(&editor).await;
    generation.disconnected().await;
    expect![[r#"
        end: cancelled
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn cancelled_by_a_command() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    let mut generation = editor.model.generation().await;
    let cancel = json!({ "command": "hearth.cancel" });
    let answer = editor.client.send_raw("workspace/executeCommand", cancel).answer().await;
    assert_eq!(answer.expect("an answer"), json!(null));
    generation.disconnected().await;
    expect![[r#"
        end: cancelled
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn cancelled_in_the_middle_of_the_answer() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    let mut generation = editor.model.generation().await;
    generation.send("```rust\npub fn sum(");
    wait_for(&editor, "the model writes").await;
    editor.client.cancel(&pending);
    generation.disconnected().await;
    let error = pending.answer().await.expect_err("cancelled");
    assert_eq!(error.code, -32_800);
    editor.ended().await;
    assert_eq!(editor.version, 0);
    editor.close().await;
}

/// Waits until the progress says so.
async fn wait_for(editor: &Editor, said: &str) -> serde_json::Value {
    loop {
        let progress = editor.client.received("$/progress").await;
        let message = progress["value"]["message"].as_str().unwrap_or_default();
        if message.contains(said) {
            return progress;
        }
    }
}

#[tokio::test]
async fn cancelled_while_it_is_compiled() {
    // Compiles for as long as nobody stops it.
    let mut scene = Scene::trusted(SUM).await;
    scene.others =
        vec![("build.rs", "fn main() {\n    loop {\n        std::thread::park();\n    }\n}\n")];
    let mut editor = scene.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor.model_says(GOOD).await;
    let progress = wait_for(&editor, "compiling").await;
    let token = json!({ "token": progress["token"] });
    editor.client.notify_raw("window/workDoneProgress/cancel", token);
    expect![[r#"
        end: cancelled
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn cancelled_while_the_editor_is_asked() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor.model_says(GOOD).await;
    let _asked = editor.client.asked().await;
    cancel_progress(&editor).await;
    expect![[r#"
        end: cancelled
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn an_editor_that_takes_no_edits_gets_a_page() {
    let mut scene = Scene::new(SUM).await;
    scene.capabilities["workspace"]["applyEdit"] = json!(false);
    let mut editor = scene.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor.model_says(GOOD).await;
    expect![[r#"
        page:
        # Rewrite `sum`: not applied

        this editor takes no edits from a language server.

        ```diff
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -2,11 +2,7 @@
 
         /// Adds them up.
         pub fn sum(all: &[u32]) -> u32 {
        -    let mut total = 0;
        -    for n in all {
        -        total += n;
        -    }
        -    total
        +    all.iter().sum()
         }
 
         pub fn far() -> u32 {
        ```
        end: not applied
        says: Hearth: Rewrite `sum`: not applied: this editor takes no edits from a language server
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn an_editor_that_knows_no_versions_no_progress_and_no_pages() {
    let mut scene = Scene::new(SUM).await;
    scene.capabilities = json!({ "workspace": { "applyEdit": true } });
    let editor = scene.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor.model_says(GOOD).await;
    expect![[r#"
        edit of version None "Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)":
        4:4-8:9 "all.iter().sum()"
        says: Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)
        //! Sums.

        /// Adds them up.
        pub fn sum(all: &[u32]) -> u32 {
            all.iter().sum()
        }

        pub fn far() -> u32 {
            sum(&[1, 2])
        }
    "#]].assert_eq(&shown(editor, pending).await);
}

#[tokio::test]
async fn an_editor_that_can_nothing() {
    let mut scene = Scene::new(SUM).await;
    scene.capabilities = json!({});
    let mut editor = scene.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor.model_says(GOOD).await;
    expect![[r#"
        says: Hearth: Rewrite `sum`: not applied: this editor takes no edits from a language server
        says: Hearth: # Rewrite `sum`: not applied

        this editor takes no edits from a language server.

        ```diff
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -2,11 +2,7 @@
 
         /// Adds them up.
         pub fn sum(all: &[u32]) -> u32 {
        -    let mut total = 0;
        -    for n in all {
        -        total += n;
        -    }
        -    total
        +    all.iter().sum()
         }
 
         pub fn far() -> u32 {
        ```

    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}
