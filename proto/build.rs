//! Generates the Rust code and the descriptor set from `linli/**/*.proto`, without a system `protoc`.

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

/// Folders of the packages, under the crate's root.
const API: &str = "linli/v1";
const PLUGIN: &str = "linli/plugin/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    if env::var_os("CARGO_FEATURE_SERVICE").is_some() {
        let set = compile(API)?;
        fs::write(out.join("linli.v1.binpb"), &set.encoded)?;
        tonic_prost_build::configure().compile_fds(set.files)?;
    }
    if env::var_os("CARGO_FEATURE_PLUGIN").is_some() {
        // Messages only: plugin authors need neither tonic nor the well-known types.
        tonic_prost_build::configure()
            .build_client(false)
            .build_server(false)
            .compile_fds(compile(PLUGIN)?.files)?;
    }
    Ok(())
}

/// A compiled package with everything it imports.
struct Compiled {
    files: prost_types::FileDescriptorSet,
    /// The same in protobuf, with comments, so that reflection shows them.
    encoded: Vec<u8>,
}

fn compile(package: &str) -> Result<Compiled, Box<dyn Error>> {
    println!("cargo:rerun-if-changed={package}");
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    for file in proto_files(package)? {
        println!("cargo:rerun-if-changed={}", file.display());
        compiler.open_file(&file)?;
    }
    Ok(Compiled { files: compiler.file_descriptor_set(), encoded: compiler.encode_file_descriptor_set() })
}

/// The proto files of one package, sorted, so that the output is the same everywhere.
fn proto_files(package: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(Path::new(package))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
