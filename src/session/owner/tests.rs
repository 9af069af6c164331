use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use ropey::Rope;

use super::{ByteEdit, End, Outcome, Owner, Sink, Ticket, Touch};

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
                    if sink.push(text, None).is_break() {
                        std::future::pending::<()>().await;
                    }
                }
                Step::End(end) => sink.end(end),
            }
        }
    });
    steps
}

fn complete() -> Step {
    Step::End(End::Complete)
}

/// A document and its owner. The text grows with what is typed.
#[derive(Default)]
struct Typed {
    owner: Arc<Owner>,
    text: Rope,
}

impl Typed {
    fn new(text: &str) -> Self {
        Self { owner: Arc::default(), text: Rope::from_str(text) }
    }

    fn ask(&self, offset: usize) -> Ticket {
        self.owner.ask(&self.text, offset, 0)
    }

    fn insert(&mut self, at: usize, text: &str) {
        self.text.insert(at, text);
        self.owner.edited(ByteEdit { start: at, old_end: at, new_end: at + text.len() }, "", text);
    }

    fn delete(&mut self, start: usize, end: usize) {
        let removed = self.text.slice(start..end).to_string();
        self.text.remove(start..end);
        self.owner.edited(ByteEdit { start, old_end: end, new_end: start }, &removed, "");
    }
}

/// What becomes of a request that wants a line.
async fn outcome(ticket: &mut Ticket) -> Outcome {
    let line = |text: &str, end: Option<&End>| text.find('\n').or(end.map(|_| text.len()));
    ticket.outcome(line, |_| None).await
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
    let mut typed = Typed::new(&"x".repeat(200));
    let first = typed.ask(10);
    let steps = start(&first);
    steps.send(Step::Push("let x")).expect("running");
    typed.insert(10, "l");
    typed.insert(11, "et");
    let mut second = typed.ask(13);
    assert!(second.is_served());
    drop(first);
    steps.send(Step::Push(" = 1;\n")).expect("running");
    steps.send(complete()).expect("running");
    assert_eq!(outcome(&mut second).await, text(" x = 1;"));
}

#[tokio::test]
async fn a_following_request_stands_while_one_types_along() {
    let mut typed = Typed::new(&"x".repeat(200));
    let mut popup = typed.ask(10).following();
    let steps = start(&popup);
    steps.send(Step::Push("let x")).expect("running");
    typed.insert(10, "le");
    steps.send(Step::Push(" = 1;\n")).expect("running");
    typed.insert(12, "t");
    steps.send(complete()).expect("running");
    assert_eq!(outcome(&mut popup).await, text("let x = 1;"), "what its own place asks for");
    let mut popup = typed.ask(13).following();
    typed.insert(13, "!");
    assert_eq!(outcome(&mut popup).await, Outcome::Overtaken);
}

#[tokio::test]
async fn a_following_request_that_is_given_up_leaves_its_generation_to_the_next() {
    let mut typed = Typed::new(&"x".repeat(200));
    let popup = typed.ask(0).following();
    let steps = start(&popup);
    steps.send(Step::Push("foo()")).expect("running");
    typed.insert(0, "f");
    drop(popup);
    steps.send(complete()).expect("running");
    assert_eq!(outcome(&mut typed.ask(1)).await, text("oo()"));
}

#[tokio::test]
async fn a_result_is_kept_for_the_next_key_and_for_the_key_taken_back() {
    let mut typed = Typed::new(&"x".repeat(200));
    let mut ticket = typed.ask(0);
    let steps = start(&ticket);
    steps.send(Step::Push("foo()")).expect("running");
    steps.send(complete()).expect("running");
    assert_eq!(outcome(&mut ticket).await, text("foo()"));
    typed.insert(0, "fo");
    assert_eq!(outcome(&mut typed.ask(2)).await, text("o()"));
    typed.delete(1, 2);
    assert_eq!(outcome(&mut typed.ask(1)).await, text("oo()"));
    typed.insert(1, "oo()");
    assert!(!typed.ask(5).is_served(), "all of it is typed");
}

