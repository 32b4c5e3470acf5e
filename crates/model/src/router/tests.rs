use proptest::prelude::*;

use super::*;

fn router(kind: ApiKind, routes: &[&str]) -> Router {
    let mut router = Router::new(kind);
    for (index, route) in routes.iter().enumerate() {
        let (verb, template) = route.split_once(' ').unwrap();
        if template == "/$default" {
            router.add_default(index).unwrap();
        } else {
            router.add(template, Verb::parse(verb), index).unwrap();
        }
    }
    router
}

/// Finds `request` ("GET /a/b") among `routes`; the answer is the route as written and its parameters.
fn check(kind: ApiKind, routes: &[&str], request: &str, expected: &str) {
    let router = router(kind, routes);
    let (verb, path) = request.split_once(' ').unwrap();
    let found = router.find(RequestPath::parse(path).unwrap(), Verb::parse(verb));
    let text = found.map_or("none".to_owned(), |found| {
        found
            .parameters
            .iter()
            .fold(routes[found.route].to_owned(), |text, (name, value)| {
                format!("{text} {name}={value}")
            })
    });
    assert_eq!(text, expected, "{request} among {routes:?}");
}

#[test]
fn rest_precedence_and_backtracking() {
    let test = ["POST /test", "OPTIONS /{proxy+}"];
    let deep = ["GET /part1", "GET /part1/hardcoded-value", "GET /{param+}"];
    let verbs = ["GET /a", "ANY /a", "ANY /{x}/b", "GET /{x}/{y}", "ANY /a/{proxy+}"];
    let cases: [(&[&str], &str, &str); 25] = [
        // Recorded from the real service.
        (&test, "OPTIONS /test", "OPTIONS /{proxy+} proxy=test"),
        (&test, "POST /test", "POST /test"),
        (&test, "GET /test", "none"),
        (
            &deep,
            "GET /part1/random-value",
            "GET /{param+} param=part1/random-value",
        ),
        (&deep, "GET /part1/hardcoded-value", "GET /part1/hardcoded-value"),
        (&deep, "GET /part1/", "GET /part1"),
        // Verbs.
        (&verbs, "GET /a", "GET /a"),
        (&verbs, "PUT /a", "ANY /a"),
        (&verbs, "TRACE /a", "none"),
        (&verbs, "HEAD /a", "ANY /a"),
        (&["GET /a"], "HEAD /a", "none"),
        // Static, then parameter, then greedy, at each level.
        (&verbs, "GET /a/b", "ANY /a/{proxy+} proxy=b"),
        (&verbs, "GET /z/b", "ANY /{x}/b x=z"),
        (&verbs, "GET /z/c", "GET /{x}/{y} x=z y=c"),
        (&verbs, "PUT /z/c", "none"),
        // Paths.
        (&["GET /"], "GET /", "GET /"),
        (&["ANY /{proxy+}"], "GET /", "none"),
        (&["ANY /{proxy+}"], "GET /a/", "ANY /{proxy+} proxy=a/"),
        (
            &["ANY /{proxy+}"],
            "GET /proxy-value//double-slash",
            "ANY /{proxy+} proxy=proxy-value//double-slash",
        ),
        (&["ANY /{x}/b"], "GET //b", "none"),
        (&["GET /caf\u{e9}"], "GET /caf%C3%A9", "GET /caf\u{e9}"),
        (&["GET /a%2Fb"], "GET /a%2Fb", "none"),
        (&["GET /a", "GET /{x}"], "GET /a%2Fb", "GET /{x} x=a%2Fb"),
        (&["GET /a"], "GET /A", "none"),
        (&["GET /{x}"], "GET /%61", "GET /{x} x=%61"),
    ];
    for (routes, request, expected) in cases {
        check(ApiKind::Rest, routes, request, expected);
    }
}

