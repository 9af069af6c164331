//! From url 2.5.8, as it is there: see `licenses/`.

/// <https://url.spec.whatwg.org/#ipv4-number-parser>
/// Ok(None) means the input is a valid number, but it overflows a `u32`.
fn parse_ipv4number(mut input: &str) -> Result<Option<u32>, ()> {
    if input.is_empty() {
        return Err(());
    }

    let mut r = 10;
    if input.starts_with("0x") || input.starts_with("0X") {
        input = &input[2..];
        r = 16;
    } else if input.len() >= 2 && input.starts_with('0') {
        input = &input[1..];
        r = 8;
    }

    if input.is_empty() {
        return Ok(Some(0));
    }

    let valid_number = match r {
        8 => input.as_bytes().iter().all(|c| (b'0'..=b'7').contains(c)),
        10 => input.as_bytes().iter().all(|c| c.is_ascii_digit()),
        16 => input.as_bytes().iter().all(|c| c.is_ascii_hexdigit()),
        _ => false,
    };
    if !valid_number {
        return Err(());
    }

    match u32::from_str_radix(input, r) {
        Ok(num) => Ok(Some(num)),
        Err(_) => Ok(None), // The only possible error kind here is an integer overflow.
                            // The validity of the chars in the input is checked above.
    }
}

/// <https://url.spec.whatwg.org/#ends-in-a-number-checker>
fn ends_in_a_number(input: &str) -> bool {
    let mut parts = input.rsplit('.');
    let last = parts.next().unwrap();
    let last = if last.is_empty() {
        if let Some(last) = parts.next() {
            last
        } else {
            return false;
        }
    } else {
        last
    };
    if !last.is_empty() && last.as_bytes().iter().all(|c| c.is_ascii_digit()) {
        return true;
    }

    parse_ipv4number(last).is_ok()
}

fn longest_zero_sequence(pieces: &[u16; 8]) -> (isize, isize) {
    let mut longest = -1;
    let mut longest_length = -1;
    let mut start = -1;
    macro_rules! finish_sequence(
        ($end: expr) => {
            if start >= 0 {
                let length = $end - start;
                if length > longest_length {
                    longest = start;
                    longest_length = length;
                }
            }
        };
    );
    for i in 0..8 {
        if pieces[i as usize] == 0 {
            if start < 0 {
                start = i;
            }
        } else {
            finish_sequence!(i);
            start = -1;
        }
    }
    finish_sequence!(8);
    // https://url.spec.whatwg.org/#concept-ipv6-serializer
    // step 3: ignore lone zeroes
    if longest_length < 2 {
        (-1, -2)
    } else {
        (longest, longest + longest_length)
    }
}

pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        "ftp" => Some(21),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(parse_ipv4number("12"), Ok(Some(12)));
        assert_eq!(parse_ipv4number("0"), Ok(Some(0)));
        assert_eq!(parse_ipv4number("017"), Ok(Some(15)));
        assert_eq!(parse_ipv4number("0x1F"), Ok(Some(31)));
        assert_eq!(parse_ipv4number("0XfF"), Ok(Some(255)));
        assert_eq!(parse_ipv4number("0x"), Ok(Some(0)));
        assert_eq!(parse_ipv4number("4294967296"), Ok(None));
        for wrong in ["", "08", "1a", "0xg", "-1", "+1"] {
            assert_eq!(parse_ipv4number(wrong), Err(()), "{wrong}");
        }
    }

    #[test]
    fn zeros() {
        assert_eq!(longest_zero_sequence(&[1, 2, 3, 4, 5, 6, 7, 8]), (-1, -2));
        assert_eq!(longest_zero_sequence(&[1, 0, 3, 4, 5, 6, 7, 8]), (-1, -2));
        assert_eq!(longest_zero_sequence(&[0, 0, 3, 4, 5, 6, 7, 8]), (0, 2));
        assert_eq!(longest_zero_sequence(&[1, 2, 3, 4, 5, 6, 0, 0]), (6, 8));
        assert_eq!(longest_zero_sequence(&[0, 0, 3, 0, 0, 6, 7, 8]), (0, 2));
        assert_eq!(longest_zero_sequence(&[0, 0, 3, 0, 0, 0, 7, 8]), (3, 6));
        assert_eq!(longest_zero_sequence(&[0; 8]), (0, 8));
    }
}
