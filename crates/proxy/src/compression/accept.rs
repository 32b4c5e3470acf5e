//! Which coding a client wants (RFC 9110 section 12.5.3), by Amazon's rule: the one that it prefers, if it is known here, else
//! none.

use http::{HeaderMap, header};

/// A coding that answers are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 1952.
    Gzip,
    /// The zlib format, RFC 1950.
    Deflate,
}

// === impl Coding ===

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// `Some(None)` is `identity`, `None` a coding that is not known here.
    fn parse(name: &str) -> Option<Option<Self>> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("gzip") || is("x-gzip") {
            Some(Some(Self::Gzip))
        } else if is("deflate") {
            Some(Some(Self::Deflate))
        } else {
            is("identity").then_some(None)
        }
    }
}

/// The coding to compress with; `None` for none. Of several that are wanted most, the first that is known counts; `*` asks for
/// none in particular, so it gets none.
pub(super) fn coding(headers: &HeaderMap) -> Option<Coding> {
    let fields = headers.get_all(header::ACCEPT_ENCODING).iter();
    let elements = fields
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut most = 0;
    let mut chosen = None;
    for element in elements {
        let (name, weight) = element.split_once(';').unwrap_or((element, "q=1"));
        let Some(weight) = weight_of(weight).filter(|weight| *weight > 0) else {
            continue;
        };
        if weight > most {
            most = weight;
            chosen = Coding::parse(name.trim());
        } else if weight == most && chosen.is_none() {
            chosen = Coding::parse(name.trim());
        }
    }
    chosen.flatten()
}

/// In thousandths (RFC 9110 section 12.4.2); `None` when it is malformed.
fn weight_of(parameter: &str) -> Option<u16> {
    let value = parameter.trim().strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().map(|byte| u16::from(byte - b'0'));
    let thousandths: u16 = digits.zip([100, 10, 1]).map(|(digit, worth)| digit * worth).sum();
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_coding_that_is_wanted_most_counts() {
        const GZIP: Option<Coding> = Some(Coding::Gzip);
        const DEFLATE: Option<Coding> = Some(Coding::Deflate);
        for (accepted, expected) in [
            (&["gzip"][..], GZIP),
            (&["GZIP"], GZIP),
            (&["x-gzip"], GZIP),
            (&["deflate"], DEFLATE),
            (&["gzip, deflate, br, zstd"], GZIP), // browsers
            (&["br, gzip"], GZIP),
            (&["deflate, gzip"], DEFLATE),
            (&["deflate", "gzip;q=1.000"], DEFLATE),
            (&["deflate;q=0.5, gzip;q=0.501"], GZIP),
            (&["deflate;q=0.5,gzip ; q=0.5"], DEFLATE),
            (&["br;q=1, gzip;q=0.9"], None), // what is wanted most is not known
            (&["*"], None),
            (&["*;q=1, gzip;q=0.5"], None),
            (&["identity, gzip;q=0.5"], None),
            (&["identity, gzip"], None),
            (&["identity;q=0.5, gzip"], GZIP),
            (&["gzip;q=0"], None),
            (&["gzip;q=0, deflate;q=0.001"], DEFLATE),
            (&["gzip;q=2, deflate"], DEFLATE),
            (&["gzip;q=0.5555"], None),
            (&["gzip;q=1.001"], None),
            (&["gzip;q=-1", "gzip;level=9"], None),
            (&["gzipp"], None),
            (&["", ",", ";q=1"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in accepted {
                headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(coding(&headers), expected, "{accepted:?}");
        }
    }
}
