//! Examines parcels and mints permits.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use super::{
    Cleared, Consent, Decisions, Destination, Manifest, Parcel, Permit, Refusal, Standing, Trust,
    User, Withheld,
    audit::{self, Decision, Log},
    exclude::Exclusions,
    inspect::Inspection,
    redact::Redactor,
};
use crate::{config::Settings, session::Session};

/// The border of one workspace, as settings and trust are now; one for each conversation. Cheap to
/// clone. All but [`clear`](Self::clear) and [`is_trusted`](Self::is_trusted) block: they read files
/// and write the audit log.
#[derive(Debug, Clone)]
pub struct Border(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) exclusions: Exclusions,
    pub(super) enforced: bool,
    /// Every task is private.
    local_only: bool,
    trust: Trust,
    decisions: Decisions,
    log: Log,
    redactor: Mutex<Redactor>,
    /// What is open in the editor: a text that is not on disk yet has secrets as well.
    pub(super) open: Option<Arc<Session>>,
}

impl Border {
    /// `state` is the folder that keeps decisions and the log
    /// ([`state_folder`](crate::config::state_folder)).
    pub fn new(
        root: &Path,
        settings: &Settings,
        state: &Path,
        trust: Trust,
    ) -> Result<Self, Refusal> {
        let exclusions =
            Exclusions::new(root, &settings.privacy_exclude, &settings.privacy_private)?;
        Ok(Self(Arc::new(Inner {
            exclusions,
            enforced: settings.privacy_enforced,
            local_only: settings.local_only,
            trust,
            decisions: Decisions::new(state),
            log: Log::new(state),
            redactor: Mutex::default(),
            open: None,
        })))
    }

    /// The same, to which the editor's unsaved texts are known. For a border that is just made.
    #[must_use]
    pub fn with_open(mut self, session: Arc<Session>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.open = Some(session);
        }
        self
    }

    /// The workspace's folder, canonical.
    pub fn root(&self) -> &Path {
        self.0.exclusions.root()
    }

    /// Whether text of the file may leave; the path relative to the workspace if so. What a tool
    /// asks before it reads. Private files are never read for a cloud, whatever the settings.
    pub fn admit(&self, path: &Path) -> Result<String, Withheld> {
        let verdict = self.0.exclusions.judge(path);
        match verdict.withheld {
            Some(withheld) => Err(withheld),
            None if verdict.private => Err(Withheld::Private { path: verdict.shown }),
            None => Ok(verdict.shown),
        }
    }

    /// What the user decided of sending to `destination`; `None` where there is to be asked. Reads a
    /// file.
    pub fn decided(&self, destination: &Destination) -> Result<Option<Consent>, Refusal> {
        let kept = self.0.decisions.standing(self.root(), &destination.host());
        kept.map_err(unrecorded)
    }

    /// Whether the workspace is trusted; `None` where nobody has decided. Reads a file.
    pub fn trusted(&self) -> Result<Option<bool>, Refusal> {
        self.0.trust.decided(&self.0.decisions, self.root()).map_err(unrecorded)
    }

    /// Whether the workspace is trusted; the user is asked where nobody has decided.
    pub async fn is_trusted(&self, user: &dyn User) -> Result<bool, Refusal> {
        let Inner { trust, decisions, .. } = &*self.0;
        trust.ask(decisions, self.root(), user).await.map_err(unrecorded)
    }

    /// All of it: examines the parcel, asks the user what is not decided, writes the audit log, and
    /// mints the permit. `count` tells the tokens of a text.
    pub async fn clear(
        &self,
        parcel: Parcel,
        count: impl Fn(&str) -> usize + Send + 'static,
        user: &dyn User,
    ) -> Result<Permit, Refusal> {
        // Asked for its question alone: the examination decides, and writes a refusal down.
        self.is_trusted(user).await?;
        let border = self.clone();
        let examined = blocking(move || border.examine(parcel, count)).await?;
        let consent = match examined.standing() {
            Standing::Allowed => Some(Consent::Workspace),
            Standing::Ask => user.consents(examined.manifest()).await,
        };
        blocking(move || match consent {
            Some(consent) => examined.seal(consent),
            None => Err(examined.decline()),
        })
        .await
    }

    /// Decides what of a parcel may leave. `count` tells the tokens of a text. A refusal is in the
    /// audit log when this returns.
    pub fn examine(
        &self,
        parcel: Parcel,
        count: impl Fn(&str) -> usize,
    ) -> Result<Examined, Refusal> {
        let (destination, model) =
            (parcel.destination.host(), parcel.destination.model().to_owned());
        let examined = self.weigh(parcel, &count);
        if let Err(refusal) = &examined {
            self.record(&audit::Request {
                destination: &destination,
                model: &model,
                manifest: None,
                decision: Decision::Refused,
                reason: refusal.word(),
            })?;
        }
        examined
    }

    /// What would leave, decided as by [`examine`](Self::examine); nothing is asked, logged or sent.
    pub fn preview(
        &self,
        parcel: Parcel,
        count: impl Fn(&str) -> usize,
    ) -> Result<Preview, Refusal> {
        let Examined { permit, .. } = self.weigh(parcel, &count)?;
        let mut text = permit.system;
        for turn in permit.turns {
            for content in turn.contents {
                let (Cleared::Text(part) | Cleared::Outcome { text: part, .. }) = content else {
                    continue;
                };
                text.push_str(&part);
            }
        }
        Ok(Preview { manifest: permit.manifest, text })
    }

    fn weigh(&self, parcel: Parcel, count: &dyn Fn(&str) -> usize) -> Result<Examined, Refusal> {
        let Inner { trust, decisions, .. } = &*self.0;
        let trusted = trust.decided(decisions, self.root()).map_err(unrecorded)?;
        if trusted != Some(true) {
            return Err(Refusal::Untrusted);
        }
        let private = parcel.private || self.0.local_only;
        if private && self.0.enforced {
            return Err(Refusal::PrivateTask);
        }
        let host = parcel.destination.host();
        let standing = match decisions.standing(self.root(), &host).map_err(unrecorded)? {
            Some(Consent::Never) => return Err(Refusal::Declined { destination: host }),
            Some(Consent::Workspace | Consent::Once) => Standing::Allowed,
            None => Standing::Ask,
        };
        let mut redactor = self.0.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inspection = Inspection::new(&self.0, &mut redactor, private);
        let turns = inspection.turns(parcel.turns)?;
        let tools = parcel.tools.into_iter().map(|tool| inspection.tool(tool)).collect();
        let answer_schema = parcel.answer_schema.map(|schema| inspection.json(&schema));
        if let (0, Some(first)) = (inspection.pieces, inspection.withheld.first()) {
            return Err(Refusal::NothingLeft { first: first.clone() });
        }
        // A private request is asked about each time, whatever was allowed before.
        let standing = if inspection.private { Standing::Ask } else { standing };
        let restorer = inspection.redactor.restorer();
        let mut permit = Permit {
            border: self.clone(),
            system: parcel.system.to_owned(),
            turns,
            tools,
            answer_schema,
            max_output_tokens: parcel.max_output_tokens,
            manifest: inspection.manifest(host, parcel.destination.model().to_owned()),
            restorer,
            destination: parcel.destination,
            left: AtomicBool::new(false),
        };
        permit.measure(count);
        Ok(Examined { permit, standing })
    }

    pub(super) fn record(&self, request: &audit::Request<'_>) -> Result<(), Refusal> {
        self.0.log.append(self.root(), request).map_err(unrecorded)
    }
}

