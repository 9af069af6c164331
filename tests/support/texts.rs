//! Texts with everything in them that files should not have.

use proptest::prelude::*;

/// What stands on a line: code, any characters there are, what spells a control token, and lines so long
/// that no prompt has room for one.
pub(crate) fn line() -> impl Strategy<Value = String> {
    let spelled =
        ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>", "<|endoftext|>"];
    prop_oneof![
        3 => "[a-z(){};. ]{0,80}",
        2 => "fn [a-z]{1,8}\\(\\) \\{|\\}",
        3 => prop::collection::vec(any::<char>(), 0..60).prop_map(String::from_iter),
        1 => prop::sample::select(spelled.to_vec()).prop_map(|token| format!("    \"{token}é\";")),
        1 => "(\u{0}|\u{7f}|\u{85}|\u{2028}|\u{feff}|\u{200d}|\u{1F980}|\u{10FFFF}|\t){0,20}",
        1 => "x{0,3000}",
        1 => "(é𝄞){0,500}",
        1 => (0..16_000_usize).prop_map(|len| "let é = [1]; ".chars().cycle().take(len).collect()),
    ]
}

/// Such lines with every kind of end, and none.
pub(crate) fn text(
    line: impl Strategy<Value = String>,
    lines: usize,
) -> impl Strategy<Value = String> {
    let line_break = prop::sample::select(vec!["\n", "\n", "\r\n", "\r", "\n\n", ""]);
    prop::collection::vec((line, line_break), 0..lines)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}
