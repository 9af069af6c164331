//! More than one suggestion to choose from, for somebody who asked for it: the same question put again
//! with some chance in the answer, what is fit to show of it, the likeliest first.

use std::time::Duration;

use futures::StreamExt;

use super::{
    complete::{Request, judge, serving},
    generation::{Generation, extent},
    queue::Rank,
};
use crate::{
    check::Surroundings,
    model::{Event, Stop},
    session::owner::End,
};

/// Suggestions to choose from.
const MOST: usize = 3;

/// How warm the further questions are put. Below this a small model says the same once more; much
/// above it, nonsense.
const TEMPERATURES: [f32; 4] = [0.5, 0.8, 0.5, 0.8];

/// How long somebody waits for more once there is a first.
const PATIENCE: Duration = Duration::from_secs(2);

/// Up to three different suggestions, `first` among them.
pub(super) async fn candidates(request: &Request, first: Option<String>) -> Vec<String> {
    let mut found: Vec<(String, Option<f32>)> =
        first.into_iter().map(|text| (text, None)).collect();
    let asking = async {
        for temperature in TEMPERATURES {
            let Ok(serving) = serving(&request.desk) else { return };
            let extent = extent(&serving, &request.snapshot.text, request.offset);
            let surroundings = Surroundings::of(&request.place(extent));
            let generation = request.generation(serving, temperature);
            let Some((raw, confidence)) = say(&generation).await else { return };
            let Ok(text) = surroundings.fit(&raw) else { continue };
            if found.iter().all(|(other, _)| *other != text) {
                found.push((text, confidence));
            }
            if found.len() == MOST {
                return;
            }
        }
    };
    // What has come until then is enough.
    let _ = tokio::time::timeout(PATIENCE, asking).await;
    // The first was asked for without chance: nothing is likelier.
    let by_chance = usize::from(found.first().is_some_and(|(_, confidence)| confidence.is_none()));
    found[by_chance..].sort_by(|(_, a), (_, b)| b.unwrap_or(0.0).total_cmp(&a.unwrap_or(0.0)));
    found.into_iter().map(|(text, _)| text).collect()
}

/// What the model says, once it is decided how much of it to show.
async fn say(generation: &Generation) -> Option<(String, Option<f32>)> {
    let queue = generation.desk.queue(&generation.serving);
    let turn = queue.enter(Rank::Ahead, generation.serving.slots.unwrap_or(1)).await;
    let saying = async {
        let mut events = generation.ask().await.ok()?.2;
        let mut said = String::new();
        loop {
            match events.next().await.transpose().ok()? {
                Some(Event::Text(text)) => {
                    said.push_str(&text);
                    if let Some(keep) = judge(generation.extent, &said, None) {
                        said.truncate(keep);
                        return Some((said, None));
                    }
                }
                Some(Event::Evaluating { .. }) => {}
                Some(Event::Done(usage)) => {
                    let end = if usage.stop == Stop::Limit { End::Cut } else { End::Complete };
                    said.truncate(judge(generation.extent, &said, Some(&end)).unwrap_or_default());
                    return Some((said, usage.confidence));
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
