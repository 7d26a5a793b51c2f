//! Which known name a misspelt one most likely means. Pure.

/// The known name that a misspelling most likely means; none where nothing is near.
pub(super) fn nearest<'name>(name: &str, known: &[&'name str]) -> Option<&'name str> {
    let near = |known: &&'name str| (edits(name, known), *known);
    known
        .iter()
        .map(near)
        .min()
        .filter(|(edits, known)| *edits <= 1 + known.len() / 4)
        .map(|(_, known)| known)
}

/// Letters to put in, take out or exchange to make one name the other (Levenshtein's distance).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour_and_a_strange_one_none() {
        let known = ["bind", "reads", "writes", "connect_timeout"];
        assert_eq!(nearest("bnid", &known), Some("bind"));
        assert_eq!(nearest("read", &known), Some("reads"));
        assert_eq!(nearest("connecttimeout", &known), Some("connect_timeout"));
        assert_eq!(nearest("password", &known), None);
    }
}
