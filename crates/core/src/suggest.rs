//! "Did you mean …?"

/// Characters of a name that is looked at.
const NAME_CHARACTERS_MAX: usize = 80;

/// The candidate that `written` most likely was to be, letter case counting for nothing: one edit away, or one more for
/// each six letters. The first of equals.
pub fn closest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if written.chars().count() > NAME_CHARACTERS_MAX {
        return None;
    }
    let folded = written.to_ascii_lowercase();
    let distances = candidates
        .into_iter()
        .map(|candidate| (distance(&folded, &candidate.to_ascii_lowercase()), candidate));
    distances
        .filter(|(edits, candidate)| *edits <= 1 + candidate.len().min(written.len()) / 6)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean …?)`, or nothing when no candidate is near.
pub fn did_you_mean<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    closest(written, candidates).map_or_else(String::new, |candidate| format!(" (did you mean `{candidate}`?)"))
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row];
        for column in 1..=right.len() {
            let replaced = last[column - 1] + usize::from(left[row - 1] != right[column - 1]);
            let mut best = replaced.min(last[column] + 1).min(current[column - 1] + 1);
            let is_swap =
                row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1];
            if is_swap {
                best = best.min(before_last[column - 2] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
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