#[tokio::test]
async fn a_disagreeing_key_stops_the_model() {
    let mut typed = Typed::new(&"x".repeat(200));
    let ticket = typed.ask(0);
    let steps = start(&ticket);
    steps.send(Step::Push("foo")).expect("running");
    tokio::task::yield_now().await;
    typed.insert(0, "b");
    stopped(&steps).await;
    assert!(!typed.ask(1).is_served());
}

#[tokio::test]
async fn text_that_disagrees_with_what_was_typed_ahead_stops_the_model() {
    let mut typed = Typed::new(&"x".repeat(200));
    let first = typed.ask(0);
    let steps = start(&first);
    typed.insert(0, "bar");
    let mut second = typed.ask(3);
    steps.send(Step::Push("ba")).expect("running");
    steps.send(Step::Push("z")).expect("running");
    assert_eq!(outcome(&mut second).await, Outcome::Stopped);
    stopped(&steps).await;
}

#[tokio::test]
async fn an_edit_elsewhere_stops_the_model() {
    let mut typed = Typed::new(&"x".repeat(200));
    let ticket = typed.ask(100);
    let steps = start(&ticket);
    typed.insert(3, "use x;\n");
    stopped(&steps).await;
}

#[tokio::test]
async fn a_newer_request_overtakes_and_takes_over() {
    let typed = Typed::new(&"x".repeat(200));
    let mut first = typed.ask(7);
    let steps = start(&first);
    let mut second = typed.ask(7);
    assert_eq!(outcome(&mut first).await, Outcome::Overtaken);
    drop(first);
    steps.send(Step::Push("x")).expect("running");
    steps.send(complete()).expect("running");
    assert_eq!(outcome(&mut second).await, text("x"));
}

#[tokio::test]
async fn a_request_for_another_place_stops_the_model() {
    let typed = Typed::new(&"x".repeat(200));
    let first = typed.ask(7);
    let steps = start(&first);
    let second = typed.ask(9);
    stopped(&steps).await;
    assert!(!second.is_served());
}

#[tokio::test]
async fn escape_stops_the_model() {
    let typed = Typed::new(&"x".repeat(200));
    let ticket = typed.ask(7);
    let steps = start(&ticket);
    drop(ticket);
    stopped(&steps).await;
}

