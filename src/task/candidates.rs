//! More than one suggestion to choose from, for somebody who asked for it: the same question put again
//! with some chance in the answer, and what is fit to show of it: first what leaves the fewest parse
//! errors, and of that what the model finds likeliest.

use std::time::Duration;

use futures::StreamExt;

use super::{
    complete::{Request, judge, serving},
    generation::{Generation, extent},
    queue::Rank,
};
use crate::{
    model::{Event, Stop},
    session::owner::End,
};

/// Suggestions to choose from.
const MOST: usize = 3;

/// How warm the further questions are put. Below this a small model says the same once more; much
/// above it, nonsense.
const TEMPERATURES: [f32; 4] = [0.5, 0.8, 0.5, 0.8];

/// How long somebody waits for all of them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something to choose.
struct Candidate {
    text: String,
    /// Bytes around the cursor that do not parse with it.
    errors: usize,
    /// How likely the model finds its first line: the natural logarithm of the probability.
    odds: f32,
}

/// Up to three different suggestions, `first` among them.
pub(super) async fn candidates(request: &Request, first: Option<String>) -> Vec<String> {
    let mut found: Vec<Candidate> = Vec::new();
    if let Some(text) = first {
        let surroundings = request.surroundings(request.extent()).await;
        let errors = surroundings.map_or(0, |surroundings| surroundings.errors_with(&text));
        // It was said without chance: nothing is likelier.
        found.push(Candidate { text, errors, odds: f32::INFINITY });
    }
    let asking = async {
        for temperature in TEMPERATURES {
            let Ok(serving) = serving(&request.desk) else { return };
            let extent = extent(&serving, &request.snapshot.text, request.offset);
            let Some(surroundings) = request.surroundings(extent).await else { return };
            let generation = request.generation(serving, temperature);
            let Some((raw, odds)) = say(&generation).await else { return };
            let Ok(text) = surroundings.fit(&raw) else { continue };
            if found.iter().all(|other| other.text != text) {
                let errors = surroundings.errors_with(&text);
                found.push(Candidate { text, errors, odds: odds.unwrap_or(f32::NEG_INFINITY) });
            }
            if found.len() == MOST {
                return;
            }
        }
    };
    // What has come until then is enough.
    let _ = tokio::time::timeout(PATIENCE, asking).await;
    found.sort_by(|a, b| a.errors.cmp(&b.errors).then(b.odds.total_cmp(&a.odds)));
    found.into_iter().map(|candidate| candidate.text).collect()
}

/// What the model says, once it is decided how much of it to show, and the natural logarithm of how
/// likely it found that.
async fn say(generation: &Generation) -> Option<(String, Option<f32>)> {
    let queue = generation.desk.queue(&generation.serving);
    let turn = queue.enter(Rank::Ahead, generation.serving.slots.unwrap_or(1)).await;
    let saying = async {
        let mut events = generation.ask().await.ok()?.2;
        let mut said = String::new();
        let mut odds = None;
        loop {
            match events.next().await.transpose().ok()? {
                // Of the first line, which all of them have: a longer one is not the less likely.
                Some(Event::Odds(logprob)) if !said.trim_start().contains('\n') => {
                    *odds.get_or_insert_default() += logprob;
                }
                Some(Event::Odds(_) | Event::Evaluating { .. }) => {}
                Some(Event::Text(text)) => {
                    said.push_str(&text);
                    if let Some(keep) = judge(generation.extent, &said, None) {
                        said.truncate(keep);
                        return Some((said, odds));
                    }
                }
                Some(Event::Done(usage)) => {
                    let end = if usage.stop == Stop::Limit { End::Cut } else { End::Complete };
                    said.truncate(judge(generation.extent, &said, Some(&end)).unwrap_or_default());
                    return Some((said, odds));
                }
                None => return None,
            }
        }
    };
    tokio::select! {
        said = saying => said,
        () = turn.called_back() => None,
    }
}
