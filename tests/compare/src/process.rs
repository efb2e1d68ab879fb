//! A server under measurement: a process of its own, so that its processor time can be told.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A running server, killed when dropped.
pub struct Server {
    child: Child,
    /// Kept open: a server whose output is closed could end of it.
    output: BufReader<ChildStdout>,
    /// Host and port.
    pub address: String,
    /// The token by which it can be called, where it asks for one.
    pub token: Option<String>,
}

impl Server {
    /// Starts this program with other arguments; the first line it prints is its address, the second one the token by which
    /// it can be called, or nothing.
    pub fn start_self(arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).env("LINLI__LOG__LEVEL", "warn");
        let mut server = Self::start(command)?;
        server.address = server.line("")?;
        server.token = Some(server.line("")?).filter(|token| !token.is_empty());
        Ok(server)
    }

    /// Starts `linli serve` on a new database in `data`.
    pub fn start_linli(program: &str, data: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(program);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "", "--data"]).arg(data);
        std::fs::create_dir_all(data)?;
        command.env("LINLI__LOG__LEVEL", "warn").envs(crate::token::trusted(data)?);
        let mut server = Self::start(command)?;
        server.address = server.line("listening on ")?;
        server.token = Some(server.line("development token: ")?);
        Ok(server)
    }

    fn start(mut command: Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("the server has no output")?);
        Ok(Self { child, output, address: String::new(), token: None })
    }

    /// The rest of the next line that begins so.
    fn line(&mut self, beginning: &str) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        while self.output.read_line(&mut line)? > 0 {
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.trim().to_owned());
            }
            line.clear();
        }
        Err(format!("the server ended without the line `{beginning}…`").into())
    }

    /// Processor time it has used so far; none where the system does not tell.
    pub fn cpu(&self) -> Option<Duration> {
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name in brackets may hold blanks; user and system time are the 12th and 13th after it.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
