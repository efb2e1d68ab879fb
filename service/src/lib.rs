//! The gRPC service of Linli.
