//! What was generated before and may be of use again: served from memory when the text comes back to
//! where it fits. In memory only, and bounded.

use std::collections::VecDeque;

use ropey::Rope;

use super::odds::Odds;

/// Results that are kept of one document.
const ROOM: usize = 24;

/// How much of the text in front of a result must be the same, in bytes: what a prompt shows of it.
const BEFORE: usize = 9_000;

/// And how much of the text behind it.
const AFTER: usize = 750;

/// What differs mostly does so within this many bytes in front of the cursor.
const CLOSE: usize = 60;

/// A result, and the text it was generated for.
#[derive(Debug, Clone)]
pub(super) struct Past {
    /// The whole document when it was asked for; shares its memory with every other version.
    pub(super) text: Rope,
    /// Where it was asked for, in bytes of that text.
    pub(super) origin: usize,
    /// What else the model saw: results drawn from other definitions are different results.
    pub(super) context: u64,
    pub(super) produced: String,
    pub(super) odds: Odds,
    /// How much of it was shown.
    pub(super) shown: usize,
    /// And counted.
    pub(super) counted: usize,
}

/// The last results of one document, the newest first.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Past>);

impl Recent {
    pub(super) fn put(&mut self, result: Past) {
        self.0.retain(|old| !(old.origin == result.origin && old.produced == result.produced));
        self.0.push_front(result);
        self.0.truncate(ROOM);
    }

    /// A result that goes on at `offset` of `text`, and how much of it stands in front of it already.
    pub(super) fn find(&self, text: &Rope, offset: usize, context: u64) -> Option<(Past, usize)> {
        // What stands in front of the cursor of a result: at most as much as one has.
        let longest = self.0.iter().map(|result| result.produced.len()).max()?;
        let near = text.char_to_byte(text.byte_to_char(offset.saturating_sub(longest)));
        let before = text.get_byte_slice(near..offset)?.to_string();
        self.0.iter().filter(|result| result.context == context).find_map(|result| {
            let fits = |typed: &usize| {
                result.produced.is_char_boundary(*typed)
                    && before.ends_with(&result.produced[..*typed])
                    && same(result, text, offset - typed, offset)
            };
            // The longest first: a result that repeats itself has come that far.
            let typed = (0..result.produced.len().min(before.len() + 1)).rev().find(fits)?;
            Some((result.clone(), typed))
        })
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Whether the text around `result`'s place was what it is now in front of `start` and behind `end`.
fn same(result: &Past, text: &Rope, start: usize, end: usize) -> bool {
    let origin = result.origin;
    same_before(&result.text, origin, text, start, CLOSE)
        && same_after(&result.text, origin, text, end, AFTER)
        && same_before(&result.text, origin, text, start, BEFORE)
}

/// Whether up to `most` bytes in front of `a_end` and `b_end` are the same. Compared in place: a key
/// looks at every result.
fn same_before(a: &Rope, a_end: usize, b: &Rope, b_end: usize, most: usize) -> bool {
    let from =
        |text: &Rope, end: usize| text.char_to_byte(text.byte_to_char(end.saturating_sub(most)));
    a.byte_slice(from(a, a_end)..a_end) == b.byte_slice(from(b, b_end)..b_end)
}

/// The same behind `a_start` and `b_start`.
fn same_after(a: &Rope, a_start: usize, b: &Rope, b_start: usize, most: usize) -> bool {
    let to = |text: &Rope, start: usize| {
        text.char_to_byte(text.byte_to_char((start + most).min(text.len_bytes())))
    };
    a.byte_slice(a_start..to(a, a_start)) == b.byte_slice(b_start..to(b, b_start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result `foo(1);` at `$0` of the first text; how much of it is there at `$0` of the second.
    #[track_caller]
    fn check(then: &str, now: &str, typed: Option<usize>) {
        let split = |fixture: &str| {
            let at = fixture.find("$0").expect("a cursor");
            (Rope::from_str(&fixture.replace("$0", "")), at)
        };
        let mut recent = Recent::default();
        let (text, origin) = split(then);
        let produced = "foo(1);".to_owned();
        let odds = Odds::default();
        recent.put(Past { text, origin, context: 7, produced, odds, shown: 7, counted: 7 });
        let (text, offset) = split(now);
        assert_eq!(recent.find(&text, offset, 7).map(|(_, typed)| typed), typed, "{now}");
        assert!(recent.find(&text, offset, 8).is_none(), "of another context");
    }

    #[test]
    fn a_result_is_found_where_it_goes_on() {
        let then = "fn a() {\n    $0\n}\n";
        check(then, then, Some(0));
        check(then, "fn a() {\n    fo$0\n}\n", Some(2));
        check(then, "fn a() {\n    foo(1)$0\n}\n", Some(6));
    }

    #[test]
    fn and_nowhere_else() {
        let then = "fn a() {\n    $0\n}\n";
        check(then, "fn a() {\n    foo(1);$0\n}\n", None);
        check(then, "fn a() {\n    fx$0\n}\n", None);
        check(then, "fn b() {\n    fo$0\n}\n", None);
        check(then, "fn a() {\n    fo$0x\n}\n", None);
        check(then, "fn a() {\n    fo$0\n    x\n}\n", None);
    }
}
