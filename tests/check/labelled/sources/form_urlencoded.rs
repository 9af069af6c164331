//! From form_urlencoded 1.2.2, as it is there: see `licenses/`.

use std::borrow::Cow;

/// Replace b'+' with b' '
fn replace_plus(input: &[u8]) -> Cow<'_, [u8]> {
    match input.iter().position(|&b| b == b'+') {
        None => Cow::Borrowed(input),
        Some(first_position) => {
            let mut replaced = input.to_owned();
            replaced[first_position] = b' ';
            for byte in &mut replaced[first_position + 1..] {
                if *byte == b'+' {
                    *byte = b' ';
                }
            }
            Cow::Owned(replaced)
        }
    }
}

fn byte_serialized_unchanged(byte: u8) -> bool {
    matches!(byte, b'*' | b'-' | b'.' | b'0' ..= b'9' | b'A' ..= b'Z' | b'_' | b'a' ..= b'z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pluses() {
        assert_eq!(&*replace_plus(b"a+b++c"), b"a b  c");
        assert_eq!(&*replace_plus(b"+"), b" ");
        assert!(matches!(replace_plus(b"abc"), Cow::Borrowed(b"abc")));
    }
}
