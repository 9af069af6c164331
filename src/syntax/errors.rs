//! How much of a tree the grammar could not make sense of.

use tree_sitter::Node;

/// Bytes of the outermost `ERROR` nodes below `node`, and one for each missing token.
pub fn error_bytes(node: Node<'_>) -> usize {
    if node.is_error() {
        return node.byte_range().len().max(1);
    }
    if node.is_missing() {
        return 1;
    }
    if !node.has_error() {
        return 0;
    }
    let mut cursor = node.walk();
    node.children(&mut cursor).map(error_bytes).sum()
}
