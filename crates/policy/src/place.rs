//! Places in documents, for errors.

use crate::{PolicyError, error::Fault};

/// A place in the document.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

// === impl Place ===

impl Place<'_> {
    /// A fault that stands here.
    pub(crate) fn error(self, fault: Fault) -> PolicyError {
        let mut pointer = String::new();
        self.write(&mut pointer);
        PolicyError::new(pointer, fault)
    }

    /// RFC 6901 section 3.
    fn write(self, pointer: &mut String) {
        match self {
            Self::Root => {}
            Self::Member(parent, name) => {
                parent.write(pointer);
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
            Self::Item(parent, index) => {
                parent.write(pointer);
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
        }
    }
}
