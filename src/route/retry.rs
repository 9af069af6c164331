//! The one retry loop: for answers that are wrong and for servers that ask to wait.
//!
//! A mistake goes back to the model with what was wrong about it, and the next try is a little
//! colder; a server that is busy is asked the same thing again after the time it named. Either ends
//! in a clear failure. The loop knows neither models nor what makes an answer right.

use std::{fmt, time::Duration};

use crate::config::Settings;

/// How often, and how much colder each time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retries {
    /// Further tries after the first.
    pub max: usize,
    /// What the first try is asked at; 0 is greedy.
    pub temperature: f32,
    /// How much less each further try is asked at, never below 0.
    pub reduction: f32,
    /// How long waits for busy servers may be, together. A longer one is not begun.
    pub patience: Duration,
}

impl Default for Retries {
    /// The defaults of `validation.*`. The first temperature leaves room for three reductions.
    fn default() -> Self {
        Self { max: 3, temperature: 0.3, reduction: 0.1, patience: Duration::from_mins(1) }
    }
}

impl From<&Settings> for Retries {
    /// As `validation.*` say.
    fn from(settings: &Settings) -> Self {
        let usual = Self::default();
        Self {
            max: settings.max_retries.size(),
            reduction: settings.temperature_reduction.get(),
            ..usual
        }
    }
}

/// One try.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: usize,
    pub temperature: f32,
    /// What the last try got wrong; `None` at the first.
    pub mistake: Option<Mistake>,
}

impl Attempt {
    pub const fn first(retries: Retries) -> Self {
        Self { number: 1, temperature: retries.temperature, mistake: None }
    }
}

/// A wrong answer, for the model to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub answer: String,
    /// What is wrong with it, as a sentence or as a tool said it.
    pub why: String,
    /// Whose words those are.
    pub witness: Witness,
}

/// Who says what is wrong with an answer: what leaves this machine has to be known by its origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Witness {
    /// Our own words, of the answer and of what was asked.
    #[default]
    Hearth,
    /// A compiler, which quotes code and says where it stands.
    Compiler,
    /// A program that was run, which may print anything.
    Program,
}

impl Mistake {
    /// As we say it ourselves.
    pub fn new(answer: impl Into<String>, why: impl Into<String>) -> Self {
        Self { answer: answer.into(), why: why.into(), witness: Witness::Hearth }
    }
}

/// Why a try did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setback<E> {
    /// The answer is wrong; the model may do better when told.
    Mistake(Mistake),
    /// The server asks to wait this long. Waiting is no try.
    Wait(Duration, E),
    /// Nothing is won by trying again.
    Final(E),
}

impl<E> From<Mistake> for Setback<E> {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake)
    }
}

/// Why there is no right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GaveUp<E> {
    /// Every try was wrong; this was the last.
    Wrong { tries: usize, last: Mistake },
    /// It could not be asked, or no longer.
    Failed(E),
}

impl<E: fmt::Display> fmt::Display for GaveUp<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong { tries: 1, last } => write!(f, "the answer was wrong: {}", last.why),
            Self::Wrong { tries, last } => {
                write!(f, "none of {tries} answers was right; the last: {}", last.why)
            }
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for GaveUp<E> {}

/// Tries until `ask` brings an answer that `check` takes.
///
/// `check` turns what was answered into what was wanted, or says what is wrong with it.
pub async fn retry<A, T, E, Asking, Checking>(
    retries: Retries,
    mut ask: impl FnMut(Attempt) -> Asking,
    mut check: impl FnMut(A) -> Checking,
) -> Result<T, GaveUp<E>>
where
    Asking: Future<Output = Result<A, Setback<E>>>,
    Checking: Future<Output = Result<T, Setback<E>>>,
{
    let mut patience = retries.patience;
    let mut attempt = Attempt::first(retries);
    loop {
        let outcome = match ask(attempt.clone()).await {
            Ok(answer) => check(answer).await,
            Err(setback) => Err(setback),
        };
        match outcome {
            Ok(right) => return Ok(right),
            Err(Setback::Mistake(last)) if attempt.number > retries.max => {
                return Err(GaveUp::Wrong { tries: attempt.number, last });
            }
            Err(Setback::Mistake(mistake)) => {
                attempt = Attempt {
                    number: attempt.number + 1,
                    temperature: (attempt.temperature - retries.reduction).max(0.0),
                    mistake: Some(mistake),
                };
            }
            Err(Setback::Wait(time, error)) => match patience.checked_sub(time) {
                Some(left) => {
                    // A wait of nothing costs something too, or a server could hold us for ever.
                    patience = left.saturating_sub(LEAST_WAIT);
                    if patience.is_zero() {
                        return Err(GaveUp::Failed(error));
                    }
                    tokio::time::sleep(time).await;
                }
                None => return Err(GaveUp::Failed(error)),
            },
            Err(Setback::Final(error)) => return Err(GaveUp::Failed(error)),
        }
    }
}

