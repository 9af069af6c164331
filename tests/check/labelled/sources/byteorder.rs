//! From byteorder 1.5.0, as it is there: see `licenses/`.

#[inline]
fn extend_sign(val: u64, nbytes: usize) -> i64 {
    let shift = (8 - nbytes) * 8;
    (val << shift) as i64 >> shift
}

#[inline]
fn pack_size(n: u64) -> usize {
    if n < 1 << 8 {
        1
    } else if n < 1 << 16 {
        2
    } else if n < 1 << 24 {
        3
    } else if n < 1 << 32 {
        4
    } else if n < 1 << 40 {
        5
    } else if n < 1 << 48 {
        6
    } else if n < 1 << 56 {
        7
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs() {
        assert_eq!(extend_sign(0xff, 1), -1);
        assert_eq!(extend_sign(0x7f, 1), 127);
        assert_eq!(extend_sign(0x80_0000, 3), -8_388_608);
        assert_eq!(extend_sign(0xffff, 3), 0xffff);
        assert_eq!(extend_sign(u64::MAX, 8), -1);
    }
}
