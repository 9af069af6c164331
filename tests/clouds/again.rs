//! Answers that do not come, or not whole: who is asked again, and when.

use crate::support::fake_cloud::Says;
use crate::{APIS, KEY, World};
use expect_test::expect;
use hearth::egress::audit;
use hearth::route::Retries;
use serde_json::json;
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_busy_cloud_is_asked_again_after_the_time_that_it_named() {
    for api in APIS {
        let world = World::new(api).await;
        world.cloud.says(Says::status(429, &[("retry-after", "1")], "slow down"));
        world.cloud.says(Says::status(529, &[("Retry-After-Ms", "50")], "overloaded"));
        world.cloud.says(Says::text(["yes"]));
        let began = Instant::now();
        let answer = world.ask(&world.question()).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(1_050), "{:?}", began.elapsed());
        assert_eq!(answer.text, "yes");
        let requests = world.cloud.requests();
        assert_eq!(requests.len(), 3);
        // The very same bytes.
        assert!(requests.iter().all(|request| request.bytes == requests[0].bytes));
        // Each of them is in the audit log.
        let log = audit::Log::new(&world.folder.path().join("state"));
        let (mut reasons, mut left) = (Vec::new(), Vec::new());
        for entry in log.entries().unwrap() {
            reasons.push(entry.reason);
            left.push(entry.bytes);
        }
        assert_eq!(reasons, ["once", "again", "again"]);
        assert_eq!(left, [left[0]; 3]);
    }
}

#[tokio::test]
async fn half_an_answer_is_none_and_is_asked_for_again() {
    for api in APIS {
        for broken in [
            Says::cut(["Forty"]),
            Says::Ends(vec!["Forty".to_owned()]),
            Says::Overloaded(vec!["Forty".to_owned()]),
        ] {
            let world = World::new(api).await;
            world.cloud.says(broken);
            world.cloud.says(Says::text(["Forty", "-two"]));
            let heard = Mutex::new(Vec::new());
            let hear = |text: &str| heard.lock().unwrap().push(text.to_owned());
            let permit = world.question();
            let answer = world.line().ask(&permit, None, Retries::default(), &hear).await.unwrap();
            assert_eq!(answer.text, "Forty-two");
            assert_eq!(*heard.lock().unwrap(), ["Forty", "Forty", "Forty-two"]);
            // Only a whole answer has a bill.
            assert_eq!(world.clouds.bill().answers, 1);
        }
    }
}

#[tokio::test]
async fn a_wait_beyond_all_patience_is_not_begun() {
    for api in APIS {
        let world = World::new(api).await;
        world.cloud.says(Says::status(429, &[("retry-after", "3600")], "come back tomorrow"));
        let error = world.ask(&world.question()).await.unwrap_err();
        assert!(error.is_outage());
        let said = error.to_string().replace(&world.cloud.url(), "URL");
        expect!["URL cannot answer now: 429 come back tomorrow"].assert_eq(&said);
        assert_eq!(world.cloud.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_is_not_asked_about_again() {
    for api in APIS {
        let world = World::new(api).await;
        world.cloud.says(Says::status(400, &[], "max_tokens: too large"));
        let error = world.ask(&world.question()).await.unwrap_err();
        let said = error.to_string().replace(&world.cloud.url(), "URL");
        expect!["the server at URL refused: 400 max_tokens: too large"].assert_eq(&said);
        assert_eq!(world.cloud.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_cloud_that_takes_no_connection_is_not_waited_for() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    for api in APIS {
        let more = json!({ "endpoint": endpoint, "api_key_command": ["printf", "%s", KEY] });
        let world = World::with(api, more).await;
        let began = Instant::now();
        let error = world.ask(&world.question()).await.unwrap_err();
        // For a cloud that is busy, 47 seconds would be waited.
        assert!(began.elapsed() < Duration::from_secs(10), "{error}: {:?}", began.elapsed());
        assert!(error.is_outage() && error.wait().is_none(), "{error}");
    }
}
