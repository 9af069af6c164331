//! From percent-encoding 2.3.2, as it is there: see `licenses/`.

use std::slice;

fn after_percent_sign(iter: &mut slice::Iter<'_, u8>) -> Option<u8> {
    let mut cloned_iter = iter.clone();
    let h = char::from(*cloned_iter.next()?).to_digit(16)?;
    let l = char::from(*cloned_iter.next()?).to_digit(16)?;
    *iter = cloned_iter;
    Some(h as u8 * 0x10 + l as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits() {
        let mut iter = b"4aXYZ".iter();
        assert_eq!(after_percent_sign(&mut iter), Some(0x4a));
        assert_eq!(iter.as_slice(), b"XYZ");
        let mut iter = b"Ff".iter();
        assert_eq!(after_percent_sign(&mut iter), Some(0xff));
    }

    #[test]
    fn what_is_no_escape_is_not_taken() {
        for text in [&b""[..], b"4", b"4g", b"g4"] {
            let mut iter = text.iter();
            assert_eq!(after_percent_sign(&mut iter), None);
            assert_eq!(iter.as_slice(), text);
        }
    }
}
