//! The gRPC API of Linli, generated from proto/linli.
