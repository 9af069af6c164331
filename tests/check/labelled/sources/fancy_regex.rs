//! From fancy-regex 0.17.0, as it is there: see `licenses/`.

fn prev_codepoint_ix(s: &str, mut ix: usize) -> usize {
    let bytes = s.as_bytes();
    loop {
        ix -= 1;
        // fancy bit magic for ranges 0..0x80 + 0xc0..
        if (bytes[ix] as i8) >= -0x40 {
            break;
        }
    }
    ix
}

fn codepoint_len(b: u8) -> usize {
    match b {
        b if b < 0x80 => 1,
        b if b < 0xe0 => 2,
        b if b < 0xf0 => 3,
        _ => 4,
    }
}

/// Returns the smallest possible index of the next valid UTF-8 sequence
/// starting after `i`.
/// Adapted from a function with the same name in the `regex` crate.
fn next_utf8(text: &str, i: usize) -> usize {
    let b = match text.as_bytes().get(i) {
        None => return i + 1,
        Some(&b) => b,
    };
    i + codepoint_len(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for text in ["a", "\u{7f}", "\u{80}", "ß", "\u{7ff}", "\u{800}", "€", "\u{ffff}", "\u{10000}", "😀"] {
            assert_eq!(codepoint_len(text.as_bytes()[0]), text.len(), "{text}");
        }
    }

    #[test]
    fn steps() {
        assert_eq!(next_utf8("aß€", 0), 1);
        assert_eq!(next_utf8("aß€", 1), 3);
        assert_eq!(next_utf8("aß€", 6), 7);
    }
}
