//! A real OpenTelemetry collector (`scripts/collector`) that prints every span it gets over gRPC, and what it printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::process::free_port;

/// The program; without it these tests are not run and say so, and with `RUSHMALL_TEST_SERVICES=1` they fail.
const PROGRAM: &str = "RUSHMALL_TEST_COLLECTOR";
const READY_WITHIN: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(2);

/// A collector of its own, on free ports.
pub struct Collector {
    child: Child,
    /// For `telemetry.otlp_endpoint`.
    pub endpoint: String,
    printed: PathBuf,
    _dir: tempfile::TempDir,
}

/// A span as the collector got it.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: String,
    pub start_ns: String,
    pub end_ns: String,
    pub attributes: BTreeMap<String, String>,
}

impl Span {
    fn start_ns(&self) -> u64 {
        self.start_ns.parse().expect("a time")
    }

    fn end_ns(&self) -> u64 {
        self.end_ns.parse().expect("a time")
    }
}

impl Collector {
    /// Starts one and waits until it listens; `None` if there is no program.
    pub async fn start() -> Option<Self> {
        let program = crate::support::services::url_of(PROGRAM)?;
        let dir = tempfile::tempdir().expect("a directory for the collector");
        let (grpc, http) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let printed = dir.path().join("printed");
        let output = File::create(&printed).expect("a file for what it prints");
        let mut child = Command::new(program)
            .args(["start", "--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http, "--exporter", "blackhole"])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .stdin(Stdio::null())
            .stderr(output.try_clone().expect("the same file"))
            .stdout(output)
            .current_dir(dir.path())
            .spawn()
            .expect("the collector runs");
        let until = Instant::now() + READY_WITHIN;
        while TcpStream::connect(&grpc).is_err() {
            let ended = child.try_wait().expect("it is ours");
            assert!(ended.is_none() && Instant::now() < until, "the collector does not listen: {ended:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(Self { child, endpoint: format!("http://{grpc}"), printed, _dir: dir })
    }

    /// All spans, once they are enough and no more come: it gathers them for a moment before it prints them.
    pub async fn spans(&self, are_enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let (until, mut printed, mut quiet_since) = (Instant::now() + READY_WITHIN, String::new(), Instant::now());
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = std::fs::read_to_string(&self.printed).expect("what it printed");
            if now.len() != printed.len() {
                (printed, quiet_since) = (now, Instant::now());
            }
            let is_late = Instant::now() > until;
            if quiet_since.elapsed() < QUIET && !is_late {
                continue;
            }
            let spans = read(&printed);
            if is_late || are_enough(&spans) {
                return spans;
            }
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The spans of the collector's detailed print.
fn read(printed: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for line in printed.lines() {
        if line.starts_with("Span #") {
            spans.push(Span::default());
            continue;
        }
        let Some(span) = spans.last_mut() else { continue };
        if let Some((name, value)) = line.trim().strip_prefix("-> ").and_then(|pair| pair.split_once(": ")) {
            let value = value.split_once('(').and_then(|(_type, value)| value.strip_suffix(')')).unwrap_or(value);
            span.attributes.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.trim();
            let part = match name.trim() {
                "Trace ID" => &mut span.trace,
                "ID" => &mut span.id,
                "Parent ID" => &mut span.parent,
                "Name" => &mut span.name,
                "Kind" => &mut span.kind,
                "Start time" => &mut span.start_ns,
                "End time" => &mut span.end_ns,
                _ => continue,
            };
            // what comes later belongs to its links and events
            if part.is_empty() {
                value.trim_start_matches("SPAN_KIND_").clone_into(part);
            }
        }
    }
    spans
}

/// One trace, as a tree.
pub struct Tree {
    spans: Vec<Span>,
}

impl Tree {
    /// The spans of that trace, by when they began.
    pub fn of(trace: &str, spans: Vec<Span>) -> Self {
        let mut spans: Vec<Span> = spans.into_iter().filter(|span| span.trace == trace).collect();
        spans.sort_by_key(Span::start_ns);
        spans.dedup_by_key(|span| span.id.clone());
        Self { spans }
    }

    /// True if a span whose name begins so is below (at any depth) one whose name begins so.
    pub fn leads(&self, from: &str, to: &str) -> bool {
        self.named(to).any(|span| self.above(span).any(|parent| parent.name.starts_with(from)))
    }

    /// The spans whose name begins so.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.name.starts_with(name))
    }

    fn parent(&self, span: &Span) -> Option<&Span> {
        self.spans.iter().find(|other| other.id == span.parent)
    }

    fn above<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = &'a Span> {
        std::iter::successors(self.parent(span), |span| self.parent(span))
    }

    /// For people.
    pub fn print(&self) -> String {
        let mut text = format!("{} spans\n", self.spans.len());
        for root in self.spans.iter().filter(|span| self.parent(span).is_none()) {
            self.print_below(root, 0, root.start_ns(), &mut text);
        }
        text
    }

    fn print_below(&self, span: &Span, depth: usize, zero_ns: u64, text: &mut String) {
        const SHOWN: [&str; 8] =
            ["method", "route", "status", "user_id", "product_id", "order_no", "operation", "commit_no"];
        let ms = |ns: u64| ns as f64 / 1e6;
        let shown = SHOWN.iter().filter_map(|name| Some(format!(" {name}={}", span.attributes.get(*name)?)));
        let (at, took) =
            (ms(span.start_ns().saturating_sub(zero_ns)), ms(span.end_ns().saturating_sub(span.start_ns())));
        let (indent, shown): (String, String) = ("  ".repeat(depth), shown.collect());
        let _ = writeln!(text, "{at:>9.2} ms {took:>8.2} ms  {indent}{} [{}]{shown}", span.name, span.kind);
        for below in self.spans.iter().filter(|other| other.parent == span.id) {
            self.print_below(below, depth + 1, zero_ns, text);
        }
    }
}
