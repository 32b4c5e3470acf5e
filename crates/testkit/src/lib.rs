//! Real components for tests: nginx, origins, a fake clock.
