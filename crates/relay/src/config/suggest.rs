//! "Did you mean": the known word that is nearest to a mistyped one.

/// Words longer than this are not compared, for a suggestion is not worth the time.
const MAX_CHARS: usize = 80;

/// Returns the candidate that `word` was probably meant to be.
pub(super) fn nearest<S: AsRef<str>>(word: &str, candidates: impl IntoIterator<Item = S>) -> Option<S> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    if word.len() > MAX_CHARS {
        return None;
    }
    let (distance, candidate) = candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.as_ref().to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + word.len() / 6).then_some(candidate)
}

/// Returns how many single-character changes lead from one word to the other (Levenshtein).
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (above, c) in to.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, own) in from.iter().enumerate() {
            let replaced = diagonal + usize::from(*own != c);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[from.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_not() {
        let known = ["server.public_url", "server.bind", "limits.import"];
        assert_eq!(nearest("server.pubic_url", known), Some("server.public_url"));
        assert_eq!(nearest("Server.Public-Url", known), Some("server.public_url"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(distance(&['k', 'i', 't', 't', 'e', 'n'], "sitting"), 3);
    }
}
