//! `hearth/status`: how the model is, told whenever that changes.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    config::Settings,
    lsp::{
        Outbox,
        ext::{Status, StatusParams, StatusState},
    },
    model::fim,
    route::{Health, State},
    session::task::OwnedTask,
    task::{Desk, MOST_OUTPUT, desk::Last},
};

/// Tells the client now and at every change.
pub(super) fn tell(
    desk: &Arc<Desk>,
    mut settings: watch::Receiver<Arc<Settings>>,
    outbox: Outbox,
) -> OwnedTask {
    let desk = Arc::clone(desk);
    let (mut health, mut last) = (desk.router().watch(), desk.last());
    OwnedTask::spawn(async move {
        let mut told = None;
        loop {
            let now = params(
                &desk,
                &health.borrow_and_update(),
                &last.borrow_and_update(),
                &settings.borrow_and_update(),
            );
            if told.as_ref() != Some(&now) {
                outbox.notify::<Status>(now.clone());
                told = Some(now);
            }
            let gone = tokio::select! {
                changed = health.changed() => changed.is_err(),
                changed = last.changed() => changed.is_err(),
                changed = settings.changed() => changed.is_err(),
            };
            if gone {
                return;
            }
        }
    })
}

fn params(desk: &Desk, health: &Health, last: &Last, settings: &Settings) -> StatusParams {
    let serving = health.choice.as_ref();
    let speed = serving.map(|serving| desk.speed(serving)).unwrap_or_default();
    let (prefill_per_second, decode_per_second) = speed.rates();
    let target = Duration::from_millis(settings.ttft_target_ms.get());
    let ceiling = settings.max_local_context_tokens.size();
    StatusParams {
        state: match health.state {
            State::Cold => StatusState::Cold,
            State::Loading => StatusState::Loading,
            State::Warm => StatusState::Warm,
            State::Down => StatusState::Down,
        },
        paused: !settings.completion_enabled,
        provider: serving.map(|serving| serving.provider.kind().to_string()),
        endpoint: serving.map(|serving| serving.provider.endpoint().to_owned()),
        model: serving.map(|serving| serving.model.name.clone()),
        mode: serving.map(|serving| fim::choose(&serving.model).to_string()),
        message: match serving.and_then(|serving| serving.unasked(settings)) {
            Some(reason) => format!("{}. {reason}", health.message),
            None => health.message.clone(),
        },
        last_no_suggestion: last.no_suggestion.clone(),
        prompt_tokens: speed.prompts().map(|(all, _)| all),
        cached_tokens: speed.prompts().map(|(_, cached)| cached),
        prefill_per_second,
        decode_per_second,
        prompt_limit: speed.prompt_tokens(target).filter(|limit| *limit < ceiling),
        output_limit: Some(speed.output_tokens(MOST_OUTPUT)).filter(|limit| *limit < MOST_OUTPUT),
        wait_milliseconds: serving.map(|_| match settings.debounce_ms.set() {
            Some(wait) => wait.get(),
            None => {
                u64::try_from(speed.debounce(None, Duration::ZERO).as_millis()).unwrap_or_default()
            }
        }),
        clouds: settings.clouds.resolve().into_iter().flatten().map(|cloud| cloud.name).collect(),
    }
}
