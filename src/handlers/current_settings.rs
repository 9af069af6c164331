//! The settings as they are now, and who is told what of them was not taken.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value as Json;
use tokio::sync::watch;
use tower_lsp::gen_lsp_types::{MessageType, ShowMessageNotification, ShowMessageParams};

use crate::{
    config::{Complaint, Layer, Layers, Settings},
    lsp::Outbox,
};

/// The section of an editor's settings that is ours.
pub(super) const SECTION: &str = "hearth";

/// The settings as they are now.
#[derive(Debug)]
pub struct CurrentSettings {
    layers: Mutex<Layers>,
    settings: watch::Sender<Arc<Settings>>,
    outbox: Outbox,
    /// Complaints that the user has seen.
    told: Mutex<HashSet<String>>,
}

impl CurrentSettings {
    /// Resolves `layers`; what of them was not taken is told once the client listens.
    pub fn new(layers: Layers, outbox: Outbox) -> Self {
        let (settings, complaints) = layers.resolve();
        let current = Self {
            layers: Mutex::new(layers),
            settings: watch::Sender::new(Arc::new(settings)),
            outbox,
            told: Mutex::default(),
        };
        current.tell(&complaints);
        current
    }

    pub fn get(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Wakes when the settings change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Replaces one layer. `tree` may be the whole of an editor's settings or our section of them.
    pub fn set(&self, layer: Layer, mut tree: Json) {
        let tree = tree.get_mut(SECTION).map(Json::take).unwrap_or(tree);
        if !tree.is_object() {
            return;
        }
        let complaints = {
            let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
            layers.set(layer, tree);
            let (settings, complaints) = layers.resolve();
            // Under the lock: of two changes at once the later one stays.
            self.settings.send_replace(Arc::new(settings));
            complaints
        };
        self.tell(&complaints);
    }

    fn tell(&self, complaints: &[Complaint]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let news: Vec<_> = complaints
            .iter()
            .map(ToString::to_string)
            .filter(|complaint| told.insert(complaint.clone()))
            .collect();
        if news.is_empty() {
            return;
        }
        for complaint in &news {
            tracing::warn!("{complaint}");
        }
        self.outbox.notify::<ShowMessageNotification>(ShowMessageParams {
            kind: MessageType::Warning,
            message: format!("Hearth: {}", news.join("; ")),
        });
    }
}
