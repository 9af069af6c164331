//! What a model answers, and what becomes of it.

use std::time::Duration;

use expect_test::{Expect, expect};
use hearth::check::Limits;
use serde_json::json;

use crate::{
    editor::{Scene, finish, told},
    support::fake_model::Reply,
};

pub(crate) const SUM: &str = "//! Sums.\n\n/// Adds them up.\npub fn sum(all: &[u32]) -> u32 {\n    let mut total = 0;\n    for n in all {$0\n        total += n;\n    }\n    total\n}\n\npub fn far() -> u32 {\n    sum(&[1, 2])\n}\n";

/// Asks for a rewrite, lets the model answer this and that, and shows what the user sees.
async fn check_in(scene: Scene, answers: &[&str], expected: Expect) {
    let mut editor = scene.start().await;
    let pending = editor.rewrite("Use an iterator.");
    let answering = async {
        for answer in answers {
            let generation = editor.model.generation().await;
            generation.send(answer);
            finish(&generation, answer.contains("[cut]"));
        }
    };
    answering.await;
    let mut seen = editor.until_done(pending).await;
    if editor.version > 0 {
        seen += &editor.text;
    }
    expected.assert_eq(&seen);
    editor.close().await;
}

async fn check(answers: &[&str], expected: Expect) {
    check_in(Scene::new(SUM).await, answers, expected).await;
}

const GOOD: &str =
    "```rust\n/// Adds them up.\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n```";

