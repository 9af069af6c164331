//! What leaves, where to, and what is written of it.

use crate::support::fake_cloud::{Api, FakeCloud, Says};
use crate::{APIS, KEY, World, parcel};
use expect_test::expect;
use hearth::egress::{Content, Permit, Piece, Role, Turn, audit};
use hearth::model::cloud::CloudError;
use hearth::route::{CloudLine, Retries};
use std::fs;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn a_permit_is_good_for_one_host() {
    let (one, other) = (World::new(Api::Anthropic).await, World::new(Api::Anthropic).await);
    let error = other.ask(&one.question()).await.unwrap_err();
    assert!(matches!(error, CloudError::Border(_)), "{error}");
    assert_eq!((one.cloud.connections(), other.cloud.connections()), (0, 0));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for api in APIS {
        let elsewhere = FakeCloud::start(api).await;
        let world = World::new(api).await;
        let refused = async |location: &str| {
            world.cloud.says(Says::status(307, &[("location", location)], ""));
            let error = world.ask(&world.question()).await.unwrap_err();
            let said = error.to_string().replace(&world.cloud.url(), "URL");
            said.replace(&elsewhere.url(), "ELSEWHERE")
        };
        expect!["the server at URL refused: 307 it redirects, and redirects are not followed"]
            .assert_eq(&refused("/elsewhere").await);
        expect!["this request may go to URL; ELSEWHERE is another host"]
            .assert_eq(&refused(&elsewhere.url()).await);
        assert_eq!(elsewhere.connections(), 0);
        let log = audit::Log::new(&world.folder.path().join("state"));
        let reasons: Vec<String> =
            log.entries().unwrap().into_iter().map(|entry| entry.reason).collect();
        assert_eq!(reasons, ["once", "once", "other-host"]);
    }
}

#[tokio::test]
async fn secrets_stay_here_and_are_back_in_the_answer() {
    let secret = "ghp_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX";
    for api in APIS {
        let world = World::new(api).await;
        let text = format!("const TOKEN: &str = \"{secret}\";\n");
        fs::write(world.folder.path().join("work/src/a.rs"), &text).unwrap();
        let piece = Content::Piece(Piece::file("src/a.rs", &text));
        let turn = Turn { role: Role::User, contents: vec![piece] };
        let permit = world.permit(parcel(world.destination(), vec![turn]));
        let hearth::egress::Cleared::Text(cleared) = &permit.turns()[0].contents[0] else {
            panic!("a text")
        };
        let at = cleared.find("HEARTH_SECRET_").expect("a placeholder");
        let placeholder = &cleared[at..at + 26];
        let (front, back) = placeholder.split_at(9);
        world.cloud.says(Says::text(["It is ", front, back, "."]));
        let answer = world.ask(&permit).await.unwrap();
        assert_eq!(answer.text, format!("It is {secret}."));
        let bytes = String::from_utf8(world.cloud.requests()[0].bytes.clone()).unwrap();
        assert!(bytes.contains(placeholder) && !bytes.contains(secret));
    }
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_holds_a_key_or_a_text() {
    let log = Written::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for api in APIS {
        let world = World::new(api).await;
        world.cloud.says(Says::status(429, &[("retry-after-ms", "1")], "slow down"));
        world.cloud.says(Says::cut(["Forty"]));
        world.cloud.says(Says::text(["Forty", "-two"]));
        world.ask(&world.question()).await.unwrap();
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("asked again"), "{log}");
    for word in [KEY, "Forty", "6 × 7"] {
        assert!(!log.contains(word), "{word} in {log}");
    }
}

/// Compiles only as long as whoever asks a cloud can wait for it on another thread.
#[test]
fn asking_can_be_a_task_of_its_own() {
    fn is_send<T: Send>(_: &T) {}
    fn check(line: &CloudLine, permit: &Permit) {
        is_send(&line.ask(permit, None, Retries::default(), &|_| {}));
    }
    let _ = check;
}
