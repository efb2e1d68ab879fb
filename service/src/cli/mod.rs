//! The subcommands of `linli`.
