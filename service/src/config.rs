//! Configuration: one TOML file whose embedded default documents every key.
