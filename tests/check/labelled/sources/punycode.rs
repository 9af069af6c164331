//! From idna 1.1.0, as it is there: see `licenses/`.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;

#[inline]
fn adapt(mut delta: u32, num_points: u32, first_time: bool) -> u32 {
    delta /= if first_time { DAMP } else { 2 };
    delta += delta / num_points;
    let mut k = 0;
    while delta > ((BASE - T_MIN) * T_MAX) / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (((BASE - T_MIN + 1) * delta) / (delta + SKEW))
}

pub(crate) trait PunycodeCodeUnit {
    fn is_delimiter(&self) -> bool;
    fn is_ascii(&self) -> bool;
    fn digit(&self) -> Option<u32>;
    fn char(&self) -> char;
    fn char_ascii_lower_case(&self) -> char;
}

impl PunycodeCodeUnit for u8 {
    fn is_delimiter(&self) -> bool {
        *self == b'-'
    }
    fn is_ascii(&self) -> bool {
        *self < 0x80
    }
    fn digit(&self) -> Option<u32> {
        let byte = *self;
        Some(match byte {
            byte @ b'0'..=b'9' => byte - b'0' + 26,
            byte @ b'A'..=b'Z' => byte - b'A',
            byte @ b'a'..=b'z' => byte - b'a',
            _ => return None,
        } as u32)
    }
    fn char(&self) -> char {
        char::from(*self)
    }
    fn char_ascii_lower_case(&self) -> char {
        char::from(self.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias() {
        assert_eq!(adapt(0, 1, true), 0);
        assert_eq!(adapt(19853, 1, true), 21);
        assert_eq!(adapt(64, 2, false), 20);
        assert_eq!(adapt(1_000_000, 3, false), 118);
    }

    #[test]
    fn digits() {
        assert_eq!(b'a'.digit(), Some(0));
        assert_eq!(b'z'.digit(), Some(25));
        assert_eq!(b'A'.digit(), Some(0));
        assert_eq!(b'Z'.digit(), Some(25));
        assert_eq!(b'0'.digit(), Some(26));
        assert_eq!(b'9'.digit(), Some(35));
        assert_eq!([b'-', b'/', b':', b'@', b'[', b'`', b'{'].map(|byte| byte.digit()), [None; 7]);
    }
}
