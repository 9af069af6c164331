//! From semver 1.0.28, as it is there: see `licenses/`.

fn wildcard(input: &str) -> Option<(char, &str)> {
    if let Some(rest) = input.strip_prefix('*') {
        Some(('*', rest))
    } else if let Some(rest) = input.strip_prefix('x') {
        Some(('x', rest))
    } else if let Some(rest) = input.strip_prefix('X') {
        Some(('X', rest))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        assert_eq!(wildcard("*"), Some(('*', "")));
        assert_eq!(wildcard("x.1"), Some(('x', ".1")));
        assert_eq!(wildcard("X*"), Some(('X', "*")));
        assert_eq!(wildcard("1.x"), None);
        assert_eq!(wildcard("ö"), None);
        assert_eq!(wildcard(""), None);
    }
}
