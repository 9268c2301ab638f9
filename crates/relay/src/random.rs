//! The one source of randomness, so that tests can see where it enters.

/// Returns random bytes from the operating system.
///
/// # Panics
///
/// When the operating system has none to give: nothing that we would do without randomness is right.
#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
