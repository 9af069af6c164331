//! From http 1.5.0, as it is there: see `licenses/`.

fn host(auth: &str) -> &str {
    let host_port = auth
        .rsplit('@')
        .next()
        .expect("split always has at least 1 item");

    if host_port.as_bytes()[0] == b'[' {
        let i = host_port
            .find(']')
            .expect("parsing should validate brackets");
        // ..= ranges aren't available in 1.20, our minimum Rust version...
        &host_port[0..i + 1]
    } else {
        host_port
            .split(':')
            .next()
            .expect("split always has at least 1 item")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        assert_eq!(host("example.org"), "example.org");
        assert_eq!(host("example.org:80"), "example.org");
        assert_eq!(host("user:word@example.org:80"), "example.org");
        assert_eq!(host("a@b@example.org"), "example.org");
        assert_eq!(host("[::1]:80"), "[::1]");
        assert_eq!(host("u@[::1]"), "[::1]");
    }
}
