//! `access_log`: where the requests of a stage are logged, and what a line says.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use portcullis_core::Place;
use portcullis_openapi::document::Located;
use portcullis_telemetry::access_log::{Every, Rotation};

use super::{Api, report::Report, section::Section};
use crate::report::did_you_mean;

/// The formats that have a name.
const FORMATS: [&str; 4] = ["clf", "csv", "json", "xml"];

/// `access_log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessLog {
    /// Where the lines go (default standard output).
    pub(crate) destination: Located<Destination>,
    /// What a line says (default CLF).
    pub(crate) format: Located<Format>,
    /// When its file is rotated.
    pub(crate) rotation: Option<Rotation>,
}

/// Where the lines of an access log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// `file:PATH`, appended to.
    File(PathBuf),
    /// `off`.
    Off,
    /// `stderr`.
    Stderr,
    /// `stdout`.
    Stdout,
}

/// What a line of an access log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `clf`: the common log format.
    Clf,
    /// `csv`: the columns of the common log format (RFC 4180).
    Csv,
    /// `json`: one object per line.
    Json,
    /// A template of `$context` variables.
    Template(String),
    /// `xml`: one element per line.
    Xml,
}

// === impl Destination and Format ===

impl Destination {
    /// Reads `stdout`, `stderr`, `off` or `file:PATH`; `resolve` makes a written path the process's own.
    pub(crate) fn parse(text: &str, resolve: impl FnOnce(&str) -> PathBuf) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "stderr" => Some(Self::Stderr),
            "stdout" => Some(Self::Stdout),
            _ => text
                .strip_prefix("file:")
                .filter(|path| !path.is_empty() && !path.contains('\0'))
                .map(|path| Self::File(resolve(path))),
        }
    }
}

impl Format {
    /// Reads `clf`, `csv`, `json`, `xml` or a template, which can be known by its `$context.`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "clf" => Some(Self::Clf),
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "xml" => Some(Self::Xml),
            _ => text.contains("$context.").then(|| Self::Template(text.to_owned())),
        }
    }
}

pub(super) fn read(section: &Section<'_>) -> AccessLog {
    let place = section.place.clone();
    let standard = AccessLog {
        destination: Located {
            value: Destination::Stdout,
            place: place.clone(),
        },
        format: Located {
            value: Format::Clf,
            place,
        },
        rotation: None,
    };
    let Some(table) = section.table("access_log") else {
        return standard;
    };
    let destination = table.text("destination");
    let format = table.text("format");
    let rotate = table.table("rotate");
    let rotation = rotate.as_ref().and_then(read_rotation);
    table.finish();
    let destination =
        destination.and_then(
            |text| match Destination::parse(&text.value, |path| section.report.relative(path)) {
                Some(value) => Some(Located {
                    value,
                    place: text.place,
                }),
                None => {
                    let message = format!("`{}` is not a place for an access log", text.value);
                    table.report.error(
                        &text.place,
                        "bad-destination",
                        message,
                        "write `stdout`, `stderr`, `file:PATH` or `off`",
                    );
                    None
                }
            },
        );
    let format = format.and_then(|text| match Format::parse(&text.value) {
        Some(value) => Some(Located {
            value,
            place: text.place,
        }),
        None => {
            let message = format!("`{}` is neither a format's name nor a template", text.value);
            table
                .report
                .error(&text.place, "bad-format", message, format_remedy(&text.value));
            None
        }
    });
    let destination = destination.unwrap_or(standard.destination);
    if let Some(rotate) = rotate.filter(|_| !matches!(destination.value, Destination::File(_))) {
        let remedy = "write `destination = \"file:PATH\"`, or remove `rotate`";
        rotate
            .report
            .error(&rotate.place, "bad-rotation", "only a file can be rotated", remedy);
    }
    AccessLog {
        destination,
        format: format.unwrap_or(standard.format),
        rotation,
    }
}

fn read_rotation(table: &Section<'_>) -> Option<Rotation> {
    let size = table.integer("size_mb_max", 1..=1_000_000);
    let every = table.text("every");
    let keep = table.integer("keep", 1..=10_000);
    table.finish();
    let report = |place: &Place, message: &str, remedy: &str| {
        table.report.error(place, "bad-rotation", message, remedy);
        None
    };
    let every = match every {
        None => None,
        Some(text) => match text.value.as_str() {
            "day" => Some(Every::Day),
            "hour" => Some(Every::Hour),
            _ => {
                return report(
                    &text.place,
                    "that is no period",
                    "write `every = \"day\"` or `\"hour\"`",
                );
            }
        },
    };
    if every.is_none() && !table.has("size_mb_max") && !table.has("every") {
        let remedy = "add `size_mb_max = 100`, `every = \"day\"`, or both";
        return report(&table.place, "nothing says when the file is rotated", remedy);
    }
    Some(Rotation {
        bytes_max: size.map(|found| found.value * 1024 * 1024),
        every,
        keep: keep.and_then(|found| usize::try_from(found.value).ok()).unwrap_or(10),
    })
}

/// Two stages may share a file; it is then rotated in one way.
pub(super) fn check_rotations(report: &Report<'_>, apis: &[Api]) {
    let mut seen: BTreeMap<&Path, Option<Rotation>> = BTreeMap::new();
    for log in apis.iter().flat_map(|api| &api.stages).map(|stage| &stage.access_log) {
        let Destination::File(path) = &log.destination.value else {
            continue;
        };
        if *seen.entry(path).or_insert(log.rotation) != log.rotation {
            let message = format!("`{}` is rotated in two ways", path.display());
            let remedy = "write the same `rotate` wherever the file is named";
            report.error(&log.destination.place, "bad-rotation", message, remedy);
        }
    }
}

/// What to write instead of a format that is none.
pub(crate) fn format_remedy(written: &str) -> String {
    let nearest = did_you_mean(written, &FORMATS);
    let known = "write `clf`, `csv`, `json`, `xml` or a template with `$context.requestId`";
    if nearest.starts_with("did") {
        format!("{nearest} Or {known}")
    } else {
        known.to_owned()
    }
}
