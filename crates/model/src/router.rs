//! The route trie: which method of which resource answers a path.
//!
//! REST APIs (measured on the real service): at every level a static segment beats `{param}`, `{param}` beats
//! `{proxy+}`, a specific verb beats `ANY`; a branch that ends without the verb is left again, so with `POST /test` and
//! `OPTIONS /{proxy+}` an `OPTIONS /test` goes to `/{proxy+}`. HTTP APIs: a full match beats every greedy one, the
//! greedy one with the longest prefix beats the others.
//!
//! A trie is a tree, so the search visits each node at most once however it backtracks.

use std::{borrow::Cow, collections::HashMap};

use portcullis_core::{
    RequestPath, Verb,
    path::{decode, next_segment},
};
use portcullis_openapi::document::ApiKind;

/// Which of a stage's routes; an index into its list.
pub type RouteIndex = usize;

/// Routes by path and verb, immutable once built.
#[derive(Debug)]
pub struct Router {
    kind: ApiKind,
    root: Node,
    default_route: Option<RouteIndex>,
}

/// What the router found.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteMatch<'s, 'p> {
    /// The route.
    pub route: RouteIndex,
    /// Path parameters by name, values as received (still encoded); a greedy one keeps its slashes.
    pub parameters: Parameters<'s, 'p>,
}

/// Path parameters by name, values as received.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parameters<'s, 'p>(Pairs<'s, 'p>);

/// Names and values of path parameters.
type Pairs<'s, 'p> = Vec<(&'s str, &'p str)>;

/// Two routes that no request could tell apart, or a resource that cannot stand beside another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteConflict {
    /// The same verb of the same resource twice.
    #[error("the same method of the same resource is described twice")]
    Duplicate {
        /// The route that was there first.
        first: RouteIndex,
    },
    /// `{a}` and `{b}` at one place of the path.
    #[error("a sibling already has the path parameter `{{{sibling}}}` at this place")]
    ParameterNames {
        /// The name that was there first.
        sibling: String,
    },
    /// The template is not one.
    #[error("`{segment}` is not a path segment: write text, `{{name}}`, or `{{name+}}` at the end")]
    Template {
        /// The segment that is wrong.
        segment: String,
    },
}

#[derive(Debug, Default)]
struct Node {
    statics: HashMap<Box<str>, Node>,
    parameter: Option<Box<(Box<str>, Node)>>,
    greedy: Option<Box<(Box<str>, Methods)>>,
    methods: Methods,
}

#[derive(Debug, Default)]
struct Methods {
    by_verb: [Option<RouteIndex>; Verb::ALL.len()],
    any: Option<RouteIndex>,
}

