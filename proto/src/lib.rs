//! The gRPC API of Linli, generated from `proto/linli`. The `.proto` files are the source and the
//! documentation; this crate holds what is generated from them and nothing else.
//!
//! * [`v1`] (feature `service`): messages, clients and servers of package `linli.v1`.
//! * `plugin_v1` (feature `plugin`): messages between host and connector plugins, prost only.
//! * [`FILE_DESCRIPTOR_SET`] (feature `service`): what reflection serves, comments included.
//!
//! INVARIANT: messages are never logged. Their `Debug` prints names, telephone and identity numbers in clear; domain
//! types redact, so log those.

/// Package `linli.v1`: the API.
#[cfg(feature = "service")]
#[allow(clippy::large_enum_variant, reason = "generated; these messages are decoded, converted and dropped")]
pub mod v1 {
    tonic::include_proto!("linli.v1");
}

/// Package `linli.plugin.v1`: what a host and a connector plugin say to each other.
#[cfg(feature = "plugin")]
#[allow(clippy::large_enum_variant, reason = "generated; these messages are decoded, converted and dropped")]
pub mod plugin_v1 {
    include!(concat!(env!("OUT_DIR"), "/linli.plugin.v1.rs"));
}

/// Package `linli.v1` and everything it imports as an encoded `google.protobuf.FileDescriptorSet`.
#[cfg(feature = "service")]
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/linli.v1.binpb"));

#[cfg(all(test, feature = "service"))]
mod conventions;
