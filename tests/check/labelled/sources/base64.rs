//! From base64 0.23.1, as it is there: see `licenses/`.

#[derive(Clone, Copy)]
pub(crate) struct Symbol(u8);

impl Symbol {
    pub(crate) fn as_u8(self) -> u8 {
        self.0
    }
}

/// Calculate the base64 encoded length for a given input length, optionally including any
/// appropriate padding bytes.
///
/// Returns `None` if the encoded length can't be represented in `usize`. This will happen for
/// input lengths in approximately the top quarter of the range of `usize`.
#[must_use]
pub const fn encoded_len(bytes_len: usize, padding: bool) -> Option<usize> {
    let rem = bytes_len % 3;

    let complete_input_chunks = bytes_len / 3;
    // `?` is disallowed in const, and `let Some(_) = _ else` requires 1.65.0, whereas this
    // messier syntax works on 1.48
    let complete_chunk_output =
        if let Some(complete_chunk_output) = complete_input_chunks.checked_mul(4) {
            complete_chunk_output
        } else {
            return None;
        };

    if rem > 0 {
        if padding {
            complete_chunk_output.checked_add(4)
        } else {
            let encoded_rem = match rem {
                1 => 2,
                // only other possible remainder is 2
                // can't use a separate _ => unreachable!() in const fns in ancient rust versions
                _ => 3,
            };
            complete_chunk_output.checked_add(encoded_rem)
        }
    } else {
        Some(complete_chunk_output)
    }
}

/// Write padding characters.
/// `unpadded_output_len` is the size of the unpadded but base64 encoded data.
/// `output` is the slice where padding should be written, of length at least 2.
///
/// Returns the number of padding bytes written.
pub(crate) fn add_padding(unpadded_output_len: usize, padding: Symbol, output: &mut [u8]) -> usize {
    let pad_bytes = (4 - (unpadded_output_len % 4)) % 4;
    // for just a couple bytes, this has better performance than using
    // .fill(), or iterating over mutable refs, which call memset()
    #[allow(clippy::needless_range_loop)]
    for i in 0..pad_bytes {
        output[i] = padding.as_u8();
    }

    pad_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let padded: Vec<_> = (0..8).map(|n| encoded_len(n, true)).collect();
        assert_eq!(padded, [0, 4, 4, 4, 8, 8, 8, 12].map(Some));
        let plain: Vec<_> = (0..8).map(|n| encoded_len(n, false)).collect();
        assert_eq!(plain, [0, 2, 3, 4, 6, 7, 8, 10].map(Some));
        assert_eq!(encoded_len(usize::MAX, true), None);
        assert_eq!(encoded_len(usize::MAX, false), None);
        const _: Option<usize> = encoded_len(7, true);
    }

    #[test]
    fn padding() {
        for (length, written) in [(0, 0), (2, 2), (3, 1), (4, 0), (6, 2), (7, 1)] {
            let mut output = [b'x'; 4];
            assert_eq!(add_padding(length, Symbol(b'='), &mut output), written);
            assert_eq!(output[..written], b"=="[..written]);
            assert_eq!(output[written..], b"xxxx"[written..]);
        }
        assert_eq!(add_padding(4, Symbol(b'='), &mut []), 0);
    }
}
