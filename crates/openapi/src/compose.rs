//! From text to the located tree, within bounds, with every duplicate key and foreign tag reported.

use std::{collections::HashMap, sync::Arc};

use portcullis_core::{Findings, Place};
use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScanError, Span, StrInput, Tag};

use crate::{
    report::{Report, quote},
    tag::{self, DEPLOY_REMEDY},
    tree::{Content, Entry, Map, Node, Scalar},
};

/// The longest text that is read, as at Amazon's import.
pub const TEXT_BYTES_MAX: usize = 6 * 1024 * 1024;
/// How deep mappings and sequences may nest.
pub const DEPTH_MAX: usize = 64;
/// How many mappings, sequences and scalars a document may have, those that aliases repeat counted again.
pub const NODES_MAX: usize = 500_000;
/// How much text the scalars may hold together, that which aliases repeat counted again.
const SCALAR_BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

/// Reads YAML or JSON, whichever it is: JSON is read as the YAML that it also is (YAML 1.2, section 1.3).
///
/// `source` is the name to be printed in places. The tree is `None` when the text is no single document, breaks a bound
/// or has a syntax error; duplicate keys and unknown tags are errors among the findings beside a usable tree.
pub fn read_tree(source: &str, text: &str) -> (Option<Node>, Findings) {
    let mut report = Report::default();
    let tree = compose(&source.into(), text, &mut report);
    (tree, report.into_findings())
}

