use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{ByteEdit, End, Outcome, Owner, Ticket};

/// What a test tells its generation to do next.
enum Step {
    Push(&'static str),
    End(End),
}

/// Starts a generation that does what the returned sender says; its receiver end closes when the
/// generation is stopped.
fn start(ticket: &Ticket) -> mpsc::UnboundedSender<Step> {
    let (steps, mut next) = mpsc::unbounded_channel();
    ticket.start(|sink| async move {
        while let Some(step) = next.recv().await {
            match step {
                Step::Push(text) => {
                    if sink.push(text).is_break() {
                        std::future::pending::<()>().await;
                    }
                }
                Step::End(end) => return end,
            }
        }
        End::Nothing { reason: "the test is over".to_owned() }
    });
    steps
}

fn complete(keep: usize) -> Step {
    Step::End(End::Complete { keep })
}

fn insert(owner: &Owner, at: usize, text: &str) {
    owner.edited(ByteEdit { start: at, old_end: at, new_end: at + text.len() }, text);
}

fn delete(owner: &Owner, start: usize, end: usize) {
    owner.edited(ByteEdit { start, old_end: end, new_end: start }, "");
}

async fn stopped(steps: &mpsc::UnboundedSender<Step>) {
    tokio::time::timeout(Duration::from_secs(5), steps.closed())
        .await
        .expect("the generation is stopped");
}

fn text(text: &str) -> Outcome {
    Outcome::Text(text.to_owned())
}

#[tokio::test]
async fn what_is_typed_along_is_cut_from_the_answer() {
    let owner = Arc::new(Owner::default());
    let first = owner.ask(10);
    let steps = start(&first);
    steps.send(Step::Push("let x")).expect("running");
    insert(&owner, 10, "l");
    insert(&owner, 11, "et");
    let mut second = owner.ask(13);
    assert!(second.is_served());
    drop(first);
    steps.send(Step::Push(" = 1;\n")).expect("running");
    steps.send(complete(10)).expect("running");
    assert_eq!(second.outcome().await, text(" x = 1;"));
}

#[tokio::test]
async fn a_following_request_stands_while_one_types_along() {
    let owner = Arc::new(Owner::default());
    let mut popup = owner.ask(10).following();
    let steps = start(&popup);
    steps.send(Step::Push("let x")).expect("running");
    insert(&owner, 10, "le");
    steps.send(Step::Push(" = 1;\n")).expect("running");
    insert(&owner, 12, "t");
    steps.send(complete(10)).expect("running");
    assert_eq!(popup.outcome().await, text("let x = 1;"), "what its own place asks for");
    let mut popup = owner.ask(13).following();
    insert(&owner, 13, "!");
    assert_eq!(popup.outcome().await, Outcome::Overtaken);
}

#[tokio::test]
async fn a_following_request_that_is_given_up_leaves_its_generation_to_the_next() {
    let owner = Arc::new(Owner::default());
    let popup = owner.ask(0).following();
    let steps = start(&popup);
    steps.send(Step::Push("foo()")).expect("running");
    insert(&owner, 0, "f");
    drop(popup);
    steps.send(complete(5)).expect("running");
    assert_eq!(owner.ask(1).outcome().await, text("oo()"));
}

#[tokio::test]
async fn a_result_is_kept_for_the_next_key_and_for_the_key_taken_back() {
    let owner = Arc::new(Owner::default());
    let mut ticket = owner.ask(0);
    let steps = start(&ticket);
    steps.send(Step::Push("foo()")).expect("running");
    steps.send(complete(5)).expect("running");
    assert_eq!(ticket.outcome().await, text("foo()"));
    insert(&owner, 0, "fo");
    assert_eq!(owner.ask(2).outcome().await, text("o()"));
    delete(&owner, 1, 2);
    assert_eq!(owner.ask(1).outcome().await, text("oo()"));
    insert(&owner, 1, "oo()");
    assert!(!owner.ask(5).is_served(), "all of it is typed");
}

#[tokio::test]
async fn a_disagreeing_key_stops_the_model() {
    let owner = Arc::new(Owner::default());
    let ticket = owner.ask(0);
    let steps = start(&ticket);
    steps.send(Step::Push("foo")).expect("running");
    tokio::task::yield_now().await;
    insert(&owner, 0, "b");
    stopped(&steps).await;
    assert!(!owner.ask(1).is_served());
}

#[tokio::test]
async fn text_that_disagrees_with_what_was_typed_ahead_stops_the_model() {
    let owner = Arc::new(Owner::default());
    let first = owner.ask(0);
    let steps = start(&first);
    insert(&owner, 0, "bar");
    let mut second = owner.ask(3);
    steps.send(Step::Push("ba")).expect("running");
    steps.send(Step::Push("z")).expect("running");
    assert_eq!(second.outcome().await, Outcome::Stopped);
    stopped(&steps).await;
}

#[tokio::test]
async fn an_edit_elsewhere_stops_the_model() {
    let owner = Arc::new(Owner::default());
    let ticket = owner.ask(100);
    let steps = start(&ticket);
    insert(&owner, 3, "use x;\n");
    stopped(&steps).await;
}

#[tokio::test]
async fn a_newer_request_overtakes_and_takes_over() {
    let owner = Arc::new(Owner::default());
    let mut first = owner.ask(7);
    let steps = start(&first);
    let mut second = owner.ask(7);
    assert_eq!(first.outcome().await, Outcome::Overtaken);
    drop(first);
    steps.send(Step::Push("x")).expect("running");
    steps.send(complete(1)).expect("running");
    assert_eq!(second.outcome().await, text("x"));
}

#[tokio::test]
async fn a_request_for_another_place_stops_the_model() {
    let owner = Arc::new(Owner::default());
    let first = owner.ask(7);
    let steps = start(&first);
    let second = owner.ask(9);
    stopped(&steps).await;
    assert!(!second.is_served());
}

#[tokio::test]
async fn escape_stops_the_model() {
    let owner = Arc::new(Owner::default());
    let ticket = owner.ask(7);
    let steps = start(&ticket);
    drop(ticket);
    stopped(&steps).await;
}

#[tokio::test]
async fn a_cancel_after_a_key_hands_the_generation_over() {
    let owner = Arc::new(Owner::default());
    let first = owner.ask(0);
    let steps = start(&first);
    steps.send(Step::Push("ab")).expect("running");
    insert(&owner, 0, "a");
    drop(first);
    let mut second = owner.ask(1);
    steps.send(complete(2)).expect("still running");
    assert_eq!(second.outcome().await, text("b"));
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_nobody_waits_for_is_stopped() {
    let owner = Arc::new(Owner::default());
    let ticket = owner.ask(0);
    let steps = start(&ticket);
    ticket.hand_over();
    stopped(&steps).await;
}

#[tokio::test]
async fn closing_the_document_stops_everything() {
    let owner = Arc::new(Owner::default());
    let mut ticket = owner.ask(0);
    let steps = start(&ticket);
    owner.stop();
    assert_eq!(ticket.outcome().await, Outcome::Overtaken);
    stopped(&steps).await;
}

#[tokio::test]
async fn nothing_to_show_says_why() {
    let owner = Arc::new(Owner::default());
    let mut ticket = owner.ask(0);
    let steps = start(&ticket);
    steps
        .send(Step::End(End::Nothing { reason: "the server is busy".to_owned() }))
        .expect("running");
    assert_eq!(ticket.outcome().await, Outcome::Nothing("the server is busy".to_owned()));
    assert!(!owner.ask(0).is_served(), "a failure is not kept");
}
