//! How far what a task shows may go: what the user wishes for this run, what the workspace allows, and
//! who is asked about the rest.
//!
//! It decides nothing by itself: it tells the router what keeps a task here, and leads to the border.
//! Where anything of that cannot be found out, the task stays on this machine.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::Settings,
    egress::{
        Border, Destination, Nobody, OneTask, Parcel, Permit, Refusal, Trust, User, Withheld,
    },
    model::{Tier, TokenCounter},
    route::{Private, Standing},
    session::Session,
};

/// What the user wishes for one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wish {
    /// As the rules say.
    #[default]
    AsRuled,
    /// Nothing of it leaves this machine (`--private`).
    Stays,
    /// It is sent up (`--cloud`).
    GoesUp,
}

/// How far one task's text may go. One for each run of a task: consent for once holds that long.
#[derive(Clone)]
pub struct Reach {
    /// Or why nothing leaves, as a sentence.
    border: Result<Border, String>,
    user: Arc<dyn User>,
    wish: Wish,
}

/// Where the workspace's border is drawn.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// The workspace's folder.
    pub root: PathBuf,
    /// Where decisions and the audit log are kept; `None` where there is no home folder.
    pub state: Option<PathBuf>,
    pub trust: Trust,
    /// What is open in an editor; `None` where there is none.
    pub open: Option<Arc<Session>>,
}

impl Reach {
    /// As far as the rules and `user` let it go.
    pub fn new(grounds: &Grounds, settings: &Settings, user: Arc<dyn User>, wish: Wish) -> Self {
        let Grounds { root, state, trust, open } = grounds;
        let border = match state {
            Some(state) => Border::new(root, settings, state, *trust)
                .map(|border| match open {
                    Some(session) => border.with_open(Arc::clone(session)),
                    None => border,
                })
                .map_err(|refusal| refusal.to_string()),
            None => Err("there is no home folder to keep decisions in".to_owned()),
        };
        Self { border, user: Arc::new(OneTask::new(user)), wish }
    }

    /// No farther than this machine.
    pub fn here() -> Self {
        let border = Err("this task stays here".to_owned());
        Self { border, user: Arc::new(Nobody), wish: Wish::Stays }
    }

    pub(super) fn goes_up(&self) -> bool {
        self.wish == Wish::GoesUp
    }

    /// What keeps a task here that shows text of the file at `path`; nothing of that is looked up
    /// where there is nowhere `farther` to go. Who sends a task up is asked about trust where nobody
    /// has decided.
    pub(super) async fn private(&self, path: Option<&Path>, farther: bool) -> Vec<Private> {
        let mut all: Vec<Private> =
            (self.wish == Wish::Stays).then_some(Private::Asked).into_iter().collect();
        if !farther {
            return all;
        }
        let border = match &self.border {
            Ok(border) => border,
            Err(why) => {
                all.push(Private::Kept(why.clone()));
                return all;
            }
        };
        let Some(path) = path else {
            let why = "text that is in no file has no place in a workspace";
            all.push(Private::Kept(why.to_owned()));
            return all;
        };
        match border.admit(path) {
            Err(Withheld::Private { path }) => all.push(Private::Path(path)),
            Err(withheld) => all.push(Private::Kept(withheld.to_string())),
            Ok(_) => {}
        }
        let trusted = if self.goes_up() {
            border.is_trusted(&*self.user).await.map(Some)
        } else {
            border.trusted()
        };
        all.extend(distrust(trusted));
        all
    }

    /// Whether a model at `tier` may be shown text of the file at `path`, unless it is off limits to
    /// all. Clouds are the border's affair.
    pub(super) fn may_see(&self, tier: Tier, path: &Path) -> bool {
        let admitted = || self.border.as_ref().is_ok_and(|border| border.admit(path).is_ok());
        tier == Tier::ThisMachine || admitted()
    }

    /// What keeps a task here that leaves out whatever of `paths` may not leave, so that only all of
    /// them together keep it. Such a task goes up by rule, so the user is asked about trust where
    /// nobody has decided. Reads the file system.
    pub(super) async fn private_but_for(&self, paths: &[Arc<Path>], farther: bool) -> Vec<Private> {
        if self.wish == Wish::Stays {
            return vec![Private::Asked];
        }
        if !farther {
            return Vec::new();
        }
        let border = match &self.border {
            Ok(border) => border,
            Err(why) => return vec![Private::Kept(why.clone())],
        };
        let mut kept = None;
        for path in paths {
            match border.admit(path) {
                Ok(_) => {
                    let trusted = border.is_trusted(&*self.user).await.map(Some);
                    return distrust(trusted).into_iter().collect();
                }
                Err(Withheld::Private { path }) => kept = kept.or(Some(Private::Path(path))),
                Err(withheld) => kept = kept.or(Some(Private::Kept(withheld.to_string()))),
            }
        }
        kept.into_iter().collect()
    }

    /// What decides of each file; `None` where nothing leaves.
    pub(super) fn border(&self) -> Option<&Border> {
        self.border.as_ref().ok()
    }

    /// What the user said of sending to `destination`. What cannot be read allows nothing.
    pub(super) fn standing(&self, destination: &Destination) -> Standing {
        let decided = self.border.as_ref().ok().map(|border| border.decided(destination));
        match decided {
            Some(Ok(decided)) => Standing::from(decided),
            Some(Err(_)) | None => Standing::Never,
        }
    }

    /// Takes a parcel past the border.
    pub(super) async fn clear(&self, parcel: Parcel) -> Result<Permit, Refusal> {
        let Ok(border) = &self.border else { return Err(Refusal::Untrusted) };
        let parcel = Parcel { private: parcel.private || self.wish == Wish::Stays, ..parcel };
        let counter = TokenCounter::default();
        border.clear(parcel, move |text| counter.count(text), &*self.user).await
    }
}

/// What keeps a task here where the workspace is not known to be trusted.
fn distrust(trusted: Result<Option<bool>, Refusal>) -> Option<Private> {
    match trusted {
        Ok(Some(true)) => None,
        Ok(_) => Some(Private::Untrusted),
        Err(refusal) => Some(Private::Kept(refusal.to_string())),
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach")
            .field("border", &self.border)
            .field("wish", &self.wish)
            .finish_non_exhaustive()
    }
}
