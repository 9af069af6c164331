//! Panics go to the log, without the source text that their messages may quote.

use std::panic::{self, PanicHookInfo};

/// Sends panics of all threads to the log from now on. For the process of the server alone: tests
/// need the messages that this withholds.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(tracing::field::display);
        tracing::error!(place, "panicked: {}", message(info));
    }));
}

/// The message, if it is a literal. One with values in it may quote a document: slicing a string in
/// the middle of a character does.
fn message<'a>(info: &PanicHookInfo<'a>) -> &'a str {
    info.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message withheld)")
}
