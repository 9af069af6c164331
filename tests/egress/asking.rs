//! Who is asked what, and what is kept of the answer.

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::future::{self, BoxFuture, FutureExt};
use hearth::egress::{
    Border, Consent, Destination, Manifest, Nobody, Parcel, Refusal, Standing, Trust, User,
};

use super::{Workspace, words};

/// Answers as told, and counts the questions.
#[derive(Default)]
struct Somebody {
    trusts: Option<bool>,
    consents: Option<Consent>,
    asked_trust: AtomicUsize,
    /// What was shown.
    manifests: Mutex<Vec<Manifest>>,
}

impl Somebody {
    fn who(trusts: Option<bool>, consents: Option<Consent>) -> Self {
        Self { trusts, consents, ..Self::default() }
    }

    fn asked(&self) -> (usize, usize) {
        (self.asked_trust.load(Ordering::SeqCst), self.manifests.lock().expect("no panic").len())
    }
}

impl User for Somebody {
    fn trusts<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Option<bool>> {
        self.asked_trust.fetch_add(1, Ordering::SeqCst);
        future::ready(self.trusts).boxed()
    }

    fn consents<'a>(&'a self, manifest: &'a Manifest) -> BoxFuture<'a, Option<Consent>> {
        self.manifests.lock().expect("no panic").push(manifest.clone());
        future::ready(self.consents).boxed()
    }
}

const ONE_FILE: &str = "//- src/main.rs\nfn main() {}\n";

fn one() -> (Workspace, Parcel) {
    let house = Workspace::new(ONE_FILE);
    let parcel = house.pieces(&["src/main.rs"]);
    (house, parcel)
}

async fn clear(house: &Workspace, parcel: &Parcel, user: &Somebody) -> Result<(), Refusal> {
    house.border().clear(parcel.clone(), words, user).await.map(drop)
}

#[tokio::test]
async fn consent_for_once_is_asked_for_each_time_after_the_manifest_is_shown() {
    let (house, parcel) = one();
    let user = Somebody::who(None, Some(Consent::Once));
    for _ in 0..2 {
        clear(&house, &parcel, &user).await.expect("allowed");
    }
    assert_eq!(user.asked(), (0, 2));
    assert_eq!(user.manifests.lock().expect("no panic")[0].files[0].path, "src/main.rs");
}

#[tokio::test]
async fn consent_for_a_workspace_holds_for_it_and_the_host_until_it_is_taken_back() {
    let (house, parcel) = one();
    let user = Somebody::who(None, Some(Consent::Workspace));
    clear(&house, &parcel, &user).await.expect("allowed");
    house.border().clear(parcel.clone(), words, &Nobody).await.expect("nobody is asked");
    let other = Destination::new(&"https://cloud.example:9/".parse().expect("a URL"), "m");
    let elsewhere = Parcel { destination: other.expect("an address"), ..parcel.clone() };
    let refused = house.border().clear(elsewhere, words, &Nobody).await;
    assert!(matches!(refused, Err(Refusal::Declined { .. })));
    house.decisions().forget(house.root()).expect("forgotten");
    let refused = house.border().clear(parcel, words, &Nobody).await;
    assert!(matches!(refused, Err(Refusal::Declined { .. })));
    let reasons: Vec<String> =
        house.log().entries().expect("a log").into_iter().map(|entry| entry.reason).collect();
    assert_eq!(reasons, ["workspace", "workspace", "declined", "declined"]);
}

#[tokio::test]
async fn never_is_never_asked_again() {
    let (house, parcel) = one();
    let user = Somebody::who(None, Some(Consent::Never));
    for _ in 0..3 {
        assert!(matches!(clear(&house, &parcel, &user).await, Err(Refusal::Declined { .. })));
    }
    assert_eq!(user.asked(), (0, 1));
}

#[tokio::test]
async fn what_is_private_is_asked_about_each_time() {
    let (mut house, parcel) = one();
    house.settings.privacy_enforced = false;
    house.settings.privacy_private = vec!["src/".to_owned()];
    let user = Somebody::who(None, Some(Consent::Workspace));
    for _ in 0..2 {
        clear(&house, &parcel, &user).await.expect("allowed");
    }
    assert_eq!(user.asked(), (0, 2));
    // Nor has it allowed anything that is not private.
    house.settings.privacy_private.clear();
    let examined = house.border().examine(parcel, words).expect("examined");
    assert_eq!(examined.standing(), Standing::Ask);
    assert!(matches!(examined.decline(), Refusal::Declined { .. }));
}

#[tokio::test]
async fn trust_is_asked_for_once_and_holds_below_the_folder() {
    let house = Workspace::new("//- a/src/main.rs\nfn main() {}\n//- b/c/x.rs\nfn x() {}\n");
    house.decisions().trust(house.root(), true).expect("a decision");
    let state = tempfile::tempdir().expect("a folder");
    let border = |folder: &str, trust| {
        let root = house.root().join(folder);
        Border::new(&root, &house.settings, state.path(), trust).expect("a border")
    };
    let yes = Somebody::who(Some(true), None);
    let no = Somebody::who(Some(false), None);
    let gone = Somebody::who(None, None);
    assert!(!border("a", Trust::Stored).is_trusted(&gone).await.expect("asked"));
    assert!(border("a", Trust::Stored).is_trusted(&yes).await.expect("asked"));
    assert!(border("a/src", Trust::Stored).is_trusted(&no).await.expect("not asked"));
    assert!(!border("b", Trust::Stored).is_trusted(&no).await.expect("asked"));
    assert!(!border("b/c", Trust::Stored).is_trusted(&yes).await.expect("not asked"));
    assert!(border("b", Trust::Editor(true)).is_trusted(&gone).await.expect("not asked"));
    assert!(!border("a", Trust::Editor(false)).is_trusted(&yes).await.expect("not asked"));
    assert_eq!((yes.asked(), no.asked(), gone.asked()), ((1, 0), (1, 0), (1, 0)));
    // A name for the folder is as good as another.
    std::os::unix::fs::symlink(house.root().join("a"), house.root().join("link")).expect("a link");
    assert!(border("link", Trust::Stored).is_trusted(&gone).await.expect("not asked"));
}

#[tokio::test]
async fn an_untrusted_workspace_shows_nothing_and_asks_for_no_consent() {
    let (house, parcel) = one();
    house.decisions().trust(house.root(), false).expect("a decision");
    let user = Somebody::who(Some(true), Some(Consent::Workspace));
    assert_eq!(clear(&house, &parcel, &user).await, Err(Refusal::Untrusted));
    assert_eq!(user.asked(), (0, 0));
    assert!(house.border().preview(parcel, words).is_err());
}

#[tokio::test]
async fn decisions_stay_out_of_the_repository_and_are_the_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let (house, parcel) = one();
    let before = files(house.root());
    let state = house.state.path().join("deep/hearth");
    let border = Border::new(house.root(), &house.settings, &state, Trust::Editor(true));
    let user = Somebody::who(None, Some(Consent::Workspace));
    border.expect("a border").clear(parcel, words, &user).await.expect("allowed");
    assert_eq!(files(house.root()), before);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    let kept = files(&state);
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(kept.iter().all(|file| mode(&state.join(file)) == 0o600), "{kept:?}");
}

fn files(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
