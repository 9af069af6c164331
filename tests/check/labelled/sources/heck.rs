//! From heck 0.5.0, as it is there: see `licenses/`.

use std::fmt;

fn lowercase(s: &str, f: &mut fmt::Formatter) -> fmt::Result {
    let mut chars = s.chars().peekable();
    while let Some(c) = chars.next() {
        if c == 'Σ' && chars.peek().is_none() {
            write!(f, "ς")?;
        } else {
            write!(f, "{}", c.to_lowercase())?;
        }
    }

    Ok(())
}

fn uppercase(s: &str, f: &mut fmt::Formatter) -> fmt::Result {
    for c in s.chars() {
        write!(f, "{}", c.to_uppercase())?;
    }

    Ok(())
}

fn capitalize(s: &str, f: &mut fmt::Formatter) -> fmt::Result {
    let mut char_indices = s.char_indices();
    if let Some((_, c)) = char_indices.next() {
        write!(f, "{}", c.to_uppercase())?;
        if let Some((i, _)) = char_indices.next() {
            lowercase(&s[i..], f)?;
        }
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct By(fn(&str, &mut fmt::Formatter) -> fmt::Result, &'static str);

    impl fmt::Display for By {
        fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
            self.0(self.1, f)
        }
    }

    #[test]
    fn lower() {
        assert_eq!(By(lowercase, "ABC ß").to_string(), "abc ß");
        assert_eq!(By(lowercase, "ΦΙΛΟΣ").to_string(), "φιλος");
        assert_eq!(By(lowercase, "ΣΑΣ Σ").to_string(), "σασ ς");
        assert_eq!(By(lowercase, "").to_string(), "");
    }

    #[test]
    fn capital() {
        assert_eq!(By(capitalize, "hELLO").to_string(), "Hello");
        assert_eq!(By(capitalize, "ßA").to_string(), "SSa");
        assert_eq!(By(capitalize, "éA").to_string(), "Éa");
        assert_eq!(By(capitalize, "x").to_string(), "X");
        assert_eq!(By(capitalize, "").to_string(), "");
        assert_eq!(By(uppercase, "straße").to_string(), "STRASSE");
    }
}
