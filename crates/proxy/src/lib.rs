//! The data plane: the request pipeline over a Snapshot.
