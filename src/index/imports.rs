//! What a file takes from elsewhere, as paths and the names they have there.

/// A path, and the name it goes by; no name when everything in it is taken.
pub(super) type Taken = (String, Option<String>);

/// Spells out a tree of paths of Rust: `a::{self, b as c, d::*}`.
pub(super) fn expand(tree: &str, taken: &mut Vec<Taken>) {
    expand_below("", tree.trim(), taken, 0);
}

fn expand_below(above: &str, tree: &str, taken: &mut Vec<Taken>, depth: usize) {
    // Nobody nests deeper, but a file may contain anything.
    if depth > 16 || tree.is_empty() {
        return;
    }
    if let Some(open) = tree.find('{') {
        let path = join(above, tree[..open].trim().trim_end_matches("::"));
        let inner = tree[open + 1..].trim_end();
        let inner = inner.strip_suffix('}').unwrap_or(inner);
        for part in split(inner) {
            expand_below(&path, part.trim(), taken, depth + 1);
        }
        return;
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path.trim(), Some(alias.trim())),
        None => (tree, None),
    };
    let (path, is_all) = match path.strip_suffix('*') {
        Some(path) => (path.trim_end_matches("::"), true),
        None => (path, false),
    };
    let path =
        if path == "self" && !above.is_empty() { above.to_owned() } else { join(above, path) };
    let own = path.rsplit("::").next().unwrap_or_default();
    let name = (!is_all).then(|| alias.unwrap_or(own).to_owned());
    taken.push((path, name));
}

fn join(above: &str, path: &str) -> String {
    match (above, path) {
        ("", path) => path.trim_start_matches("::").to_owned(),
        (above, "") => above.to_owned(),
        (above, path) => format!("{above}::{path}"),
    }
}

/// At the commas that stand in no braces.
fn split(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

/// What a language with one module an import takes: `from module import name as alias`.
pub(super) fn taken(
    module: &str,
    name: Option<&str>,
    alias: Option<&str>,
    all: bool,
    language: &str,
) -> Taken {
    let module = module.trim_matches(['"', '\'', '`']);
    let last = |path: &str| {
        path.rsplit(['/', '.']).find(|part| !part.is_empty()).unwrap_or_default().to_owned()
    };
    let bound = match (alias, name) {
        _ if all => None,
        (Some(alias), _) => Some(alias.to_owned()),
        (None, Some(name)) => Some(last(name)),
        // `import a.b` binds `a` in Python; Go binds the last part of a path.
        (None, None) if language == "python" => module.split('.').next().map(str::to_owned),
        (None, None) => Some(last(module)),
    };
    let path = match name {
        Some(name) if language == "python" && module.ends_with('.') => format!("{module}{name}"),
        Some(name) => format!("{module}{}{name}", if language == "python" { "." } else { "#" }),
        None => module.to_owned(),
    };
    (path, bound)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(tree: &str, expected: Expect) {
        let mut taken = Vec::new();
        expand(tree, &mut taken);
        let lines = taken.iter().map(|(path, name)| match name {
            Some(name) => format!("{path} as {name}\n"),
            None => format!("{path}::*\n"),
        });
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn trees_of_paths() {
        check(
            "std::fmt",
            expect![[r#"
            std::fmt as fmt
        "#]],
        );
        check(
            "a::{self, b as c, d::{*, e}, f::*,}",
            expect![[r#"
            a as a
            a::b as c
            a::d::*
            a::d::e as e
            a::f::*
        "#]],
        );
        check(
            "{a, ::b::c}",
            expect![[r#"
            a as a
            b::c as c
        "#]],
        );
        check(
            "a::{b",
            expect![[r#"
            a::b as b
        "#]],
        );
        check(
            "super::Trait as _",
            expect![[r#"
            super::Trait as _
        "#]],
        );
    }
}
