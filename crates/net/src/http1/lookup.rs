//! Fields by name, however they are kept: the same rules hold for both kinds of heads.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::fields::Fields;

/// Where fields can be looked up.
pub trait Lookup {
    /// The values of all fields of a name, in order.
    fn values<'f>(&'f self, name: &'f HeaderName) -> impl Iterator<Item = &'f [u8]>;
}

impl Lookup for HeaderMap {
    fn values<'f>(&'f self, name: &'f HeaderName) -> impl Iterator<Item = &'f [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

impl Lookup for Fields {
    fn values<'f>(&'f self, name: &'f HeaderName) -> impl Iterator<Item = &'f [u8]> {
        self.get_all(name.as_str())
    }
}