enum Segment<'t> {
    Static(&'t str),
    Parameter(&'t str),
    Greedy(&'t str),
}

// === impl Router ===

impl Router {
    /// An empty router with the precedence rules of `kind`.
    pub fn new(kind: ApiKind) -> Self {
        Self {
            kind,
            root: Node::default(),
            default_route: None,
        }
    }

    /// Adds a route by its path template; `None` as verb is `ANY`.
    pub fn add(&mut self, template: &str, verb: Option<Verb>, route: RouteIndex) -> Result<(), RouteConflict> {
        let mut node = &mut self.root;
        let mut rest = Some(template.strip_prefix('/').unwrap_or(template));
        while let Some((text, behind)) = rest.and_then(next_segment) {
            let is_last = behind.is_none_or(str::is_empty);
            node = match Segment::parse(text, is_last)? {
                Segment::Static(text) => node.statics.entry(text.into()).or_default(),
                Segment::Parameter(name) => {
                    let slot = node
                        .parameter
                        .get_or_insert_with(|| Box::new((name.into(), Node::default())));
                    same_name(&slot.0, name)?;
                    &mut slot.1
                }
                Segment::Greedy(name) => {
                    let slot = node
                        .greedy
                        .get_or_insert_with(|| Box::new((name.into(), Methods::default())));
                    same_name(&slot.0, name)?;
                    return slot.1.add(verb, route);
                }
            };
            rest = behind;
        }
        node.methods.add(verb, route)
    }

    /// Names the route that answers what no other does (`$default` of HTTP APIs).
    pub fn add_default(&mut self, route: RouteIndex) -> Result<(), RouteConflict> {
        match self.default_route.replace(route) {
            Some(first) => Err(RouteConflict::Duplicate { first }),
            None => Ok(()),
        }
    }

    /// The route for a path below the stage's mount. `None` as verb is a method that `ANY` does not stand for.
    pub fn find<'s, 'p>(&'s self, path: RequestPath<'p>, verb: Option<Verb>) -> Option<RouteMatch<'s, 'p>> {
        let text = path.behind_slash();
        let mut search = Search {
            verb,
            parameters: Vec::new(),
        };
        let found = verb.and_then(|_| match self.kind {
            ApiKind::Rest => search.first(&self.root, Some(text), true),
            ApiKind::Http => search
                .first(&self.root, Some(text), false)
                .or_else(|| search.longest_greedy(&self.root, Some(text), 0).map(|(_, route)| route)),
        });
        if found.is_none() {
            search.parameters.clear();
        }
        let route = found.or(self.default_route)?;
        Some(RouteMatch {
            route,
            parameters: Parameters(search.parameters),
        })
    }
}

// === impl Search ===

struct Search<'s, 'p> {
    verb: Option<Verb>,
    parameters: Pairs<'s, 'p>,
}

impl<'s, 'p> Search<'s, 'p> {
    /// Depth first in order of precedence; leaves a branch that does not know the verb.
    fn first(&mut self, node: &'s Node, rest: Option<&'p str>, greedy: bool) -> Option<RouteIndex> {
        let Some((segment, behind)) = rest.and_then(next_segment) else {
            return node.methods.find(self.verb);
        };
        if let Some(route) = self.down(node, segment, |search, child| search.first(child, behind, greedy)) {
            return Some(route);
        }
        let (name, methods) = node.greedy.as_deref().filter(|_| greedy)?;
        let route = methods.find(self.verb)?;
        self.parameters.push((name, rest.unwrap_or_default()));
        Some(route)
    }

    /// The greedy route that consumes the most segments before its parameter; static before `{param}` when equal.
    fn longest_greedy(&mut self, node: &'s Node, rest: Option<&'p str>, depth: usize) -> Option<(usize, RouteIndex)> {
        let (segment, behind) = rest.and_then(next_segment)?;
        let mut best: Option<(usize, RouteIndex, Pairs<'s, 'p>)> = None;
        let before = self.parameters.clone();
        let statics = find_static(node, segment).map(|child| (None, child));
        let parameter = parameter_of(node, segment).map(|(name, child)| (Some(name), child));
        for (name, child) in statics.into_iter().chain(parameter) {
            self.parameters.clone_from(&before);
            self.parameters.extend(name.map(|name| (name, segment)));
            if let Some((found, route)) = self.longest_greedy(child, behind, depth + 1)
                && best.as_ref().is_none_or(|(deepest, ..)| found > *deepest)
            {
                best = Some((found, route, self.parameters.clone()));
            }
        }
        self.parameters = before;
        if let Some((found, route, parameters)) = best {
            self.parameters = parameters;
            return Some((found, route));
        }
        let (name, methods) = node.greedy.as_deref()?;
        let route = methods.find(self.verb)?;
        self.parameters.push((name, rest.unwrap_or_default()));
        Some((depth, route))
    }

    fn down(
        &mut self,
        node: &'s Node,
        segment: &'p str,
        mut on: impl FnMut(&mut Self, &'s Node) -> Option<RouteIndex>,
    ) -> Option<RouteIndex> {
        if let Some(child) = find_static(node, segment)
            && let Some(route) = on(self, child)
        {
            return Some(route);
        }
        let (name, child) = parameter_of(node, segment)?;
        let kept = self.parameters.len();
        self.parameters.push((name, segment));
        let found = on(self, child);
        if found.is_none() {
            self.parameters.truncate(kept);
        }
        found
    }
}

fn find_static<'s>(node: &'s Node, segment: &str) -> Option<&'s Node> {
    if node.statics.is_empty() {
        None
    } else {
        node.statics.get(decode(segment).as_ref())
    }
}

/// A parameter holds at least one character; an empty segment is left to a greedy one.
fn parameter_of<'s>(node: &'s Node, segment: &str) -> Option<(&'s str, &'s Node)> {
    let (name, child) = node.parameter.as_deref().filter(|_| !segment.is_empty())?;
    Some((name, child))
}

fn same_name(first: &str, name: &str) -> Result<(), RouteConflict> {
    if first == name {
        Ok(())
    } else {
        Err(RouteConflict::ParameterNames {
            sibling: first.to_owned(),
        })
    }
}

// === impl Methods ===

impl Methods {
    fn add(&mut self, verb: Option<Verb>, route: RouteIndex) -> Result<(), RouteConflict> {
        let slot = match verb {
            Some(verb) => &mut self.by_verb[verb as usize],
            None => &mut self.any,
        };
        match slot {
            Some(first) => Err(RouteConflict::Duplicate { first: *first }),
            None => {
                *slot = Some(route);
                Ok(())
            }
        }
    }

    fn find(&self, verb: Option<Verb>) -> Option<RouteIndex> {
        self.by_verb[verb? as usize].or(self.any)
    }
}

// === impl Segment ===

impl<'t> Segment<'t> {
    fn parse(text: &'t str, is_last: bool) -> Result<Self, RouteConflict> {
        let wrong = || RouteConflict::Template {
            segment: text.to_owned(),
        };
        let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
            return if text.is_empty() || text.contains(['{', '}']) {
                Err(wrong())
            } else {
                Ok(Self::Static(text))
            };
        };
        let (name, greedy) = inner.strip_suffix('+').map_or((inner, false), |name| (name, true));
        match (name.is_empty() || name.contains(['{', '}', '+']), greedy) {
            (true, _) => Err(wrong()),
            (false, true) if !is_last => Err(wrong()),
            (false, true) => Ok(Self::Greedy(name)),
            (false, false) => Ok(Self::Parameter(name)),
        }
    }
}

// === impl Parameters ===

impl<'s, 'p> Parameters<'s, 'p> {
    /// The value of a parameter as received.
    pub fn raw(&self, name: &str) -> Option<&'p str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The value of a parameter, percent-decoded.
    pub fn decoded(&self, name: &str) -> Option<Cow<'p, str>> {
        self.raw(name).map(decode)
    }

    /// All of them in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&'s str, &'p str)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests;
