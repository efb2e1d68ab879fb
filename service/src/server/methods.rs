//! What the server knows of each method from the descriptors: names for figures, streams for deadlines.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Every method that is served.
#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<String, usize>,
    methods: Vec<Method>,
    services: Vec<String>,
}

/// One method.
#[derive(Debug)]
pub(super) struct Method {
    /// `linli.v1.SiteService/GetSite`.
    pub(super) name: String,
    /// What streams.
    pub(super) streams: Streams,
    /// Whether it needs no credentials: health and reflection.
    pub(super) open: bool,
}

/// What streams in a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// One message each way.
    Nothing,
    /// Many messages from the client, one answer.
    Requests,
    /// Many answers, for as long as both like.
    Answers,
}

/// The packages that need no credentials: they hold no data.
const OPEN_PACKAGES: &[&str] = &["grpc.health.v1.", "grpc.reflection."];

/// Whether a service needs no credentials.
pub(super) fn is_open(service: &str) -> bool {
    OPEN_PACKAGES.iter().any(|package| service.starts_with(package))
}

impl Methods {
    /// From encoded descriptor sets; one that does not decode adds nothing.
    pub(super) fn new(descriptors: &[&[u8]]) -> Self {
        let mut services = Vec::new();
        let mut methods = Vec::new();
        let files = descriptors.iter().filter_map(|set| FileDescriptorSet::decode(*set).ok());
        for file in files.flat_map(|set| set.file) {
            for service in &file.service {
                let service_name = format!("{}.{}", file.package(), service.name());
                let open = is_open(&service_name);
                for method in &service.method {
                    let streams = match (method.client_streaming(), method.server_streaming()) {
                        (_, true) => Streams::Answers,
                        (true, false) => Streams::Requests,
                        (false, false) => Streams::Nothing,
                    };
                    methods.push(Method { name: format!("{service_name}/{}", method.name()), streams, open });
                }
                services.push(service_name);
            }
        }
        let by_path = methods.iter().enumerate().map(|(index, method)| (format!("/{}", method.name), index));
        let by_path = by_path.collect();
        // Names that clients make up share one row: they must not fill the memory.
        methods.push(Method { name: "unknown".into(), streams: Streams::Nothing, open: false });
        Self { by_path, methods, services }
    }

    /// The index of the method of a path, that of `unknown` where there is none.
    pub(super) fn index_of(&self, path: &str) -> usize {
        self.by_path.get(path).copied().unwrap_or(self.methods.len() - 1)
    }

    /// The method of an index.
    pub(super) fn get(&self, index: usize) -> Option<&Method> {
        self.methods.get(index)
    }

    /// All of them, `unknown` being the last.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Method> {
        self.methods.iter()
    }

    /// The names of the services.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_from_descriptors() {
        let methods = Methods::new(&[
            crate::grpc::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            b"not a descriptor set",
        ]);
        let check = |path: &str, expect: (&str, Streams, bool)| {
            let method = methods.get(methods.index_of(path)).unwrap();
            assert_eq!((method.name.as_str(), method.streams, method.open), expect, "{path}");
        };
        check("/linli.v1.SiteService/GetSite", ("linli.v1.SiteService/GetSite", Streams::Nothing, false));
        check("/grpc.health.v1.Health/Check", ("grpc.health.v1.Health/Check", Streams::Nothing, true));
        check("/grpc.health.v1.Health/Watch", ("grpc.health.v1.Health/Watch", Streams::Answers, true));
        check("/grpc.health.v1.Health/Nothing", ("unknown", Streams::Nothing, false));
        check("", ("unknown", Streams::Nothing, false));
        assert!(methods.services().any(|name| name == "linli.v1.SiteService"));
    }
}
