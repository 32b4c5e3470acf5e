//! "Did you mean …?"

/// The candidate that `written` most likely was to be: at most two edits away, or a third of its length when that is
/// less. The first of equals.
pub fn closest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (written.chars().count() / 3).min(2);
    let distances = candidates
        .into_iter()
        .map(|candidate| (distance(written, candidate), candidate));
    distances
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean …?)`, or nothing when no candidate is near.
pub fn did_you_mean<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    closest(written, candidates).map_or_else(String::new, |candidate| format!(" (did you mean `{candidate}`?)"))
}

/// Insertions, deletions, substitutions and swaps of neighbours, letter case counting for nothing.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).take(100).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).take(100).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (row, from) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let substituted = rows[row][column] + usize::from(from != to);
            let mut best = substituted.min(rows[row][column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *from == right[column - 1] && left[row - 1] == *to {
                best = best.min(rows[row - 1][column - 1] + 1);
            }
            next.push(best);
        }
        rows.push(next);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let known = ["responseLatency", "responseLength", "status"];
        for (written, expected) in [
            ("responseLatecny", Some("responseLatency")),
            ("responselength", Some("responseLength")),
            ("statu", Some("status")),
            ("requestId", None),
            ("", None),
        ] {
            assert_eq!(closest(written, known), expected, "{written}");
        }
        assert_eq!(did_you_mean("staus", known), " (did you mean `status`?)");
    }
}
