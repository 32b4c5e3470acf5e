//! Parameter mappings and the URI, log and gateway response templates.