#[tokio::test]
async fn a_good_answer() {
    check(&[GOOD], expect![[r#"
        edit of version Some(0) "Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)":
        4:4-8:9 "all.iter().sum()" (to be confirmed)
        end: parsed, formatted; not compiled (this workspace is not trusted)
        //! Sums.

        /// Adds them up.
        pub fn sum(all: &[u32]) -> u32 {
            all.iter().sum()
        }

        pub fn far() -> u32 {
            sum(&[1, 2])
        }
    "#]]).await;
}

#[tokio::test]
async fn chatter_around_the_fence_and_an_edit_elsewhere() {
    check(
        &["Sure! Here is the function:\n\n```rust\nuse std::iter::Sum;\n\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().sum()\n}\n\npub fn far() -> u32 {\n    0\n}\n```\n\nI have also changed `far`. Enjoy!"],
        expect![[r#"
            edit of version Some(0) "Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)":
            2:0-2:0 "use std::iter::Sum;\n\n" (to be confirmed)
            4:4-8:9 "all.iter().sum()" (to be confirmed)
            end: parsed, formatted; not compiled (this workspace is not trusted)
            //! Sums.

            use std::iter::Sum;

            /// Adds them up.
            pub fn sum(all: &[u32]) -> u32 {
                all.iter().sum()
            }

            pub fn far() -> u32 {
                sum(&[1, 2])
            }
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_truncated_item_is_asked_for_again() {
    check(&["```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter()", GOOD], expect![[r#"
        edit of version Some(0) "Hearth: Rewrite `sum`: parsed, formatted; not compiled (this workspace is not trusted)":
        4:4-8:9 "all.iter().sum()" (to be confirmed)
        end: parsed, formatted; not compiled (this workspace is not trusted)
        //! Sums.

        /// Adds them up.
        pub fn sum(all: &[u32]) -> u32 {
            all.iter().sum()
        }

        pub fn far() -> u32 {
            sum(&[1, 2])
        }
    "#]]).await;
}

#[tokio::test]
async fn a_wrong_signature_is_never_applied() {
    let wrong = "```rust\npub fn sum(all: Vec<u32>) -> u32 {\n    all.iter().sum()\n}\n```";
    check(&[wrong; 4], expect![[r#"
        page:
        # Rewrite `sum`: not applied

        none of 4 answers was right; the last: The signature of `sum` must stay as it is: `pub fn sum(all: &[u32]) -> u32`, not `pub fn sum(all: Vec<u32>) -> u32`.

        ```diff
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -1,12 +1,8 @@
         //! Sums.
 
         /// Adds them up.
        -pub fn sum(all: &[u32]) -> u32 {
        -    let mut total = 0;
        -    for n in all {
        -        total += n;
        -    }
        -    total
        +pub fn sum(all: Vec<u32>) -> u32 {
        +    all.iter().sum()
         }
 
         pub fn far() -> u32 {
        ```
        end: not applied
        says: Hearth: Rewrite `sum`: not applied: none of 4 answers was right; the last: The signature of `sum` must stay as it is: `pub fn sum(all: &[u32]) -> u32`, not `pub fn sum(all: Vec<u32>) -> u32`.
    "#]]).await;
}

#[tokio::test]
async fn what_does_not_parse_is_never_applied() {
    let wrong = "```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter(.sum()\n}\n```";
    check(&[wrong; 4], expect![[r#"
        page:
        # Rewrite `sum`: not applied

        none of 4 answers was right; the last: The answer does not parse: syntax error at its line 3: `all.iter(.sum()`.

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
        +    all.iter(.sum()
         }
 
         pub fn far() -> u32 {
        ```
        end: not applied
        says: Hearth: Rewrite `sum`: not applied: none of 4 answers was right; the last: The answer does not parse: syntax error at its line 3: `all.iter(.sum()`
    "#]]).await;
}

#[tokio::test]
async fn no_code_at_all() {
    check(&["I cannot do that."; 4], expect![[r#"
        end: nothing done
        says: Hearth: Rewrite: none of 4 answers was right; the last: Your answer has no code block. Answer with one code block.
    "#]]).await;
}

#[tokio::test]
async fn what_does_not_compile_is_repaired() {
    let mut editor = Scene::trusted(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor
        .model_says("```rust\npub fn sum(all: &[u32]) -> u32 {\n    all.iter().summ()\n}\n```")
        .await;
    let again = editor.model_says(GOOD).await;
    let told = told(&again);
    let from = told.find("You answered before").expect("told of the last answer");
    expect![[r#"
        You answered before:

        ```rust
        pub fn sum(all: &[u32]) -> u32 {
            all.iter().summ()
        }
        ```

        That was wrong:
        It does not compile:
        error[E0599]: no method named `summ` found for struct `std::slice::Iter<'a, T>` in the current scope
         --> src/lib.rs:5:16
          |
        5 |     all.iter().summ()
          |                ^^^^
          |
        help: there is a method `sum` with a similar name
          |
        5 -     all.iter().summ()
        5 +     all.iter().sum()
          |

        Answer again, with this put right.

        Answer with the whole new item in one ```rust block and nothing else."#]].assert_eq(&told[from..]);
    let temperature = |it: &serde_json::Value| it["temperature"].as_f64().expect("a number");
    let requests = editor.model.requests();
    let chats: Vec<_> = requests.iter().filter(|it| it.path.contains("chat")).collect();
    assert!(temperature(&chats[1].body) < temperature(&chats[0].body), "colder");
    let mut seen = editor.until_done(pending).await;
    seen += &editor.text;
    expect![[r#"
        edit of version Some(0) "Hearth: Rewrite `sum`: parsed, formatted, compiled; tests not run (this module has no tests)":
        4:4-8:9 "all.iter().sum()"
        end: parsed, formatted, compiled; tests not run (this module has no tests)
        //! Sums.

        /// Adds them up.
        pub fn sum(all: &[u32]) -> u32 {
            all.iter().sum()
        }

        pub fn far() -> u32 {
            sum(&[1, 2])
        }
    "#]].assert_eq(&seen);
    editor.close().await;
}

#[tokio::test]
async fn a_wrong_answer_that_leaves_no_room_is_not_repeated_to_the_model() {
    let mut editor = Scene::new(SUM).await.start().await;
    let pending = editor.rewrite("Use an iterator.");
    editor.model_says(&"I cannot do that. ".repeat(220)).await;
    let again = editor.model.generation().await;
    assert!(told(&again).contains("I cannot do that."));
    let tokens = again.request.bytes.len() / 4 + 800;
    let error = json!({ "error": {
        "code": 400,
        "message": "the request exceeds the available context size. try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": tokens,
        "n_ctx": 2048,
    } });
    again.refuse(Reply::json(400, &error));
    let shorter = editor.model_says(GOOD).await;
    assert!(!told(&shorter).contains("I cannot do that."));
    assert!(told(&shorter).contains("You have answered before."));
    let seen = editor.until_done(pending).await;
    assert!(seen.contains("edit of version Some(0)"), "{seen}");
    editor.close().await;
}

#[tokio::test]
async fn what_breaks_a_test_is_never_applied() {
    let text = "pub fn double(n: u32) -> u32 {\n    $0n + n\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn doubles() {\n        assert_eq!(double(3), 6);\n    }\n}\n";
    let wrong = "```rust\npub fn double(n: u32) -> u32 {\n    n * n\n}\n```";
    check_in(Scene::trusted(text).await, &[wrong; 4], expect![[r#"
        page:
        # Rewrite `double`: not applied

        none of 4 answers was right; the last: With it, tests fail that passed before:

        ```text
        Tests that passed before now fail:
        ---- tests::doubles stdout ----

        thread 'tests::doubles' (N) panicked at src/lib.rs:11:9:
        assertion `left == right` failed
          left: 9
         right: 6
        note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
        ```

        ```diff
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -1,5 +1,5 @@
         pub fn double(n: u32) -> u32 {
        -    n + n
        +    n * n
         }
 
         #[cfg(test)]
        ```
        end: not applied
        says: Hearth: Rewrite `double`: not applied: none of 4 answers was right; the last: With it, tests fail that passed before
    "#]]).await;
}

/// The existing tests of an item that a change never ends are stopped, and no process is left.
#[tokio::test]
async fn what_never_ends_is_never_applied() {
    let text = "pub fn double(n: u32) -> u32 {\n    $0n + n\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn doubles() {\n        assert_eq!(double(3), 6);\n    }\n}\n";
    let endless = "```rust\npub fn double(n: u32) -> u32 {\n    while n < 9 {}\n    n + n\n}\n```";
    let mut scene = Scene::trusted(text).await;
    scene.limits = Limits { run: Duration::from_secs(3), ..Limits::default() };
    scene.settings["validation"] = json!({ "max_retries_on_failure": 0 });
    let mut editor = scene.start().await;
    let pending = editor.rewrite("Use a loop.");
    editor.model_says(endless).await;
    expect![[r#"
        page:
        # Rewrite `double`: not applied

        the answer was wrong: With it, tests fail that passed before:

        ```text
        The tests of this module do not end within 3 seconds; before they did.
        ```

        ```diff
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -1,4 +1,5 @@
         pub fn double(n: u32) -> u32 {
        +    while n < 9 {}
             n + n
         }
        ```
        end: not applied
        says: Hearth: Rewrite `double`: not applied: the answer was wrong: With it, tests fail that passed before
    "#]].assert_eq(&editor.until_done(pending).await);
    #[cfg(target_os = "linux")]
    editor.nothing_runs().await;
    editor.close().await;
}

/// Python's blocks end in no bracket, and its imports are lines. Without a Python it is not compiled.
#[tokio::test]
async fn a_method_of_python() {
    let mut scene = Scene::new("\"\"\"Sums.\"\"\"\n\nimport os\nfrom a import b\n\n\nclass Sum:\n    def add(self, all):\n        $0total = 0\n        for n in all:\n            total += n\n        return total\n\n    def far(self):\n        return b(os)\n").await;
    scene.file = "sums.py";
    let answer = "```python\nimport math\nfrom a import b, c\n\ndef add(self, all):\n    if not all:\n        return c\n    return math.fsum(all)\n```";
    check_in(scene, &[answer], expect![[r#"
        edit of version Some(0) "Hearth: Rewrite `add`: parsed, checked by `python3 -m py_compile`; tests not run (no way to run the project's own tests on this machine)":
        3:15-3:15 ", c\nimport math"
        8:8-11:20 "if not all:\n            return c\n        return math.fsum(all)"
        end: parsed, checked by `python3 -m py_compile`; tests not run (no way to run the project's own tests on this machine)
        """Sums."""

        import os
        from a import b, c
        import math


        class Sum:
            def add(self, all):
                if not all:
                    return c
                return math.fsum(all)

            def far(self):
                return b(os)
    "#]]).await;
}
