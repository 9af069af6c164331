//! Code that would send without permission does not compile.

#[test]
fn only_the_border_permits() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/permit/without_a_permit.rs");
    cases.compile_fail("tests/permit/cloud_without_a_permit.rs");
    cases.compile_fail("tests/permit/made_by_hand.rs");
    cases.compile_fail("tests/permit/copied.rs");
    cases.compile_fail("tests/permit/changed.rs");
    cases.compile_fail("tests/permit/read_from_a_file.rs");
}
