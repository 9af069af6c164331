//! Tests that a model writes: which are kept, where they are put, what the user is told.

use std::time::Duration;

use expect_test::{Expect, expect};
use hearth::check::Limits;
use serde_json::json;

use crate::editor::{Scene, finish, told};

const ADD: &str = "pub fn add(a: u32, b: u32) -> u32 {\n    $0a + b\n}\n\npub fn far() -> u32 {\n    add(1, 1)\n}\n";

fn test(name: &str, body: &str) -> String {
    format!("```rust\n#[test]\nfn {name}() {{\n    {body}\n}}\n```")
}

/// Asks for tests and lets the model answer this and that; after the last answer it is as good as
/// dead, so that a test which asks more often than expected fails.
async fn check_in(scene: Scene, answers: &[String], expected: Expect) {
    let mut editor = scene.start().await;
    let pending = editor.command("hearth.test", &json!({}));
    for answer in answers {
        let generation = editor.model.generation().await;
        generation.send(answer);
        finish(&generation, false);
    }
    let mut seen = editor.until_done(pending).await;
    if editor.version > 0 {
        seen += &editor.text;
    }
    expected.assert_eq(&seen);
    editor.close().await;
}

#[tokio::test]
async fn kept_are_those_that_fail_where_the_function_is_broken() {
    check_in(
        Scene::trusted(ADD).await,
        &[
            test("adds", "assert_eq!(add(1, 2), 3);"),
            // Passes whatever `add` does, and is told so.
            test("always", "assert!(add(2, 1) < 1_000);"),
            test("adds", "assert_eq!(add(7, 0), 7);\n    assert_eq!(add(0, 7), 7);"),
            // Wrong to the end.
            test("wrong", "assert_eq!(add(1, 2), 4);"),
            test("wrong", "assert_eq!(ad(1, 2), 3);"),
            "I think that is enough.".to_owned(),
            test("writes", "std::fs::write(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/src/lib.rs\"), \"\").ok();\n    assert_eq!(add(1, 2), 4);"),
        ],
        expect![[r#"
            edit of version Some(0) "Hearth: Tests for `add`: parsed, formatted, compiled, tests passed":
            6:1-6:1 "\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn adds() {\n        assert_eq!(add(1, 2), 3);\n    }\n\n    #[test]\n    fn adds_2() {\n        assert_eq!(add(7, 0), 7);\n        assert_eq!(add(0, 7), 7);\n    }\n}"
            end: parsed, formatted, compiled, tests passed
            says: Hearth: Tests for `add`: parsed, formatted, compiled, tests passed
            7 written, 2 kept
            `adds` passed 5 times, and fails with `{ 0 }` instead of `{ a + b }`
            `adds_2` passed 5 times, and fails with `{ 0 }` instead of `{ a + b }`
            dropped `always`: it passes on each of 3 broken targets
            dropped `wrong`: it fails
            dropped `wrong`: it does not compile
            dropped an answer: it is no test
            dropped `writes`: it fails
            pub fn add(a: u32, b: u32) -> u32 {
                a + b
            }

            pub fn far() -> u32 {
                add(1, 1)
            }

            #[cfg(test)]
            mod tests {
                use super::*;

                #[test]
                fn adds() {
                    assert_eq!(add(1, 2), 3);
                }

                #[test]
                fn adds_2() {
                    assert_eq!(add(7, 0), 7);
                    assert_eq!(add(0, 7), 7);
                }
            }
        "#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_the_same_each_time_or_needs_a_network_is_dropped() {
    let mut scene = Scene::trusted(ADD).await;
    scene.settings["validation"] = json!({ "max_retries_on_failure": 0 });
    check_in(
        scene,
        &[
            test("adds", "assert_eq!(add(1, 2), 3);"),
            test("flaky", "let path = std::env::temp_dir().join(\"seen\");\n    let n = std::fs::read(&path).map_or(0, |it| it.len());\n    std::fs::write(&path, vec![0; n + 1]).unwrap();\n    assert_eq!(add(1, 2), 3);\n    assert!(n < 2);"),
            test("connects", "std::net::TcpStream::connect(\"192.0.2.1:80\").unwrap();\n    assert_eq!(add(1, 2), 3);"),
        ],
        expect![[r#"
            edit of version Some(0) "Hearth: Tests for `add`: parsed, formatted, compiled, tests passed":
            6:1-6:1 "\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn adds() {\n        assert_eq!(add(1, 2), 3);\n    }\n}"
            end: parsed, formatted, compiled, tests passed
            says: Hearth: Tests for `add`: parsed, formatted, compiled, tests passed
            3 written, 1 kept
            `adds` passed 5 times, and fails with `{ 0 }` instead of `{ a + b }`
            dropped `flaky`: it passed, and failed on run 3
            dropped `connects`: it fails
            pub fn add(a: u32, b: u32) -> u32 {
                a + b
            }

            pub fn far() -> u32 {
                add(1, 1)
            }

            #[cfg(test)]
            mod tests {
                use super::*;

                #[test]
                fn adds() {
                    assert_eq!(add(1, 2), 3);
                }
            }
        "#]],
    )
    .await;
}

#[tokio::test]
async fn what_never_ends_is_dropped_and_leaves_no_process() {
    let mut scene = Scene::trusted(ADD).await;
    scene.settings["validation"] = json!({ "max_retries_on_failure": 0 });
    scene.limits = Limits { run: Duration::from_secs(3), ..Limits::default() };
    let mut editor = scene.start().await;
    let pending = editor.command("hearth.test", &json!({}));
    editor.model_says(&test("ends", "while add(1, 2) == 3 {}")).await;
    expect![[r#"
        page:
        # Tests for `add`: not applied

        No test held; the last, `ends`: it does not end.

        ```text
        The test does not end.
        ```

        ```diff
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -5,3 +5,13 @@
         pub fn far() -> u32 {
             add(1, 1)
         }
        +
        +#[cfg(test)]
        +mod tests {
        +    use super::*;
        +
        +    #[test]
        +    fn ends() {
        +        while add(1, 2) == 3 {}
        +    }
        +}
        ```

        - 1 written, 0 kept
        - dropped `ends`: it does not end
        end: not applied
        says: Hearth: Tests for `add`: not applied: No test held; the last, `ends`: it does not end.
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    #[cfg(target_os = "linux")]
    editor.nothing_runs().await;
    editor.close().await;
}

const BESIDE: &str =
    "pub fn add(a: u32, b: u32) -> u32 {\n    $0a + b\n}\n\n#[cfg(test)]\nmod tests;\n";
const ITS_TESTS: &str = "use super::*;\n\nfn one() -> u32 {\n    1\n}\n\n#[test]\nfn none() {\n    assert_eq!(add(0, 0), 0);\n}\n";

#[tokio::test]
async fn a_file_of_the_modules_own_gets_its_tests() {
    let mut scene = Scene::trusted(BESIDE).await;
    scene.others = vec![("src/tests.rs", ITS_TESTS)];
    let answers = [
        test("adds", "assert_eq!(add(one(), 2), 3);"),
        "```rust\nuse std::cmp::max;\nuse super::*;\n\n#[test]\nfn none() {\n    assert_eq!(max(add(3, 4), 1), 7);\n}\n```".to_owned(),
        "No.".to_owned(),
        "No.".to_owned(),
        "No.".to_owned(),
        "No.".to_owned(),
    ];
    check_in(scene, &answers, expect![[r#"
        edit of src/tests.rs of version None "Hearth: Tests for `add`: parsed, formatted, compiled, tests passed":
        0:13-0:13 "\nuse std::cmp::max;"
        9:1-9:1 "\n\n#[test]\nfn adds() {\n    assert_eq!(add(one(), 2), 3);\n}\n\n#[test]\nfn none_2() {\n    assert_eq!(max(add(3, 4), 1), 7);\n}"
        use super::*;
        use std::cmp::max;

        fn one() -> u32 {
            1
        }

        #[test]
        fn none() {
            assert_eq!(add(0, 0), 0);
        }

        #[test]
        fn adds() {
            assert_eq!(add(one(), 2), 3);
        }

        #[test]
        fn none_2() {
            assert_eq!(max(add(3, 4), 1), 7);
        }
        end: parsed, formatted, compiled, tests passed
        says: Hearth: Tests for `add`: parsed, formatted, compiled, tests passed
        6 written, 2 kept
        `adds` passed 5 times, and fails with `{ 0 }` instead of `{ a + b }`
        `none_2` passed 5 times, and fails with `{ 0 }` instead of `{ a + b }`
        dropped an answer: it is no test (4 times)
    "#]]).await;
}

/// What is not saved counts, and the edit is for what the editor has.
#[tokio::test]
async fn the_file_of_the_tests_may_be_open_and_not_saved() {
    let mut scene = Scene::trusted(BESIDE).await;
    scene.others = vec![("src/tests.rs", ITS_TESTS)];
    scene.settings["validation"] = json!({ "max_retries_on_failure": 0 });
    let mut editor = scene.start().await;
    editor.open_beside("src/tests.rs", &ITS_TESTS.replace("one()", "unsaved()"));
    let pending = editor.command("hearth.test", &json!({}));
    let generation = editor.model_says(&test("adds", "assert_eq!(add(unsaved(), 2), 3);")).await;
    assert!(told(&generation).contains("fn unsaved() -> u32"), "{}", told(&generation));
    editor.model_says("No.").await;
    editor.model_says("No.").await;
    expect![[r#"
        edit of src/tests.rs of version Some(0) "Hearth: Tests for `add`: parsed, formatted, compiled, tests passed":
        9:1-9:1 "\n\n#[test]\nfn adds() {\n    assert_eq!(add(unsaved(), 2), 3);\n}"
        use super::*;

        fn unsaved() -> u32 {
            1
        }

        #[test]
        fn nunsaved() {
            assert_eq!(add(0, 0), 0);
        }

        #[test]
        fn adds() {
            assert_eq!(add(unsaved(), 2), 3);
        }
        end: parsed, formatted, compiled, tests passed
        says: Hearth: Tests for `add`: parsed, formatted, compiled, tests passed
        3 written, 1 kept
        `adds` passed 5 times, and fails with `{ 0 }` instead of `{ a + b }`
        dropped an answer: it is no test (2 times)
    "#]].assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn a_module_without_its_file_is_told() {
    check_in(Scene::trusted(BESIDE).await, &[], expect![[r#"
        end: nothing done
        says: Hearth: Generate tests: its tests are in `mod tests;`, and there is no src/tests.rs and no src/tests/mod.rs
    "#]]).await;
}

/// A scene in another language; `None`, and said so, where its tool is not on this machine.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
async fn elsewhere(tool: &str, file: &'static str, text: &'static str) -> Option<Scene> {
    if hearth::config::Toolchains::of_environment().find(tool).is_none() {
        eprintln!("SKIPPED: there is no {tool} on this machine, so no test of {file} was run");
        return None;
    }
    let mut scene = Scene::trusted(text).await;
    scene.file = file;
    scene.settings["validation"] = json!({ "max_retries_on_failure": 1 });
    Some(scene)
}

fn fenced(language: &str, code: &str) -> String {
    format!("```{language}\n{code}\n```")
}

const PYTHON: &str = "def add(a, b):\n    $0return a + b\n";

#[tokio::test]
async fn python_gets_a_file_of_tests_beside() {
    let Some(scene) = elsewhere("python3", "sums.py", PYTHON).await else { return };
    let python = |code| fenced("python", code);
    let answers = [
        python(
            "from sums import add\nimport math\n\n\ndef test_adds():\n    assert add(1, 2) == math.floor(3.5)",
        ),
        // Passes whatever `add` does.
        python("def test_always():\n    add(1, 2)"),
        python("def test_adds():\n    assert add(2, 3) == 5"),
        python("def test_wrong():\n    assert add(2, 3) == 6"),
        python("def test_wrong():\n    assert ad(2, 3) == 5"),
    ];
    check_in(scene, &answers, expect![[r#"
        edit of the new test_sums.py of version None "Hearth: Tests for `add`: parsed, checked by `python3 -m py_compile`; tests not run (no way to run the project's own tests on this machine)":
        0:0-0:0 "from sums import add\nimport math\n\n\ndef test_adds():\n    assert add(1, 2) == math.floor(3.5)\n\n\ndef test_adds_2():\n    assert add(2, 3) == 5\n"
        from sums import add
        import math


        def test_adds():
            assert add(1, 2) == math.floor(3.5)


        def test_adds_2():
            assert add(2, 3) == 5
        end: parsed, checked by `python3 -m py_compile`; tests not run (no way to run the project's own tests on this machine)
        says: Hearth: Tests for `add`: parsed, checked by `python3 -m py_compile`; tests not run (no way to run the project's own tests on this machine)
        5 written, 2 kept
        `test_adds` passed 5 times, and fails with `None` instead of `a + b`
        `test_adds_2` passed 5 times, and fails with `None` instead of `a + b`
        dropped `test_always`: it passes on each of 2 broken targets
        dropped `test_wrong`: it fails (2 times)
    "#]]).await;
}

#[tokio::test]
async fn python_has_its_tests_in_a_folder_too() {
    let Some(mut scene) = elsewhere("python3", "house/sums.py", PYTHON).await else { return };
    scene.others = vec![
        ("house/__init__.py", ""),
        (
            "tests/test_sums.py",
            "\"\"\"Sums.\"\"\"\nfrom os import sep\n\n\ndef test_adds():\n    assert sep\n",
        ),
    ];
    let answers = [
        fenced(
            "python",
            "from os import path, sep\n\n\ndef test_adds():\n    assert add(sep, path.sep) == sep + sep",
        ),
        "No.".to_owned(),
        "No.".to_owned(),
        "No.".to_owned(),
        "No.".to_owned(),
    ];
    check_in(scene, &answers, expect![[r#""#]]).await;
}

#[tokio::test]
async fn javascript_is_tested_by_node_itself() {
    let text = "export function add(a, b) {\n  $0return a + b;\n}\n";
    let Some(scene) = elsewhere("node", "src/sums.mjs", text).await else { return };
    let answers = [
        fenced("js", "test('adds', () => {\n  assert.equal(add(1, 2), 3);\n});"),
        fenced("js", "test('adds', () => {\n  assert.equal(add(null, 2), 2);\n});"),
        fenced("js", "test('always', () => {\n  add(1, 2);\n});"),
        "No.".to_owned(),
    ];
    check_in(scene, &answers, expect![[r#"
        edit of the new src/sums.test.mjs of version None "Hearth: Tests for `add`: parsed, checked by `node --check`; tests not run (no way to run the project's own tests on this machine)":
        0:0-0:0 "import test from 'node:test';\nimport assert from 'node:assert/strict';\nimport { add } from './sums.mjs';\n\ntest('adds', () => {\n  assert.equal(add(1, 2), 3);\n});\n\ntest('adds_2', () => {\n  assert.equal(add(null, 2), 2);\n});\n"
        import test from 'node:test';
        import assert from 'node:assert/strict';
        import { add } from './sums.mjs';

        test('adds', () => {
          assert.equal(add(1, 2), 3);
        });

        test('adds_2', () => {
          assert.equal(add(null, 2), 2);
        });
        end: parsed, checked by `node --check`; tests not run (no way to run the project's own tests on this machine)
        says: Hearth: Tests for `add`: parsed, checked by `node --check`; tests not run (no way to run the project's own tests on this machine)
        4 written, 2 kept
        `adds` passed 5 times, and fails with `undefined` instead of `a + b`
        `adds_2` passed 5 times, and fails with `undefined` instead of `a + b`
        dropped `always`: it passes on each of 2 broken targets
        dropped an answer: it is no test
    "#]]).await;
}

#[tokio::test]
async fn go_has_its_tests_in_the_package() {
    let text = "package sums\n\nfunc Add(a, b int) int {\n\t$0return a + b\n}\n";
    let Some(mut scene) = elsewhere("go", "sums.go", text).await else { return };
    scene.others = vec![("go.mod", "module sums\n\ngo 1.18\n")];
    let answers = [
        fenced(
            "go",
            "func TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal(\"not 3\")\n\t}\n}",
        ),
        "No.".to_owned(),
        "No.".to_owned(),
        "No.".to_owned(),
        "No.".to_owned(),
    ];
    let mut editor = scene.start().await;
    let pending = editor.command("hearth.test", &json!({}));
    for answer in answers {
        editor.model_says(&answer).await;
    }
    let seen = editor.until_done(pending).await;
    assert!(seen.contains("edit of the new sums_test.go"), "{seen}");
    assert!(seen.contains("package sums\n\nimport \"testing\"\n\nfunc TestAdd("), "{seen}");
    assert!(seen.contains("`TestAdd` passed 5 times, and fails with"), "{seen}");
    editor.close().await;
}

/// There is no one way to run TypeScript's tests: none is kept, and the user is told why.
#[tokio::test]
async fn typescript_is_shown_and_not_kept() {
    let mut scene =
        Scene::trusted("export function add(a: number, b: number) {\n  $0return a + b;\n}\n").await;
    scene.file = "src/sums.ts";
    let answer = fenced(
        "ts",
        "import { add } from './sums';\n\ntest('adds', () => {\n  assert.equal(add(1, 2), 3);\n});",
    );
    check_in(scene, &[answer], expect![[r#"
        page:
        # Tests for `add`: not applied

        a test is kept only after it has run, and it was not: no way to run tests of this language on this machine.

        ```diff
        --- a/src/sums.test.ts
        +++ b/src/sums.test.ts
        @@ -0,0 +1,7 @@
        +import test from 'node:test';
        +import assert from 'node:assert/strict';
        +import { add } from './sums';
        +
        +test('adds', () => {
        +  assert.equal(add(1, 2), 3);
        +});
        ```

        - 1 written, 0 kept
        end: not applied
        says: Hearth: Tests for `add`: not applied: a test is kept only after it has run, and it was not: no way to run tests of this language on this machine
    "#]]).await;
}

#[tokio::test]
async fn nothing_is_kept_that_was_not_run() {
    check_in(Scene::new(ADD).await, &[test("adds", "assert_eq!(add(1, 2), 3);")], expect![[r#"
        page:
        # Tests for `add`: not applied

        a test is kept only after it has run, and it was not: this workspace is not trusted.

        ```diff
        --- a/src/lib.rs
        +++ b/src/lib.rs
        @@ -5,3 +5,13 @@
         pub fn far() -> u32 {
             add(1, 1)
         }
        +
        +#[cfg(test)]
        +mod tests {
        +    use super::*;
        +
        +    #[test]
        +    fn adds() {
        +        assert_eq!(add(1, 2), 3);
        +    }
        +}
        ```

        - 1 written, 0 kept
        end: not applied
        says: Hearth: Tests for `add`: not applied: a test is kept only after it has run, and it was not: this workspace is not trusted
    "#]]).await;
}

#[tokio::test]
async fn the_model_sees_how_the_module_is_tested() {
    let text = "use std::fmt;\n\npub struct Sum(u32);\n\nimpl Sum {\n    pub fn $0add(&mut self, n: u32) {\n        self.0 += n;\n    }\n}\n\nimpl fmt::Display for Sum {\n    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {\n        self.0.fmt(f)\n    }\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    fn check(n: u32) {\n        assert_eq!(Sum(n).to_string(), n.to_string());\n    }\n\n    #[test]\n    fn shows() {\n        check(1);\n    }\n}\n";
    let mut editor = Scene::new(text).await.start().await;
    let pending = editor.command("hearth.test", &json!({}));
    let generation = editor.model.generation().await;
    expect![[r#"
        You write unit tests. You get an item of a file and see how its module is tested. Answer with one test function in one fenced code block and nothing else: no module around it, no explanation, no further tests. It asserts the exact results that the code gives for inputs that it names itself, and depends on nothing else: no time, no chance, no files, no network. If it needs imports, put their lines in front of it in the same block.File: src/lib.rs

        It imports:
        ```rust
        use std::fmt;
        ```

        Other items of the file, without bodies; they stay as they are:
        ```rust
        pub struct Sum(u32);
        impl Sum {
            pub fn add(&mut self, n: u32);
        }
        impl fmt::Display for Sum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
        }
        ```

        The function to test, which stands in `impl Sum`:
        ```rust
            pub fn add(&mut self, n: u32) {
                self.0 += n;
            }
        ```

        This is how the module is tested today:
        ```rust
            fn check(n: u32) {
                assert_eq!(Sum(n).to_string(), n.to_string());
            }

            #[test]
            fn shows() {
                check(1);
            }
        ```

        Write one unit test for the function `add`. It will stand in the module `tests` of this file, which has `use super::*;`. These tests are there already: `shows`. Test something that they do not.

        Answer with one `#[test]` function in one ```rust block and nothing else."#]].assert_eq(&told(&generation));
    generation.send("No.");
    finish(&generation, false);
    for _ in 0..3 {
        editor.model_says("No.").await;
    }
    expect![[r#"
        end: nothing done
        says: Hearth: Generate tests: 4 written, 0 kept
        dropped an answer: it is no test (4 times)
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn an_explanation_is_a_page() {
    let mut editor = Scene::new(ADD).await.start().await;
    let pending = editor.command("hearth.explain", &json!({}));
    editor.model_says("It adds `a` to `b`.\n").await;
    expect![[r#"
        page:
        # The function `add`

        It adds `a` to `b`.
        end: explained
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

/// The model has room for 2048 tokens; each method takes some 700 of them.
#[tokio::test]
async fn what_is_too_large_is_explained_part_by_part() {
    let lines = "        self.0 += 1;\n".repeat(110);
    let method = |name: &str| format!("    fn {name}(&mut self) {{\n{lines}    }}\n");
    let text = format!(
        "struct Sum(u32);\n\nimpl Sum {{$0\n{}\n{}\n{}}}\n",
        method("one"),
        method("two"),
        method("three")
    );
    let mut editor = Scene::new(Box::leak(text.into_boxed_str())).await.start().await;
    let pending = editor.command("hearth.explain", &json!({}));
    for says in ["It is one.", "It is two.", "It is three."] {
        let generation = editor.model_says(says).await;
        assert!(!told(&generation).contains("one by one"), "{}", told(&generation));
    }
    let generation = editor.model_says("All three count.").await;
    expect![[r#"
        You explain source code to a programmer who is about to change it. Be exact and brief: what it is for, how it does it, what it takes for granted, where it fails. Say only what the code shows. Write Markdown without a heading.File: src/lib.rs

        Other items of the file, without bodies; they stay as they are:
        ```rust
        struct Sum(u32);
        ```

        What is in it, explained one by one:
        - `one`: It is one.
        - `two`: It is two.
        - `three`: It is three.

        From that, explain the impl `impl Sum` as a whole.

        Answer with the explanation alone."#]].assert_eq(&told(&generation));
    expect![[r#"
        page:
        # The impl `impl Sum`

        All three count.

        *(it is too large to be read at once: explained part by part)*
        end: explained
    "#]]
    .assert_eq(&editor.until_done(pending).await);
    editor.close().await;
}

#[tokio::test]
async fn lenses_stand_over_what_others_can_call() {
    let editor = Scene::new("pub fn a$0() {}\n\nfn b() {}\n\nstruct S;\n\nimpl S {\n    /// C.\n    pub fn c() {}\n}\n\n#[cfg(test)]\nmod tests {\n    pub fn d() {}\n}\n").await.start().await;
    let params = json!({ "textDocument": { "uri": editor.uri() } });
    let answer = editor.client.send_raw("textDocument/codeLens", params).answer().await;
    let lenses = answer.expect("no error");
    let shown: Vec<String> = lenses
        .as_array()
        .expect("a list")
        .iter()
        .map(|lens| format!("{} {}\n", lens["range"]["start"]["line"], lens["command"]["title"]))
        .collect();
    expect![[r#"
        0 "Generate tests"
        8 "Generate tests"
    "#]]
    .assert_eq(&shown.concat());
    editor.close().await;
}
