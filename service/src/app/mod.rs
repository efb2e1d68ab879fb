//! Use cases, one file per resource: authorise, load, call core, collect changes, commit.