#[tokio::test]
async fn a_cancel_after_a_key_hands_the_generation_over() {
    let mut typed = Typed::new(&"x".repeat(200));
    let first = typed.ask(0);
    let steps = start(&first);
    steps.send(Step::Push("ab")).expect("running");
    typed.insert(0, "a");
    drop(first);
    let mut second = typed.ask(1);
    steps.send(complete()).expect("still running");
    assert_eq!(outcome(&mut second).await, text("b"));
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_nobody_waits_for_is_stopped() {
    let typed = Typed::new(&"x".repeat(200));
    let ticket = typed.ask(0);
    let steps = start(&ticket);
    ticket.hand_over();
    stopped(&steps).await;
}

#[tokio::test]
async fn closing_the_document_stops_everything() {
    let typed = Typed::new(&"x".repeat(200));
    let mut ticket = typed.ask(0);
    let steps = start(&ticket);
    typed.owner.stop();
    assert_eq!(outcome(&mut ticket).await, Outcome::Overtaken);
    stopped(&steps).await;
}

#[tokio::test]
async fn nothing_to_show_says_why() {
    let typed = Typed::new(&"x".repeat(200));
    let mut ticket = typed.ask(0);
    let steps = start(&ticket);
    steps
        .send(Step::End(End::Nothing { reason: "the server is busy".to_owned() }))
        .expect("running");
    assert_eq!(outcome(&mut ticket).await, Outcome::Nothing("the server is busy".to_owned()));
    assert!(!typed.ask(0).is_served(), "a failure is not kept");
}

#[tokio::test]
async fn what_was_shown_is_there_again_when_the_cursor_comes_back() {
    let mut typed = Typed::new("a\n\nb\n");
    let mut ticket = typed.ask(2);
    let steps = start(&ticket);
    steps.send(Step::Push("foo()\n")).expect("running");
    assert_eq!(outcome(&mut ticket).await, text("foo()"));
    assert!(!typed.ask(3).is_served(), "another place");
    stopped(&steps).await;
    typed.insert(2, "fo");
    assert_eq!(outcome(&mut typed.ask(4)).await, text("o()"));
    assert!(!typed.owner.ask(&typed.text, 4, 1).is_served(), "another model says other things");
    typed.insert(0, "!");
    assert!(!typed.ask(5).is_served(), "another text");
}

#[tokio::test]
async fn what_was_turned_down_is_known_until_it_is_typed_past() {
    let mut typed = Typed::new("  ");
    let mut ticket = typed.ask(2);
    let steps = start(&ticket);
    steps.send(Step::Push("foo()\n")).expect("running");
    assert_eq!(outcome(&mut ticket).await, text("foo()"));
    assert!(!ticket.was_rejected("foo()"), "not yet");
    typed.insert(2, "b");
    typed.delete(2, 3);
    let again = typed.ask(2);
    assert!(again.was_rejected("foo()"));
    assert!(!again.was_rejected("fo()"));
    typed.insert(0, "  b();\n");
    assert!(!typed.ask(9).was_rejected("foo()"), "another place");
    assert_eq!(again.touch(), Touch::Deleted);
}

#[tokio::test]
async fn of_a_pair_of_brackets_the_closing_one_is_the_editors() {
    let mut typed = Typed::new("");
    let mut ticket = typed.ask(0);
    let steps = start(&ticket);
    steps.send(Step::Push("foo(a);\n")).expect("running");
    assert_eq!(outcome(&mut ticket).await, text("foo(a);"));
    typed.insert(0, "foo");
    typed.insert(3, "()");
    assert_eq!(outcome(&mut typed.ask(4)).await, text("a);"));
}

#[tokio::test]
async fn the_rest_of_a_stream_is_for_the_next_line() {
    let mut typed = Typed::new("");
    let mut ticket = typed.ask(0);
    let steps = start(&ticket);
    steps.send(Step::Push("one();\n  two();\n  thr")).expect("running");
    steps.send(Step::End(End::Cut)).expect("running");
    assert_eq!(outcome(&mut ticket).await, text("one();"));
    typed.insert(0, "one();");
    typed.insert(6, "\n  ");
    assert_eq!(outcome(&mut typed.ask(9)).await, text("two();"));
    typed.insert(9, "two();\n");
    assert!(!typed.ask(16).is_served(), "half a line is nothing");
}

#[tokio::test]
async fn a_generation_goes_on_when_all_of_it_is_shown() {
    let mut typed = Typed::new("");
    let mut ticket = typed.ask(0);
    let (on, goes_on) = tokio::sync::oneshot::channel();
    let (over, is_over) = tokio::sync::oneshot::channel();
    ticket.start(|sink: Sink| async move {
        let _ = sink.push("one();", None);
        sink.end(End::Complete);
        assert_eq!(sink.exhausted().await.as_deref(), Some("one();"));
        sink.go_on("\n");
        on.send(()).expect("the test waits");
        let _ = sink.push("two();\nhalf", None);
        sink.end(End::Cut);
        assert_eq!(sink.exhausted().await.as_deref(), Some("one();\ntwo();\n"));
        sink.go_on("");
        let _ = sink.push("unsure", None);
        sink.take_back(14);
        sink.end(End::Complete);
        over.send(()).expect("the test waits");
    });
    assert_eq!(outcome(&mut ticket).await, text("one();"));
    goes_on.await.expect("all of it is shown");
    typed.insert(0, "one();\n");
    assert_eq!(outcome(&mut typed.ask(7)).await, text("two();"));
    typed.insert(7, "two();\n");
    is_over.await.expect("it gets there");
    assert!(!typed.ask(14).is_served());
}
