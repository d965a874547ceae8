// SPDX-License-Identifier: GPL-2.0

//! The other end of the guest's TCP stream: a network stack that outlives each QEMU.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// Where the guest connects to.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const PORT: u16 = 7000;
const CARD: EthernetAddress = EthernetAddress([0x02, 0, 0, 0, 0, 0x02]);

/// The longest Ethernet frame, without its check sum.
const FRAME: usize = 1514;

/// How long it waits for a frame at most.
const WAIT: Duration = Duration::from_millis(200);

/// What is known of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// The last number that came, and went back.
    pub(crate) last: u64,
    /// What came in place of the next number.
    pub(crate) wrong: Option<String>,
    partial: Vec<u8>,
}

impl Stream {
    /// Takes what came; gives what goes back.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.partial.extend_from_slice(bytes);
        let mut answers = Vec::new();
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            let next = self.last + 1;
            if text.parse() == Ok(next) {
                self.last = next;
                answers.extend(line);
            } else if self.wrong.is_none() {
                self.wrong = Some(format!("{text:?} came in place of {next}"));
            }
        }
        answers
    }
}

/// A running peer, stopped when dropped.
pub(crate) struct Peer {
    stream: Arc<Mutex<Stream>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The port to which QEMU sends frames, and that from which it does.
    ports: (u16, u16),
}

impl Peer {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let (socket, own) = bind()?;
        // QEMU binds this one; it is free now.
        let (other, guest) = bind()?;
        drop(other);
        socket
            .connect((Ipv4Addr::LOCALHOST, guest))
            .context("cannot connect to the guest")?;
        let (stream, stop) = (Arc::default(), Arc::default());
        let (of_thread, stopped) = (Arc::clone(&stream), Arc::clone(&stop));
        let thread = std::thread::spawn(move || serve(&socket, &of_thread, &stopped));
        Ok(Self {
            stream,
            stop,
            thread: Some(thread),
            ports: (own, guest),
        })
    }

    /// QEMU's argument of `-netdev`.
    pub(crate) fn netdev(&self, id: &str) -> String {
        let (own, guest) = self.ports;
        format!("socket,id={id},udp=127.0.0.1:{own},localaddr=127.0.0.1:{guest}")
    }

    /// What is known of the stream now.
    pub(crate) fn stream(&self) -> Stream {
        self.stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn bind() -> Result<(UdpSocket, u16)> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = UdpSocket::bind(any).context("cannot open a UDP port")?;
    let port = socket
        .local_addr()
        .context("a socket without an address")?
        .port();
    Ok((socket, port))
}

fn serve(socket: &UdpSocket, stream: &Mutex<Stream>, stop: &AtomicBool) {
    let mut wire = Wire { socket };
    let mut interface = Interface::new(Config::new(CARD.into()), &mut wire, Instant::now());
    interface.update_ip_addrs(|addresses| {
        // It has room for more than one.
        let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(ADDRESS), 24));
    });
    let mut sockets = SocketSet::new(vec![]);
    let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
    let handle = sockets.add(tcp::Socket::new(buffer(), buffer()));
    while !stop.load(Ordering::Relaxed) {
        let _ = interface.poll(Instant::now(), &mut wire, &mut sockets);
        let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
        let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
        if !socket.is_open() {
            // The port is not zero and the socket is not open, which is all that may be wrong.
            let _ = socket.listen(PORT);
        }
        let mut bytes = [0; 512];
        while let Ok(count @ 1..) = socket.recv_slice(&mut bytes) {
            let answers = stream.take(&bytes[..count]);
            if socket.send_slice(&answers) != Ok(answers.len()) && stream.wrong.is_none() {
                stream.wrong = Some(format!("{} bytes found no room", answers.len()));
            }
        }
        drop(stream);
        let idle = interface.poll_delay(Instant::now(), &sockets);
        let idle = idle.map_or(WAIT, |idle| Duration::from(idle).min(WAIT));
        wait(wire.socket, idle.max(Duration::from_millis(1)));
    }
}

/// Waits for a frame, at most this long.
fn wait(socket: &UdpSocket, limit: Duration) {
    let waiting = socket
        .set_nonblocking(false)
        .and_then(|()| socket.set_read_timeout(Some(limit)));
    if waiting.is_ok() {
        // While no QEMU runs, its port is refused; that is not a reason to hurry.
        match socket.peek(&mut [0; 1]) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                std::thread::sleep(limit);
            }
            _ => {}
        }
    }
}

/// The cable: one frame of Ethernet in each datagram.
struct Wire<'a> {
    socket: &'a UdpSocket,
}

struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

struct Send<'a>(&'a UdpSocket);

impl TxToken for Send<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        // A frame that is lost is sent again by TCP.
        let _ = self.0.send(&frame);
        result
    }
}

impl Device for Wire<'_> {
    type RxToken<'a>
        = Frame
    where
        Self: 'a;
    type TxToken<'a>
        = Send<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Frame, Send<'_>)> {
        self.socket.set_nonblocking(true).ok()?;
        let mut frame = vec![0; FRAME];
        let length = self.socket.recv(&mut frame).ok()?;
        frame.truncate(length);
        Some((Frame(frame), Send(self.socket)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Send<'_>> {
        Some(Send(self.socket))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_come_in_pieces() {
        let mut stream = Stream::default();
        assert_eq!(stream.take(b"1\n2\n3\n4\n5\n6\n7\n8\n9\n1").len(), 18);
        assert_eq!(stream.take(b"0\n11\n"), b"10\n11\n");
        assert_eq!((stream.last, stream.wrong), (11, None));
    }

    #[test]
    fn what_is_lost_or_comes_twice_is_wrong() {
        // A second connection begins with 1.
        for bytes in ["1\n3\n", "1\n1\n", "x\n", "2\n"] {
            let mut stream = Stream::default();
            stream.take(bytes.as_bytes());
            assert!(stream.wrong.is_some(), "{bytes:?}");
        }
    }
}
