//! What a line needs: the names used on it that are defined in another file of the repository.
//!
//! Independent of `src/index`, which is what is measured: names are resolved by name alone, over
//! every definition that tree-sitter finds. A name with more than three definitions, one of the
//! current file or one of the standard library's counts as nobody's.

use std::collections::{HashMap, HashSet};

use tree_sitter::{Node, Parser, Tree};

use super::corpus::Repo;

/// Names with more definitions in a repository say too little about which one is meant.
const MAX_DEFINITIONS: usize = 3;

/// Names of the standard library and of idiom: what a model knows without being told.
const STOPLIST: &str = "
    new default clone from into try_from try_into as_ref as_mut as_str as_bytes as_slice as_ptr
    to_string to_owned to_vec borrow borrow_mut deref deref_mut drop fmt eq ne cmp partial_cmp lt le
    gt ge hash next next_back iter iter_mut into_iter len is_empty push push_str pop insert remove
    get get_mut contains contains_key entry or_insert or_insert_with or_default keys values extend
    append clear drain retain truncate resize reserve capacity with_capacity shrink_to_fit first
    last split split_at join concat chunks windows sort sort_by sort_by_key dedup reverse swap map
    map_err and_then or_else filter filter_map flat_map flatten fold collect find position any all
    count sum product min max min_by_key max_by_key min_by max_by zip enumerate rev skip take
    skip_while take_while step_by chain cycle peek peekable unzip partition by_ref copied cloned
    unwrap unwrap_or unwrap_or_else unwrap_or_default expect ok err ok_or ok_or_else is_some is_none
    is_ok is_err is_some_and as_deref as_deref_mut replace take_if transpose trim trim_start trim_end
    starts_with ends_with strip_prefix strip_suffix chars bytes lines parse to_lowercase
    to_uppercase is_ascii char_indices find_map read write flush read_exact write_all write_str
    write_fmt read_to_end read_to_string seek open create close lock try_lock unlock send recv
    try_recv try_send spawn poll wake wake_by_ref waker context pin as_pin_mut await main run start
    stop init test setup add sub mul div rem neg not bitand bitor bitxor shl shr index index_mut abs
    pow sqrt floor ceil round to_le_bytes to_be_bytes wrapping_add wrapping_sub wrapping_mul
    saturating_add saturating_sub checked_add checked_sub checked_mul overflowing_add leading_zeros
    trailing_zeros load store fetch_add fetch_sub compare_exchange mem ptr null null_mut cast offset
    size_of align_of transmute forget from_raw into_raw from_utf8 from_str to_path_buf display path
    file name value key data id kind type_id source description cause error debug info warn trace
    panic assert assert_eq assert_ne debug_assert debug_assert_eq vec format print println eprintln
    matches todo unreachable unimplemented write_char cfg env include_str concat_idents stringify
    Some None Ok Err Self self super crate std core alloc String Vec Option Result Box Rc Arc Cell
    RefCell Mutex RwLock HashMap HashSet BTreeMap BTreeSet VecDeque Cow Path PathBuf Duration
    Instant Iterator IntoIterator Item Output Error Target Key Value Debug Display Clone Copy
    Default Drop Eq PartialEq Ord PartialOrd Hash From Into Ordering Pin Context Poll Future Range
    PhantomData Write Read Send Sync Sized Fn FnMut FnOnce str usize isize u8 u16 u32 u64 u128 i8
    i16 i32 i64 i128 f32 f64 bool char";

pub struct Stoplist(HashSet<&'static str>);

impl Default for Stoplist {
    fn default() -> Self {
        Self(STOPLIST.split_whitespace().collect())
    }
}

/// A definition's name and the line (from 0) on which the name stands.
pub struct Definition {
    pub name: String,
    pub line: usize,
}

pub fn parse(text: &str) -> Tree {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_rust::LANGUAGE.into()).expect("the grammar fits");
    parser.parse(text, None).expect("nothing cancels it")
}

