//! Answers in JSON: checked against a schema, and asked for again with what was wrong.
//!
//! Servers are given the schema as well (a grammar, `response_format`, a tool), but none is trusted
//! to have kept to it.

use std::sync::Arc;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value as Json;

use super::retry::{Attempt, GaveUp, Mistake, Retries, Setback, retry};

/// What an unchecked schema is called inside the checker.
const NAME: &str = "hearth:answer";

/// A JSON Schema, ready to check with. Cheap to clone.
#[derive(Clone)]
pub struct Schema {
    source: Arc<Json>,
    compiled: Arc<(Schemas, SchemaIndex)>,
}

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no JSON Schema: {detail}")]
pub struct NoSchema {
    detail: String,
}

impl Schema {
    /// Draft 2020-12 unless it names another one.
    pub fn new(source: Json) -> Result<Self, NoSchema> {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let no_schema = |detail: String| NoSchema { detail };
        compiler.add_resource(NAME, source.clone()).map_err(|e| no_schema(e.to_string()))?;
        let index = compiler.compile(NAME, &mut schemas).map_err(|e| no_schema(e.to_string()))?;
        Ok(Self { source: Arc::new(source), compiled: Arc::new((schemas, index)) })
    }

    /// The schema as servers are given it.
    pub fn source(&self) -> &Arc<Json> {
        &self.source
    }

    /// The JSON of an answer; `strict` where it has to follow the schema, else it has to be JSON. A
    /// fence round all of it, which many models cannot leave away, is taken off.
    pub fn read(&self, answer: &str, strict: bool) -> Result<Json, Mistake> {
        let mistake = |why: String| Mistake::new(answer, why);
        let json: Json = serde_json::from_str(unfenced(answer))
            .map_err(|error| mistake(format!("it is not JSON: {error}")))?;
        let (schemas, index) = &*self.compiled;
        match schemas.validate(&json, *index) {
            Err(error) if strict => Err(mistake(format!("it does not follow the schema: {error}"))),
            _ => Ok(json),
        }
    }

    /// Asks until the answer follows the schema, each time with the mistake before.
    pub async fn answered<E, Asking>(
        &self,
        retries: Retries,
        strict: bool,
        ask: impl FnMut(Attempt) -> Asking,
    ) -> Result<Json, GaveUp<E>>
    where
        Asking: Future<Output = Result<String, Setback<E>>>,
    {
        retry(retries, ask, async |answer: String| {
            self.read(&answer, strict).map_err(Setback::from)
        })
        .await
    }
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Schema").field(&self.source).finish()
    }
}

fn unfenced(answer: &str) -> &str {
    let answer = answer.trim();
    let inside = answer.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let body = inside.and_then(|inside| inside.split_once('\n'));
    body.map_or(answer, |(_, body)| body)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let source = json!({
            "type": "object",
            "required": ["name", "lines"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string" },
                "lines": { "type": "array", "items": { "type": "integer", "minimum": 1 } },
            },
        });
        Schema::new(source).unwrap()
    }

    fn check(answer: &str, expected: Expect) {
        let read = |strict| match schema().read(answer, strict) {
            Ok(json) => json.to_string(),
            Err(mistake) => mistake.why,
        };
        expected.assert_eq(&format!("{}\n-- not strict: {}\n", read(true), read(false)));
    }

    #[test]
    fn answers_are_held_to_the_schema() {
        check(
            r#"{"name": "a", "lines": [1, 2]}"#,
            expect![[r#"
            {"name":"a","lines":[1,2]}
            -- not strict: {"name":"a","lines":[1,2]}
        "#]],
        );
        check(
            "```json\n{\"name\": \"a\", \"lines\": []}\n```\n",
            expect![[r#"
            {"name":"a","lines":[]}
            -- not strict: {"name":"a","lines":[]}
        "#]],
        );
        check(
            r#"{"name": "a", "lines": [0], "more": 1}"#,
            expect![[r#"
            it does not follow the schema: jsonschema validation failed with hearth:answer#
            - at '/lines/0': must be >=1, but got 0
            - at '': additionalProperties 'more' not allowed
            -- not strict: {"name":"a","lines":[0],"more":1}
        "#]],
        );
        check(
            r#"{"name": "a", "lines": [1]"#,
            expect![[r#"
            it is not JSON: EOF while parsing an object at line 1 column 26
            -- not strict: it is not JSON: EOF while parsing an object at line 1 column 26
        "#]],
        );
        check(
            "Here it is: {}",
            expect![[r#"
            it is not JSON: expected value at line 1 column 1
            -- not strict: it is not JSON: expected value at line 1 column 1
        "#]],
        );
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        expect!["this is no JSON Schema: hearth:answer# is not valid against metaschema"]
            .assert_eq(&Schema::new(json!({ "type": 7 })).unwrap_err().to_string());
    }

    #[tokio::test]
    async fn a_wrong_answer_is_asked_for_again_and_colder() {
        let answers = ["no", r#"{"name": 1, "lines": []}"#, r#"{"name": "a", "lines": [3]}"#];
        let answers = RefCell::new(VecDeque::from(answers));
        let asked = RefCell::new(Vec::new());
        let ask = |attempt: Attempt| {
            asked.borrow_mut().push((attempt.number, format!("{:.1}", attempt.temperature)));
            let answer = answers.borrow_mut().pop_front().unwrap_or_default().to_owned();
            async { Ok::<_, Setback<String>>(answer) }
        };
        let json = schema().answered(Retries::default(), true, ask).await.unwrap();
        assert_eq!(json, json!({ "name": "a", "lines": [3] }));
        let tries = [(1, "0.3"), (2, "0.2"), (3, "0.1")];
        assert_eq!(*asked.borrow(), tries.map(|(number, at)| (number, at.to_owned())));
    }

    #[tokio::test]
    async fn it_ends_in_a_clear_failure() {
        let ask = |_| async { Ok::<_, Setback<String>>("[]".to_owned()) };
        let gave_up = schema().answered(Retries::default(), true, ask).await.unwrap_err();
        expect![[r#"
            none of 4 answers was right; the last: it does not follow the schema: jsonschema validation failed with hearth:answer#
            - at '': want object, but got array"#]].assert_eq(&gave_up.to_string());
    }
}
