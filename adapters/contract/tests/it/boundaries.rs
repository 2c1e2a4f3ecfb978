//! What the attribute refuses to compile, and the words in which it says so.

#[test]
fn a_wrong_contract_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