/// Every definition in a text, members among them.
pub fn definitions(root: Node<'_>, text: &str) -> Vec<Definition> {
    let mut found = Vec::new();
    walk(root, &mut |node| {
        let defines = matches!(
            node.kind(),
            "function_item"
                | "function_signature_item"
                | "struct_item"
                | "enum_item"
                | "union_item"
                | "enum_variant"
                | "field_declaration"
                | "trait_item"
                | "type_item"
                | "const_item"
                | "static_item"
                | "macro_definition"
        );
        if let Some(name) = node.child_by_field_name("name").filter(|_| defines) {
            let line = name.start_position().row;
            found.push(Definition { name: text[name.byte_range()].to_owned(), line });
        }
        true
    });
    found
}

/// Calls `see` for each node, and for its children where it returns true.
pub fn walk<'tree>(node: Node<'tree>, see: &mut impl FnMut(Node<'tree>) -> bool) {
    if see(node) {
        for child in node.children(&mut node.walk()) {
            walk(child, see);
        }
    }
}

/// A statement that is taken out, and what it needs.
pub struct Point {
    pub file: usize,
    /// Its bytes: the cursor stands at the start once they are gone.
    pub span: std::ops::Range<usize>,
    /// The innermost function around it.
    pub function: std::ops::Range<usize>,
    pub needed: Vec<Needed>,
}

/// A name on the line that another file defines.
pub struct Needed {
    pub name: String,
    /// Files with definitions of it.
    pub files: Vec<usize>,
    /// Whether the rest of the current file never names it.
    pub novel: bool,
}

/// Statements of a repository that need something, at most two a file and 60 in all.
pub fn points(repo: &Repo, stoplist: &Stoplist) -> Vec<Point> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (file, source) in repo.files.iter().enumerate() {
        for definition in &source.definitions {
            by_name.entry(&definition.name).or_default().push(file);
        }
    }
    let mut chosen = Vec::new();
    for (file, source) in repo.files.iter().enumerate() {
        if source.is_aside {
            continue;
        }
        let mut spans = spans(source.tree.root_node(), &source.text);
        spans.sort_by_key(|(span, _)| mixed(file, span.start));
        let mut words: HashMap<&str, usize> = HashMap::new();
        for word in identifiers(&source.text) {
            *words.entry(word).or_default() += 1;
        }
        let points = spans.into_iter().filter_map(|(span, function)| {
            let needed = needed(repo, file, &span, &function, &by_name, &words, stoplist);
            (!needed.is_empty()).then_some(Point { file, span, function, needed })
        });
        chosen.extend(points.take(2));
    }
    chosen.sort_by_key(|point| mixed(point.file, point.span.start));
    chosen.truncate(60);
    chosen
}

