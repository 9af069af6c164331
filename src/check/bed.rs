//! What runs a generated test: Cargo's harness, or the tool of another language.

use std::time::Duration;

use super::{
    Skip,
    harness::{Harness, Tested},
    runner::Runner,
    workshop::{Texts, Workshop},
};

#[derive(Debug)]
pub(super) enum Bed {
    Cargo(Harness),
    Tool(Runner),
}

impl Bed {
    /// The tests that there are; a tool is not asked.
    pub(super) async fn list(&self, workshop: &Workshop, test: &str) -> Result<Vec<String>, Skip> {
        match self {
            Self::Cargo(harness) => harness.list(workshop).await,
            Self::Tool(_) => Ok(vec![test.to_owned()]),
        }
    }

    /// The full name of a test.
    pub(super) fn named(&self, all: &[String], name: &str) -> Option<String> {
        match self {
            Self::Cargo(harness) => harness.named(all, name),
            Self::Tool(_) => Some(name.to_owned()),
        }
    }

    pub(super) async fn run(
        &self,
        workshop: &Workshop,
        test: &[String],
        time: Duration,
    ) -> Result<Tested, Skip> {
        match self {
            Self::Cargo(harness) => harness.run(workshop, test, time).await,
            Self::Tool(runner) => {
                runner.run(workshop, test.first().map_or("", String::as_str), time).await
            }
        }
    }

    /// Whether it builds with these texts, which are in place then. What a tool cannot read fails where
    /// it is run.
    pub(super) async fn builds(&self, workshop: &Workshop, texts: &Texts) -> Result<bool, Skip> {
        match self {
            Self::Cargo(harness) => harness.builds(workshop, texts).await,
            Self::Tool(_) => workshop.sync(texts).await.map(|()| true),
        }
    }
}
