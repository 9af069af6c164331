//! What stands before an item and belongs to it: comments, attributes, and the keywords of what it
//! stands in.

use std::ops::Range;

use tree_sitter::Node;

use crate::syntax::Language;

/// What stands before a node and belongs to it.
pub(super) struct Lead {
    /// The node's bytes.
    pub(super) node: Range<usize>,
    /// Where its comments and attributes begin.
    pub(super) begin: usize,
    /// Where the keywords before it begin, which stand in what is around it: `export const`.
    pub(super) keywords: usize,
    pub(super) doc: Option<Range<usize>>,
    pub(super) is_test: bool,
    pub(super) is_exported: bool,
}

/// What belongs to the first of the items in a node that is none itself, such as an `export`.
#[derive(Default)]
pub(super) struct Outer {
    lead: Option<usize>,
    keywords: Option<usize>,
    doc: Option<Range<usize>>,
    is_exported: bool,
}

impl Lead {
    pub(super) fn outer(&self, node: Node<'_>) -> Outer {
        Outer {
            lead: Some(self.begin),
            keywords: Some(self.keywords),
            doc: self.doc.clone(),
            is_exported: self.is_exported || node.kind() == "export_statement",
        }
    }
}

/// What belongs to each named child of `around`, in order.
pub(super) fn leads(
    source: &str,
    language: &Language,
    around: Node<'_>,
    outer: Outer,
) -> Vec<Lead> {
    let mut leads = Vec::new();
    let (mut lead, mut doc, mut is_test) = (outer.lead, outer.doc, false);
    let mut keywords = outer.keywords;
    let mut last_end = around.start_byte();
    let mut cursor = around.walk();
    let mut more = cursor.goto_first_child();
    while more {
        let node = cursor.node();
        let range = node.byte_range();
        let text = &source[range.clone()];
        if lead.is_some()
            && last_end > around.start_byte()
            && blank_line_between(source, last_end, range.start)
        {
            // A comment on its own, such as a licence.
            let own = doc.as_ref().is_none_or(|_| !text.starts_with("///"));
            if own && !is_test {
                (lead, doc) = (None, None);
            }
        }
        last_end = range.end;
        if node.kind().ends_with("comment") {
            lead = lead.or(Some(range.start));
            if doc.is_none() && is_doc(text, language) {
                doc = Some(range);
            }
        } else if matches!(node.kind(), "attribute_item" | "decorator") {
            lead = lead.or(Some(range.start));
            is_test |= is_test_attribute(text);
        } else if node.is_named() {
            let is_word = |c: char| c.is_alphanumeric() || c == ' ';
            let keywords = keywords.take().filter(|keywords| {
                source.get(*keywords..range.start).is_some_and(|text| text.chars().all(is_word))
            });
            leads.push(Lead {
                begin: lead.take().unwrap_or(range.start),
                keywords: keywords.unwrap_or(range.start),
                node: range,
                doc: doc.take(),
                is_test,
                is_exported: outer.is_exported,
            });
            is_test = false;
        }
        more = cursor.goto_next_sibling();
    }
    leads
}

fn is_doc(comment: &str, language: &Language) -> bool {
    match language.id {
        "rust" => comment.starts_with("///") || comment.starts_with("/**"),
        _ => true,
    }
}

fn is_test_attribute(text: &str) -> bool {
    let inner = text.trim_start_matches("#[").trim_end_matches(']');
    let name = inner.split('(').next().unwrap_or_default();
    name == "test"
        || name.ends_with("::test")
        || (name == "cfg" && inner.contains("test") && !inner.contains("not(test"))
}

fn blank_line_between(source: &str, end: usize, start: usize) -> bool {
    let between = source.get(end..start).unwrap_or_default();
    let before = source[..end].ends_with('\n');
    memchr::memchr_iter(b'\n', between.as_bytes()).count() > usize::from(!before)
}
