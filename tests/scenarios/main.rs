//! Scenarios: the real binary, a real broker and real plugins, as a user meets them. Start them with `make test`.

mod tidy;