/// What each wait costs beside its time: a server that says "at once" is asked 60 times in a minute
/// of patience, not for ever.
const LEAST_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque, fmt::Write as _};

    use expect_test::{Expect, expect};
    use tokio::time::Instant;

    use super::*;

    /// What a scripted server does at each asking.
    #[derive(Clone, Copy)]
    enum Does {
        Says(&'static str),
        AsksToWait(u64),
        Breaks,
    }
    use Does::{AsksToWait, Breaks, Says};

    async fn check(script: &[Does], expected: Expect) {
        tokio::time::pause();
        let script = RefCell::new(VecDeque::from(script.to_vec()));
        let log = RefCell::new(String::new());
        let began = Instant::now();
        let ask = |attempt: Attempt| {
            let told = attempt.mistake.map(|it| format!(", told that '{}' {}", it.answer, it.why));
            let _ = writeln!(
                log.borrow_mut(),
                "{} s: try {} at {:.1}{}",
                began.elapsed().as_secs(),
                attempt.number,
                attempt.temperature,
                told.unwrap_or_default()
            );
            let does = script.borrow_mut().pop_front();
            async move {
                match does {
                    Some(Says(answer)) => Ok(answer),
                    Some(AsksToWait(s)) => Err(Setback::Wait(Duration::from_secs(s), "busy")),
                    Some(Breaks) | None => Err(Setback::Final("broken")),
                }
            }
        };
        let number = |answer: &'static str| async move {
            answer.parse::<u8>().map_err(|error| {
                let why = format!("is no number: {error}");
                Setback::Mistake(Mistake::new(answer, why))
            })
        };
        let outcome = retry(Retries::default(), ask, number).await;
        let outcome = outcome.map_or_else(|gave_up| gave_up.to_string(), |n| n.to_string());
        expected.assert_eq(&format!("{}{outcome}", log.borrow()));
    }

    #[tokio::test]
    async fn a_right_answer_ends_it() {
        check(
            &[Says("7"), Says("8")],
            expect![[r#"
                0 s: try 1 at 0.3
                7"#]],
        )
        .await;
    }

    #[tokio::test]
    async fn a_mistake_is_told_and_the_next_try_is_colder() {
        check(
            &[Says("a"), Says("b"), Says("9")],
            expect![[r#"
                0 s: try 1 at 0.3
                0 s: try 2 at 0.2, told that 'a' is no number: invalid digit found in string
                0 s: try 3 at 0.1, told that 'b' is no number: invalid digit found in string
                9"#]],
        )
        .await;
    }

    #[tokio::test]
    async fn after_three_retries_it_fails() {
        check(
            &[Says("a"), Says("b"), Says("c"), Says("999"), Says("1")],
            expect![[r#"
                0 s: try 1 at 0.3
                0 s: try 2 at 0.2, told that 'a' is no number: invalid digit found in string
                0 s: try 3 at 0.1, told that 'b' is no number: invalid digit found in string
                0 s: try 4 at 0.0, told that 'c' is no number: invalid digit found in string
                none of 4 answers was right; the last: is no number: number too large to fit in target type"#]],
        )
        .await;
    }

    #[tokio::test]
    async fn waiting_is_no_try() {
        check(
            &[AsksToWait(20), Says("a"), AsksToWait(5), Says("9")],
            expect![[r#"
                0 s: try 1 at 0.3
                20 s: try 1 at 0.3
                20 s: try 2 at 0.2, told that 'a' is no number: invalid digit found in string
                25 s: try 2 at 0.2, told that 'a' is no number: invalid digit found in string
                9"#]],
        )
        .await;
    }

    #[tokio::test]
    async fn patience_ends() {
        check(
            &[AsksToWait(40), AsksToWait(30), Says("9")],
            expect![[r#"
                0 s: try 1 at 0.3
                40 s: try 1 at 0.3
                busy"#]],
        )
        .await;
    }

    #[tokio::test]
    async fn a_server_that_never_waits_long_is_not_asked_for_ever() {
        tokio::time::pause();
        let mut asked = 0;
        let ask = |_| {
            asked += 1;
            async { Err::<(), _>(Setback::Wait(Duration::ZERO, "busy")) }
        };
        let outcome = retry(Retries::default(), ask, |()| async { Ok(()) }).await;
        assert_eq!((outcome, asked), (Err(GaveUp::Failed("busy")), 60));
    }

    #[tokio::test]
    async fn what_cannot_be_mended_is_not_tried_again() {
        check(
            &[Breaks, Says("1")],
            expect![[r#"
                0 s: try 1 at 0.3
                broken"#]],
        )
        .await;
    }
}
