//! The gRPC face: handlers that convert, call and convert. The only module that names generated types.
