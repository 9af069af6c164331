//! Computing what the next prompt begins with, while nobody types.
//!
//! A request leaves its prompt in the server's cache. Where the cursor goes without one (something was
//! pasted, the user looks around), or where something else was asked since, the next request would
//! have to compute all of it. So once the editor has been idle for a moment, the part of that prompt
//! that a key does not change is sent ahead. It comes last in the model's queue, asks for nothing but
//! the evaluation, and is dropped the moment a request comes.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;

use super::{
    Audience, Desk,
    complete::{Request, serving},
    queue::Rank,
};
use crate::{
    config::Settings,
    route::State,
    session::{Snapshot, task::OwnedTask},
};

/// How long nobody asks for anything before something is computed in advance: more than the pause
/// between two words.
const IDLE: Duration = Duration::from_millis(500);

/// Bytes that are not in the cache, from which on it is worth a request.
const WORTH: usize = 256;

/// The user looks at byte `offset` of `snapshot`, and may type there soon. Costs microseconds.
pub fn view(desk: &Arc<Desk>, settings: Arc<Settings>, snapshot: Snapshot, offset: usize) {
    desk.visit(&snapshot, offset);
    let audience = Audience::GhostText;
    prepare(Request { desk: Arc::clone(desk), settings, snapshot, offset, audience });
}

/// Prepares for a request like this one, once the editor is idle.
pub(super) fn prepare(request: Request) {
    let desk = Arc::clone(&request.desk);
    desk.when_idle(|| OwnedTask::spawn(prefill(request)));
}

async fn prefill(request: Request) {
    tokio::time::sleep(IDLE).await;
    let desk = &request.desk;
    let Ok(serving) = serving(desk) else { return };
    let is_warm = desk.router().health().state == State::Warm;
    if !is_warm
        || !request.settings.completion_enabled
        || serving.unasked(&request.settings).is_some()
    {
        return;
    }
    let generation = request.generation(serving.clone(), 0.0);
    let Some(stable) = generation.stable().await else { return };
    if desk.bytes_not_seen(&serving, &stable) < WORTH {
        return;
    }
    let turn = desk.queue(&serving).enter(Rank::Prefill, serving.slots.unwrap_or(1)).await;
    let evaluating = async {
        // Whatever goes wrong, the next request will say.
        if let Ok(mut events) = generation.evaluate(stable).await {
            while events.next().await.is_some_and(|event| event.is_ok()) {}
        }
    };
    tokio::select! {
        () = evaluating => {}
        () = turn.called_back() => {}
    }
}
