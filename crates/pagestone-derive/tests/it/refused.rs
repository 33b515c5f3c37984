//! Structs that do not compile, and what is said of them.

#[test]
fn unsuited_structs_are_refused_with_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
