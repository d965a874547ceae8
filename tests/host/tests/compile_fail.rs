// SPDX-License-Identifier: GPL-2.0

//! Orders of a handshake that must not compile, and one that must.

#[test]
fn only_the_right_order_compiles() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/compile_fail/pass/*.rs");
    cases.compile_fail("tests/compile_fail/*.rs");
}
