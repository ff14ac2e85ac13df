//! A server on a loopback port that does what a test says, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A connection that nobody ends is given up after this time, so that no test hangs on its mock.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Mock {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the server saw.
#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(crate) connections: usize,
    pub(crate) requests: Vec<Seen>,
    /// Connections whose other end was closed while the server still held its own.
    pub(crate) closed_by_client: usize,
}

#[derive(Clone)]
pub(crate) struct Seen {
    /// `POST /v1/chat/completions HTTP/1.1`
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Mock {
    /// Serves each connection with `script`, which is told how many came before it.
    pub(crate) fn start(script: impl Fn(&mut Conn, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let script = Arc::new(script);
        let (shared, stopped) = (Arc::clone(&log), Arc::clone(&stop));
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (script, log) = (Arc::clone(&script), Arc::clone(&shared));
                let Ok(stream) = stream else { return };
                let index = {
                    let mut log = log.lock().unwrap();
                    log.connections += 1;
                    log.connections - 1
                };
                std::thread::spawn(move || {
                    let mut conn = Conn::new(stream, log);
                    script(&mut conn, index);
                });
            }
        });
        Self {
            address,
            log,
            stop,
            acceptor: Some(acceptor),
        }
    }

    /// Reads a request, sends these bytes, closes; again and again.
    pub(crate) fn sending(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::start(move |conn, _| {
            if conn.read_request().is_some() {
                conn.send(&reply);
            }
        })
    }

    /// Answers by path, keeping the connection.
    pub(crate) fn answering(
        answer: impl Fn(&Seen) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |conn, _| {
            while let Some(seen) = conn.read_request() {
                let Some(reply) = answer(&seen) else { return };
                conn.send(&reply);
            }
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn log(&self) -> Log {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log is as asked for.
    pub(crate) fn wait_for(&self, what: impl Fn(&Log) -> bool) {
        let start = std::time::Instant::now();
        while !what(&self.log()) {
            assert!(start.elapsed() < PATIENCE, "the server never saw it");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the acceptor up.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }
}

pub(crate) struct Conn {
    stream: BufReader<TcpStream>,
    log: Arc<Mutex<Log>>,
}

impl Conn {
    fn new(stream: TcpStream, log: Arc<Mutex<Log>>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
            log,
        }
    }

    /// A whole request, or nothing if the other end closed.
    pub(crate) fn read_request(&mut self) -> Option<Seen> {
        let line = self.line()?;
        let headers: Vec<String> = std::iter::from_fn(|| self.line())
            .take_while(|line| !line.is_empty())
            .collect();
        let length = headers
            .iter()
            .find_map(|header| header.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).ok()?;
        let seen = Seen {
            line,
            headers,
            body,
        };
        self.log.lock().unwrap().requests.push(seen.clone());
        Some(seen)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }

    /// Sends; false if the other end is gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = self.stream.get_mut().write_all(bytes).is_ok();
        if !sent {
            self.log.lock().unwrap().closed_by_client += 1;
        }
        sent
    }

    /// Waits until the other end closes, whatever it sends before.
    pub(crate) fn wait_closed(&mut self) {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // An end, or a reset.
                Ok(0) | Err(_) => break,
            }
        }
        self.log.lock().unwrap().closed_by_client += 1;
    }

    /// Makes the close that follows a reset (RST) instead of an orderly end.
    pub(crate) fn reset_on_close(&self) {
        socket2::SockRef::from(self.stream.get_ref())
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}