/// As [`read_tree`], into a report that goes on.
pub(crate) fn compose(source: &Arc<str>, text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the document has {} bytes; {TEXT_BYTES_MAX} are read", text.len());
        report.error(
            &Place::whole(source.clone()),
            "document-too-large",
            message,
            "split it into several APIs",
        );
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit_parser::options! {
        emit_comments: false,
        // JSON allows long keys, and the text as a whole is bounded; YAML's 1,024 would refuse what JSON readers take.
        simple_key_max_lookahead: 64 * 1024,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut composer = Composer {
        source: source.clone(),
        parser,
        report,
        anchors: HashMap::new(),
        spent: Size::default(),
    };
    composer.document().ok()
}

/// The composing ended early; why is in the report.
struct Stopped;

/// What a part of the tree takes of the bounds.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

/// A value that aliases may repeat.
struct Anchored {
    node: Node,
    size: Size,
    /// How many levels of mappings and sequences it is, with those that its own aliases brought.
    height: usize,
}

struct Composer<'a, 'r> {
    source: Arc<str>,
    parser: Parser<'a, StrInput<'a>>,
    report: &'r mut Report,
    /// Anchored values that are complete, by the parser's number for them.
    anchors: HashMap<usize, Anchored>,
    spent: Size,
}

// === impl Composer ===

impl<'a> Composer<'a, '_> {
    fn document(&mut self) -> Result<Node, Stopped> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                _ if root.is_some() => {
                    let place = self.place(span.start);
                    let remedy = "keep one document to a file";
                    self.report
                        .error(&place, "several-documents", "a second document begins here", remedy);
                    return Err(Stopped);
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        root.filter(|node| !node.is_null()).ok_or_else(|| {
            let place = Place::whole(self.source.clone());
            self.report.error(
                &place,
                "empty-document",
                "the document is empty",
                "write an OpenAPI document",
            );
            Stopped
        })
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Stopped> {
        let place = self.place(span.start);
        let before = self.spent;
        let (content, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, &place, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref();
                self.spend(
                    &place,
                    Size {
                        nodes: 1,
                        bytes: text.len(),
                    },
                )?;
                let kind = tag::scalar_kind(&text, style, tag, &place, self.report);
                (
                    Content::Scalar(Scalar {
                        text: text.into_owned(),
                        kind,
                    }),
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(&place, tag.as_deref(), depth)?;
                (Content::Sequence(self.sequence(depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(&place, tag.as_deref(), depth)?;
                (Content::Map(self.map(depth)?), anchor)
            }
            // The parser emits nothing else where a value stands.
            _ => return Err(self.unexpected(&place)),
        };
        let node = Node { place, content };
        if anchor != 0 {
            let size = Size {
                nodes: self.spent.nodes - before.nodes,
                bytes: self.spent.bytes - before.bytes,
            };
            // Kept to be repeated, so it takes memory a second time.
            self.spend(&node.place, size)?;
            let height = node.height();
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    size,
                    height,
                },
            );
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Node>, Stopped> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Map, Stopped> {
        let mut map = Map::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Content::Scalar(Scalar { text, .. }) = key.content else {
                let message = format!("a key is {}, not a string", key.noun());
                self.report
                    .error(&key.place, "key-not-a-string", message, "write the key as a string");
                continue;
            };
            if text.starts_with("Fn::") {
                self.report.error(
                    &key.place,
                    "deploy-template",
                    format!("`{}` is not resolved", quote(&text)),
                    DEPLOY_REMEDY,
                );
            }
            let entry = Entry {
                key_place: key.place.clone(),
                value,
            };
            if let Err(first) = map.insert(text.clone(), entry) {
                let message = format!("`{}` stands here again, first in line {}", quote(&text), first.line);
                self.report
                    .error(&key.place, "duplicate-key", message, "keep one of the two");
            }
        }
        self.merged(map)
    }

    /// Resolves `<<`, which YAML 1.1 knew and people still write: own names win, then the first mapping that has one.
    fn merged(&mut self, mut map: Map) -> Result<Map, Stopped> {
        let Some(merge) = map.take("<<") else { return Ok(map) };
        let sources = match merge.value.content {
            Content::Sequence(items) => items,
            content @ (Content::Map(_) | Content::Scalar(_)) => vec![Node {
                place: merge.value.place,
                content,
            }],
        };
        for source in sources {
            match source.content {
                Content::Map(other) => map.merge(other),
                Content::Scalar(_) | Content::Sequence(_) => {
                    let message = "`<<` merges mappings, and this is none";
                    self.report.error(
                        &source.place,
                        "merge-not-a-mapping",
                        message,
                        "name the anchor of a mapping",
                    );
                }
            }
        }
        Ok(map)
    }

    fn alias(&mut self, anchor: usize, place: &Place, depth: usize) -> Result<Node, Stopped> {
        let Some(Anchored { node, size, height }) = self.anchors.get(&anchor) else {
            let message = "an alias repeats the value that it stands in";
            self.report.error(
                place,
                "recursive-alias",
                message,
                "an alias must follow the value that it repeats",
            );
            return Err(Stopped);
        };
        let (size, height) = (*size, *height);
        if depth + height > DEPTH_MAX {
            return Err(self.too_deep(place));
        }
        let node = node.clone();
        self.spend(place, size)?;
        Ok(node)
    }

    fn open(&mut self, place: &Place, tag: Option<&Tag>, depth: usize) -> Result<(), Stopped> {
        if depth >= DEPTH_MAX {
            return Err(self.too_deep(place));
        }
        if let Some(tag) = tag {
            tag::check(tag, place, self.report);
        }
        self.spend(place, Size { nodes: 1, bytes: 0 })
    }

    fn spend(&mut self, place: &Place, size: Size) -> Result<(), Stopped> {
        self.spent.nodes += size.nodes;
        self.spent.bytes += size.bytes;
        if self.spent.nodes <= NODES_MAX && self.spent.bytes <= SCALAR_BYTES_MAX {
            return Ok(());
        }
        let message = format!("the document grows beyond {NODES_MAX} values or {SCALAR_BYTES_MAX} bytes of text here");
        let remedy = "use fewer aliases, or split it into several APIs";
        self.report.error(place, "document-too-large", message, remedy);
        Err(Stopped)
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stopped> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Err(self.unexpected(&Place::whole(self.source.clone()))),
        }
    }

    fn syntax(&mut self, error: &ScanError) -> Stopped {
        let place = self.place(*error.marker());
        if *error.kind() == granit_parser::ErrorKind::RecursionLimitExceeded {
            return self.too_deep(&place);
        }
        if *error.kind() == granit_parser::ErrorKind::UnknownAnchor {
            let message = "the alias names no anchor above it";
            self.report.error(
                &place,
                "unknown-alias",
                message,
                "define the anchor (`&name`) before its alias",
            );
        } else {
            let remedy = "check quotes, indentation and brackets here and in the line above";
            self.report.error(&place, "syntax-error", error.info(), remedy);
        }
        Stopped
    }

    fn too_deep(&mut self, place: &Place) -> Stopped {
        let message = format!("mappings and sequences nest deeper than {DEPTH_MAX}");
        self.report.error(
            place,
            "document-too-deep",
            message,
            "move inner parts to `components` and refer to them",
        );
        Stopped
    }

    fn unexpected(&mut self, place: &Place) -> Stopped {
        self.report.error(
            place,
            "syntax-error",
            "a value is missing here",
            "check the lines above",
        );
        Stopped
    }

    fn place(&self, marker: Marker) -> Place {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place::new(
            self.source.clone(),
            narrow(marker.line()),
            narrow(marker.col()).saturating_add(1),
        )
    }
}