/// A fixed shuffle.
fn mixed(file: usize, byte: usize) -> u64 {
    let seed = (file as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ byte as u64;
    let z = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

type Span = std::ops::Range<usize>;

/// Statements of one to four lines and at least 20 bytes in bodies of functions, with the function.
fn spans(root: Node<'_>, text: &str) -> Vec<(Span, Span)> {
    let mut found = Vec::new();
    let mut stack = vec![(root, None)];
    while let Some((node, function)) = stack.pop() {
        if node.kind() == "mod_item" && is_tests(node, text) {
            continue;
        }
        let function = match node.kind() {
            "function_item" if is_test(node, text) => continue,
            "function_item" => Some(node.byte_range()),
            _ => function,
        };
        let lines = node.end_position().row - node.start_position().row + 1;
        let fits = matches!(
            node.kind(),
            "let_declaration"
                | "expression_statement"
                | "match_arm"
                | "field_initializer"
                | "return_expression"
        ) && lines <= 4
            && node.byte_range().len() >= 20;
        if let Some(function) = function.clone().filter(|_| fits) {
            found.push((node.byte_range(), function));
        }
        stack.extend(node.named_children(&mut node.walk()).map(|child| (child, function.clone())));
    }
    found
}

fn is_tests(module: Node<'_>, text: &str) -> bool {
    let name = module.child_by_field_name("name").map(|name| &text[name.byte_range()]);
    name.is_some_and(|name| matches!(name, "test" | "tests")) || is_test(module, text)
}

/// Whether an attribute before the item says that it is a test.
fn is_test(item: Node<'_>, text: &str) -> bool {
    let mut before = item.prev_sibling();
    while let Some(node) = before
        .filter(|node| matches!(node.kind(), "attribute_item" | "line_comment" | "block_comment"))
    {
        if node.kind() == "attribute_item" && text[node.byte_range()].contains("test") {
            return true;
        }
        before = node.prev_sibling();
    }
    false
}

fn needed(
    repo: &Repo,
    file: usize,
    span: &Span,
    function: &Span,
    by_name: &HashMap<&str, Vec<usize>>,
    words: &HashMap<&str, usize>,
    stoplist: &Stoplist,
) -> Vec<Needed> {
    let source = &repo.files[file];
    let names = used(source.tree.root_node(), &source.text, span, function);
    let mut on_line: HashMap<&str, usize> = HashMap::new();
    for word in identifiers(&source.text[span.clone()]) {
        *on_line.entry(word).or_default() += 1;
    }
    let mut needed = Vec::new();
    for name in names {
        let Some(files) = by_name.get(name).filter(|files| files.len() <= MAX_DEFINITIONS) else {
            continue;
        };
        if name.len() < 3 || stoplist.0.contains(name) || files.contains(&file) {
            continue;
        }
        let novel = words.get(name) == on_line.get(name);
        needed.push(Needed { name: name.to_owned(), files: files.clone(), novel });
    }
    needed
}

/// Names of calls, methods, fields, types and paths in `span`; not of what is bound in `function`.
fn used<'a>(root: Node<'_>, text: &'a str, span: &Span, function: &Span) -> Vec<&'a str> {
    let mut locals = HashSet::new();
    if let Some(function) = root.descendant_for_byte_range(function.start, function.end) {
        walk(function, &mut |node| {
            if let Some(pattern) = node.child_by_field_name("pattern")
                && node.kind() != "match_arm"
            {
                walk(pattern, &mut |leaf| {
                    if leaf.kind() == "identifier" {
                        locals.insert(&text[leaf.byte_range()]);
                    }
                    true
                });
            }
            true
        });
    }
    let mut names: Vec<&str> = Vec::new();
    let Some(inner) = root.descendant_for_byte_range(span.start, span.end) else { return names };
    walk(inner, &mut |node| {
        if node.start_byte() < span.start || node.end_byte() > span.end {
            return true;
        }
        let name = &text[node.byte_range()];
        let counts = match node.kind() {
            "type_identifier" | "field_identifier" | "shorthand_field_identifier" => true,
            "identifier" => counts(node, text) && !locals.contains(name),
            _ => false,
        };
        if counts && !names.contains(&name) {
            names.push(name);
        }
        true
    });
    names
}

/// Whether a plain identifier is called, a part of a path, a macro or a constant.
fn counts(node: Node<'_>, text: &str) -> bool {
    let name = &text[node.byte_range()];
    let is_constant = name.starts_with(|c: char| c.is_ascii_uppercase());
    let Some(parent) = node.parent() else { return false };
    match parent.kind() {
        "call_expression" | "scoped_identifier" | "generic_function" | "macro_invocation" => true,
        "token_tree" => {
            let before = node.prev_sibling().map(|node| node.kind());
            let after = node.next_sibling();
            is_constant
                || matches!(before, Some("." | "::"))
                || after.is_some_and(|after| {
                    after.kind() == "::" || text[after.byte_range()].starts_with('(')
                })
        }
        _ => is_constant,
    }
}

/// Words that could be names, anywhere in a text.
pub fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}
