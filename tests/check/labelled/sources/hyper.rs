//! From hyper 1.12.0, as it is there: see `licenses/`.

fn from_digits(bytes: &[u8]) -> Option<u64> {
    // cannot use FromStr for u64, since it allows a signed prefix
    let mut result = 0u64;
    const RADIX: u64 = 10;

    if bytes.is_empty() {
        return None;
    }

    for &b in bytes {
        // can't use char::to_digit, since we haven't verified these bytes
        // are utf-8.
        match b {
            b'0'..=b'9' => {
                result = result.checked_mul(RADIX)?;
                result = result.checked_add(u64::from(b - b'0'))?;
            }
            _ => {
                // not a DIGIT, get outta here!
                return None;
            }
        }
    }

    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        assert_eq!(from_digits(b"0"), Some(0));
        assert_eq!(from_digits(b"0042"), Some(42));
        assert_eq!(from_digits(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(from_digits(b"18446744073709551616"), None);
        assert_eq!(from_digits(b"99999999999999999999"), None);
        for wrong in [&b""[..], b"+1", b"-1", b"1a", b" 1", b"\xff"] {
            assert_eq!(from_digits(wrong), None);
        }
    }
}