#[test]
fn http_full_match_beats_greedy_beats_default() {
    let routes = [
        "ANY /a/{proxy+}",
        "GET /{x}/b",
        "ANY /{x}/c/{rest+}",
        "ANY /$default",
        "GET /a/c/{deep+}",
    ];
    let cases = [
        ("GET /a/b", "GET /{x}/b x=a"),
        ("PUT /a/b", "ANY /a/{proxy+} proxy=b"),
        ("PUT /a/c/d", "ANY /{x}/c/{rest+} x=a rest=d"),
        ("GET /a/c/d", "GET /a/c/{deep+} deep=d"),
        ("GET /q", "ANY /$default"),
        ("TRACE /q", "ANY /$default"),
        ("GET /", "ANY /$default"),
    ];
    for (request, expected) in cases {
        check(ApiKind::Http, &routes, request, expected);
    }
}

#[test]
fn conflicts_are_refused() {
    let mut router = router(ApiKind::Rest, &["GET /a/{x}", "ANY /{proxy+}"]);
    let duplicate = |first| Err(RouteConflict::Duplicate { first });
    let template = |segment: &str| {
        Err(RouteConflict::Template {
            segment: segment.into(),
        })
    };
    assert_eq!(router.add("/a/{x}", Some(Verb::Get), 9), duplicate(0));
    assert_eq!(router.add("/a/{x}/", Some(Verb::Get), 9), duplicate(0));
    assert_eq!(router.add("/{proxy+}", None, 9), duplicate(1));
    assert_eq!(
        router.add("/a/{y}", None, 9),
        Err(RouteConflict::ParameterNames { sibling: "x".into() })
    );
    assert_eq!(
        router.add("/{rest+}", None, 9),
        Err(RouteConflict::ParameterNames {
            sibling: "proxy".into()
        })
    );
    assert_eq!(router.add("/{p+}/a", None, 9), template("{p+}"));
    assert_eq!(router.add("/a{b}", None, 9), template("a{b}"));
    assert_eq!(router.add("/{}", None, 9), template("{}"));
    assert_eq!(router.add("/a//b", None, 9), template(""));
    assert_eq!(router.add("/a/{x}", Some(Verb::Put), 9), Ok(()));
}

/// The precedence rule written down a second way: every matching route, ordered by its segments' kinds.
fn oracle(routes: &[(Option<Verb>, String)], path: &str, verb: Verb) -> Option<usize> {
    let wanted: Vec<&str> = path[1..].split('/').filter(|segment| !segment.is_empty()).collect();
    let rank = |template: &str| -> Option<Vec<u8>> {
        let pattern: Vec<&str> = template[1..].split('/').filter(|segment| !segment.is_empty()).collect();
        let mut ranks = Vec::new();
        for (at, segment) in pattern.iter().enumerate() {
            match (segment.ends_with("+}"), segment.starts_with('{'), wanted.get(at)) {
                (_, _, None) => return None,
                (true, ..) => return Some([ranks, vec![2]].concat()),
                (false, true, Some(_)) => ranks.push(1),
                (false, false, Some(have)) if have == segment => ranks.push(0),
                _ => return None,
            }
        }
        (pattern.len() == wanted.len()).then_some(ranks)
    };
    let usable = routes
        .iter()
        .enumerate()
        .filter(|(_, (known, _))| known.is_none_or(|known| known == verb));
    usable
        .filter_map(|(index, (known, template))| Some((rank(template)?, known.is_none(), index)))
        .min()
        .map(|(.., index)| index)
}

proptest! {
    #[test]
    fn rest_agrees_with_the_rule_written_a_second_way(
        templates in prop::collection::vec(("(/(a|b|\\{x\\})){1,4}(/\\{p\\+\\})?", 0..4_usize), 1..12),
        path in "(/(a|b|c)){1,5}",
        verb in 0..3_usize,
    ) {
        let mut router = Router::new(ApiKind::Rest);
        let mut routes = Vec::new();
        for (template, verb) in templates {
            let verb = (verb < 3).then(|| Verb::ALL[verb]);
            if router.add(&template, verb, routes.len()).is_ok() {
                routes.push((verb, template));
            }
        }
        let verb = Verb::ALL[verb];
        let found = router.find(RequestPath::parse(&path).unwrap(), Some(verb));
        prop_assert_eq!(found.as_ref().map(|found| found.route), oracle(&routes, &path, verb));
    }
}
