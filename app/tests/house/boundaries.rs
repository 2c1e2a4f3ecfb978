//! The compiler holds the boundaries between modules: what reaches across one does not build.

#[test]
fn what_crosses_a_boundary_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/house/compile_fail/*.rs");
}
