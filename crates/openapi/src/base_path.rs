//! The base path, which Amazon's import ignores unless told otherwise.

use crate::{
    document::Located,
    read::Reader,
    report::quote,
    tree::{Map, Node},
};

/// The path of `servers[0].url` or Swagger's `basePath`, with a leading and without a trailing slash.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Located<String>> {
    let swagger = reader
        .root
        .get("basePath")
        .and_then(|node| located(node, node.as_text()?));
    let found = swagger.or_else(|| of_server(reader.root.get("servers")?.as_sequence()?.first()?.as_map()?))?;
    let path = format!("/{}", found.value.trim_matches('/'));
    if path != "/" {
        let message = format!("the base path `{}` is ignored, as Amazon's import does", quote(&path));
        let remedy = "serve the stage with this path as its `mount`, or write it into the paths";
        reader.report.warn(&found.place, "base-path-ignored", message, remedy);
    }
    Some(Located {
        value: path,
        place: found.place,
    })
}

/// The path of a server's URL, its variables replaced by their defaults.
fn of_server(server: &Map) -> Option<Located<String>> {
    let url = server.get("url")?;
    let mut text = url.as_text()?.to_owned();
    let mut place = url.place.clone();
    let variables = server.get("variables").and_then(Node::as_map);
    for (name, variable) in variables.iter().flat_map(|variables| variables.iter()) {
        let Some(default) = variable.value.as_map().and_then(|variable| variable.get("default")) else {
            continue;
        };
        let placeholder = format!("{{{name}}}");
        if let Some(value) = default.as_text().filter(|_| text.contains(&placeholder)) {
            text = text.replacen(&placeholder, value, 1);
            if name == "basePath" {
                place = default.place.clone();
            }
        }
    }
    let behind_scheme = text.split_once("://").map(|(_, rest)| rest);
    let path = match behind_scheme {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => text.as_str(),
    };
    Some(Located {
        value: path.to_owned(),
        place,
    })
}

fn located(node: &Node, text: &str) -> Option<Located<String>> {
    Some(Located {
        value: text.to_owned(),
        place: node.place.clone(),
    })
}
