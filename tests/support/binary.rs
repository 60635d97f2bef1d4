//! The real binary on one data directory: its environment, its log, and a start of it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

/// How one server is started, each time.
pub struct Binary {
    /// Where its data lies.
    pub data_dir: PathBuf,
    log_path: PathBuf,
    environment: Vec<(String, String)>,
    /// Where it listens; 0: where there is room.
    port: u16,
    survives_full_files: bool,
    has_no_log: bool,
}

impl Binary {
    /// A server that has no settings of its own yet, and prints into a file.
    pub fn on(data_dir: PathBuf, log_path: PathBuf) -> Self {
        Self { data_dir, log_path, environment: Vec::new(), port: 0, survives_full_files: false, has_no_log: false }
    }

    /// An environment variable of every later start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// No such variable at every later start.
    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// Where every later start listens.
    pub fn listen_at(&mut self, port: u16) {
        self.port = port;
    }

    /// A file that may not grow any more is an error of the write from now on, and not the end of the process.
    pub fn survive_full_files(&mut self) {
        self.survives_full_files = true;
    }

    /// No line that a later server logs can be written, as on a disk that is full.
    pub fn fill_log(&mut self) {
        self.has_no_log = true;
    }

    fn program(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_rushmall");
        if !self.survives_full_files {
            return Command::new(binary);
        }
        // what a shell ignores, the program that takes its place ignores too
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", binary]);
        shell
    }

    /// A command of the shop with these settings and data.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program();
        command.args(arguments).arg("--data-dir").arg(&self.data_dir);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a server; it says where it listens once it is open.
    pub fn serve(&self) -> (Child, Receiver<SocketAddr>) {
        let mut child = self
            .command(&["serve", "--port", &self.port.to_string(), "--no-demo"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if self.has_no_log { full() } else { self.log() })
            .spawn()
            .expect("the binary runs");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        (child, self.copy_output(output))
    }

    /// Copies standard output to the log, and finds the address in it.
    fn copy_output(&self, output: BufReader<impl std::io::Read + Send + 'static>) -> Receiver<SocketAddr> {
        let (sender, opened) = mpsc::sync_channel(1);
        let mut log = self.log();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let url = line.split_once("is open at ").and_then(|(_, url)| url.split_once("://"));
                let address = url.map(|(_, rest)| rest.trim().parse());
                if let Some(Ok(address)) = address {
                    let _ = sender.try_send(address); // only the first is waited for
                }
                let _ = writeln!(log, "{line}");
            }
        });
        opened
    }

    /// To print into.
    pub fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(&self.log_path).expect("the log opens")
    }

    /// What all its processes have printed.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log_path).unwrap_or_default()
    }

    /// The last lines of that.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = self.log_text();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// Into which nothing can be written.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("it is there")
}