fn unrecorded(error: std::io::Error) -> Refusal {
    Refusal::Record { detail: error.to_string() }
}

/// Runs on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Refusal::Record { detail: format!("the examination failed: {error}") })
    })
}

/// A parcel that was examined and waits for the user.
#[derive(Debug)]
#[must_use]
pub struct Examined {
    permit: Permit,
    standing: Standing,
}

impl Examined {
    /// What would leave: to be shown before anything is asked.
    pub fn manifest(&self) -> &Manifest {
        &self.permit.manifest
    }

    /// Whether the user has to be asked.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Keeps the user's answer, writes the audit log, and mints the permit. Without a line in the
    /// log there is no permit. What is private is allowed for this once at the most.
    pub fn seal(self, consent: Consent) -> Result<Permit, Refusal> {
        let permit = self.permit;
        let consent = match consent {
            Consent::Workspace if permit.manifest.private => Consent::Once,
            consent => consent,
        };
        let border = &permit.border;
        let host = permit.destination.host();
        border.0.decisions.keep(border.root(), &host, consent).map_err(unrecorded)?;
        let word = match consent {
            Consent::Once => "once",
            Consent::Workspace => "workspace",
            Consent::Never => {
                permit.record(Decision::Refused, "declined")?;
                return Err(Refusal::Declined { destination: host });
            }
        };
        permit.record(Decision::Sent, word)?;
        Ok(permit)
    }

    /// The user said "not now": nothing is kept but a line in the log.
    pub fn decline(self) -> Refusal {
        let recorded = self.permit.record(Decision::Refused, "declined");
        let destination = self.permit.destination.host();
        recorded.err().unwrap_or(Refusal::Declined { destination })
    }
}

/// What would leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub manifest: Manifest,
    /// All text as it would be sent, placeholders included.
    pub text: String,
}
