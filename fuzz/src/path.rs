//! The path of a request: what its three readings must agree on.

use portcullis_core::{
    RequestPath,
    path::{decode, next_segment},
};

/// Reads `data` as a path. What is accepted is forwarded as it came, its segments make it up again, no reading of it holds a dot segment
/// or a control character, and its reading in ARNs is a path with the same segments.
pub(crate) fn fuzz_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(path) = RequestPath::parse(text) else { return };
    assert_eq!(path.as_received(), text);

    let segments = segments(path);
    let joined = format!("/{}", segments.join("/"));
    assert!(
        text == joined || text == joined.clone() + "/",
        "the segments {segments:?} do not make up the path"
    );
    for segment in &segments {
        let decoded = decode(segment);
        assert!(
            !decoded.contains(char::is_control) || !decoded.is_ascii(),
            "{segment} hides a control character"
        );
        let is_dot = |piece: &str| matches!(piece.split(';').next(), Some("." | ".."));
        assert!(!decoded.split(['/', '\\']).any(is_dot), "{segment} hides a dot segment");
    }
    for count in 0..=segments.len() + 1 {
        let below = path.below(count).as_received();
        assert!(
            below == "/" || text.ends_with(below),
            "{below} is not a part of the path"
        );
        assert!(
            RequestPath::parse(below).is_ok(),
            "a part of a good path is a good path"
        );
    }

    let in_arn = format!("/{}", path.in_arn());
    let again = RequestPath::parse(&in_arn);
    assert_eq!(
        again.map(|path| format!("/{}", path.in_arn())),
        Ok(in_arn.clone()),
        "the reading in ARNs is not stable"
    );
    let decoded = |path| {
        self::segments(path)
            .into_iter()
            .map(|segment| decode(segment).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        again.map(decoded),
        Ok(decoded(path)),
        "policy and router see different segments"
    );
}

fn segments(path: RequestPath<'_>) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut rest = Some(path.behind_slash());
    while let Some((segment, behind)) = rest.and_then(next_segment) {
        segments.push(segment);
        rest = behind;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_holds() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/path");
        let inputs = crate::drive::read_corpus(&directory).unwrap();
        let accepted = inputs
            .iter()
            .filter(|input| RequestPath::parse(std::str::from_utf8(input).unwrap()).is_ok());
        assert!((4..inputs.len()).contains(&accepted.count()), "both kinds are there");
        inputs.iter().for_each(|input| fuzz_path(input));
    }

    #[test]
    fn segments_are_those_of_the_router() {
        let check = |path: &str, expected: &[&str]| assert_eq!(segments(RequestPath::parse(path).unwrap()), expected);
        check("/", &[]);
        check("/a//b/", &["a", "", "b"]);
        check("/%2F", &["%2F"]);
    }
}
