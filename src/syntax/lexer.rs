//! Just enough of a lexer to count brackets in half-written code: what stands in strings, characters
//! and comments does not count. One for the C-like languages, lenient with the others.

/// What a byte of source text is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Code,
    String {
        escaped: bool,
    },
    LineComment,
    BlockComment {
        star: bool,
    },
}

/// Follows brackets through text that arrives in pieces.
#[derive(Debug, Clone, Default)]
pub struct Brackets {
    state: State,
    open: Vec<u8>,
    /// Bytes seen last, to recognize comments and character literals.
    before: [u8; 2],
    /// Position inside what may be a character literal (`'x'`, `'\n'`), else a lifetime.
    quote: Option<u8>,
}

impl Brackets {
    /// Takes one byte. `Some(closer)` when it is a closing bracket that nothing here opened.
    pub fn push(&mut self, byte: u8) -> Option<u8> {
        let previous = self.before[1];
        self.before = [previous, byte];
        match self.state {
            State::String { escaped } => {
                self.state = match byte {
                    _ if escaped => State::String { escaped: false },
                    b'\\' => State::String { escaped: true },
                    b'"' => State::Code,
                    _ => self.state,
                };
            }
            State::LineComment if byte == b'\n' => self.state = State::Code,
            State::LineComment => {}
            State::BlockComment { star } => {
                self.state = if star && byte == b'/' {
                    State::Code
                } else {
                    State::BlockComment { star: byte == b'*' }
                };
            }
            State::Code => return self.code(previous, byte),
        }
        None
    }

    fn code(&mut self, previous: u8, byte: u8) -> Option<u8> {
        if let Some(position) = self.quote {
            // `'(' `: a bracket right behind a quote is a character if a quote closes it. A lifetime
            // is never followed by a bracket in its second place.
            self.quote = match (position, byte) {
                (_, b'\'') => None,
                (0, b'\\') => Some(1),
                (0, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"') | (1, _) => Some(2),
                _ => None,
            };
            if self.quote.is_some() || byte == b'\'' {
                return None;
            }
        }
        match byte {
            b'"' => self.state = State::String { escaped: false },
            b'\'' => self.quote = Some(0),
            b'/' if previous == b'/' => self.state = State::LineComment,
            b'*' if previous == b'/' => self.state = State::BlockComment { star: false },
            b'(' => self.open.push(b')'),
            b'[' => self.open.push(b']'),
            b'{' => self.open.push(b'}'),
            b')' | b']' | b'}' => match self.open.pop() {
                Some(expected) if expected == byte => {}
                Some(expected) => {
                    self.open.push(expected);
                    return Some(byte);
                }
                None => return Some(byte),
            },
            _ => {}
        }
        None
    }

    /// Brackets that are open now.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// What closes all that is open, innermost first: the end of a string or comment, then brackets.
    pub fn closers(&self) -> String {
        let mut closers = match self.state {
            State::Code => String::new(),
            State::String { .. } => "\"".to_owned(),
            State::LineComment => "\n".to_owned(),
            State::BlockComment { .. } => "*/".to_owned(),
        };
        closers.extend(self.open.iter().rev().map(|byte| char::from(*byte)));
        closers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, closers: &str, unopened: &str) {
        let mut brackets = Brackets::default();
        let found: String =
            text.bytes().filter_map(|byte| brackets.push(byte)).map(char::from).collect();
        assert_eq!((brackets.closers().as_str(), found.as_str()), (closers, unopened), "{text}");
    }

    #[test]
    fn brackets() {
        check("f(a[1], {", "})", "");
        check("b), c);", "", "))");
        check("let s = \"a ( \\\" b\"; (", ")", "");
        check("// ( [\n{", "}", "");
        check("/* ( * / */ [", "]", "");
        check("f('(', '\\'', '\"', x)", "", "");
        check("fn f<'a>(x: &'a str) {", "}", "");
        check("println!(\"{x", "\")", "");
        check("}", "", "}");
    }
}
