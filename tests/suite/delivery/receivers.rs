//! Real receivers beside the server: an HTTPS service with a certificate of its own authority, an SMTP server, a folder.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::SanType;
use serde_json::Value;

use crate::built::Tool;
use crate::tls::{Authority, write_private};

/// The secret that the receivers share with the server.
const SECRET: &str = "a-secret-of-two";

/// A receiver in a process of its own, which ends with it.
pub struct Receiver {
    process: Child,
    folder: PathBuf,
    /// Where it listens, on this machine.
    pub port: u16,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a receiver is started with, so that another one can take its place.
pub struct Place {
    python: PathBuf,
    folder: PathBuf,
    program: &'static str,
    further: &'static [&'static str],
}

impl Place {
    /// A body's own system, in a folder of its own; `None`: there is no Python, which was said.
    pub fn https(folder: &Path) -> Option<Self> {
        let place = Self::of(folder, "https_receiver.py")?;
        place.certified("authority.pem");
        write_private(&folder.join("secret"), SECRET);
        Some(place)
    }

    /// A mail server.
    pub fn smtp(folder: &Path) -> Option<Self> {
        let place = Self::of(folder, "smtp_receiver.py")?;
        place.certified("authority.pem");
        write_private(&folder.join("password"), SECRET);
        std::fs::create_dir_all(folder.join("mails")).unwrap();
        Some(place)
    }

    fn of(folder: &Path, program: &'static str) -> Option<Self> {
        Some(Self { python: Tool::Python.find()?, folder: folder.to_owned(), program, further: &[] })
    }

    /// With further options.
    pub fn with(self, further: &'static [&'static str]) -> Self {
        Self { further, ..self }
    }

    /// Gives it a certificate, of an authority that is written down under this name.
    pub fn certified(&self, authority: &str) {
        std::fs::create_dir_all(&self.folder).unwrap();
        let signer = Authority::new();
        let names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        let (certificate, key) = signer.signs(names, "receiver");
        std::fs::write(self.folder.join(authority), signer.pem()).unwrap();
        std::fs::write(self.folder.join("certificate.pem"), certificate).unwrap();
        write_private(&self.folder.join("key.pem"), &key);
    }

    /// Starts it at a port; 0: a free one.
    pub fn start(&self, port: u16) -> Receiver {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/receivers").join(self.program);
        let at = |name: &str| self.folder.join(name);
        let mut command = Command::new(&self.python);
        command.arg(program).arg("--port").arg(port.to_string());
        command.arg("--certificate").arg(at("certificate.pem")).arg("--key").arg(at("key.pem"));
        command.arg("--faults").arg(at("faults")).args(self.further);
        if self.program == "https_receiver.py" {
            command.arg("--secret-file").arg(at("secret")).arg("--effects").arg(at("effects"));
            command.arg("--acknowledgements").arg(at("acknowledgements")).arg("--roster").arg(at("roster"));
        } else {
            command
                .arg("--mails")
                .arg(at("mails"))
                .arg("--user")
                .arg("linli")
                .arg("--password-file")
                .arg(at("password"));
        }
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let port = first.trim().parse().unwrap_or_else(|_| panic!("the receiver said `{first}`"));
        Receiver { process, folder: self.folder.clone(), port }
    }
}

impl Receiver {
    /// Plays these faults, one a request.
    pub fn suffer(&self, faults: &str) {
        write_whole(&self.folder.join("faults"), faults);
    }

    /// Whether every fault has been played, or begun.
    pub fn suffered(&self) -> bool {
        std::fs::read_to_string(self.folder.join("faults")).is_ok_and(|left| left.trim().is_empty())
    }

    /// What it took in.
    pub fn effects(&self) -> Vec<Value> {
        let lines = std::fs::read_to_string(self.folder.join("effects")).unwrap_or_default();
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The mails that it took, in order.
    pub fn mails(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.join("mails")).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "eml"));
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    /// Keeps a list of these people, each a line of JSON.
    pub fn keep(&self, people: &[Value]) {
        let lines: String = people.iter().map(|person| format!("{person}\n")).collect();
        write_whole(&self.folder.join("roster"), &lines);
    }

    /// Answers polls with these items, each a line of JSON.
    pub fn answer(&self, items: &[Value]) {
        let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
        write_whole(&self.folder.join("acknowledgements"), &lines);
    }
}

fn write_whole(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// A channel to an HTTPS receiver.
pub fn webhook(name: &str, folder: &Path, port: u16, further: &str) -> String {
    format!(
        "[channel.{name}]\nconnector = \"cn.linli.webhook\"\nsettings = {{ url = \"https://127.0.0.1:{port}\" }}\n\
         hosts = [\"127.0.0.1:{port}\"]\nprivate_addresses = true\nca_file = \"{0}/authority.pem\"\n\
         signing_secret_file = \"{0}/secret\"\n{further}\n",
        folder.display()
    )
}

/// A channel to an SMTP receiver.
pub fn mail(name: &str, folder: &Path, port: u16, further: &str) -> String {
    format!(
        "[channel.{name}]\nconnector = \"cn.linli.email\"\nsettings = {{ to = \"office@clinic.example\", language = \"zh\" }}\n\
         run_s = 5\n[channel.{name}.mail]\nrelay = \"127.0.0.1:{port}\"\nca_file = \"{0}/authority.pem\"\nuser = \"linli\"\n\
         password_file = \"{0}/password\"\nsender = \"care@estate.example\"\ndomains = [\"clinic.example\"]\n{further}\n",
        folder.display()
    )
}

/// A channel to a pair of folders, which it makes.
pub fn folder(name: &str, folder: &Path) -> String {
    for part in ["out", "in"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    format!(
        "[channel.{name}]\nconnector = \"cn.linli.file-drop\"\n[channel.{name}.folder]\noutgoing = \"{0}/out\"\n\
         incoming = \"{0}/in\"\n",
        folder.display()
    )
}
