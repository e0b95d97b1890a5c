//! Sockets: those of the system, or with the feature `turmoil` those of a simulated network.

#[cfg(not(feature = "turmoil"))]
pub(super) use real::*;
#[cfg(feature = "turmoil")]
pub(super) use simulated::*;

#[cfg(not(feature = "turmoil"))]
mod real {
    use std::io;
    use std::net::{Shutdown, SocketAddr};

    use socket2::{Domain, Protocol, SockRef, Socket, Type};
    pub use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
    pub use tokio::net::{lookup_host, TcpListener, TcpStream};

    /// Connections that the system completes before we accept them: a whole mesh may come back at
    /// once.
    const BACKLOG: i32 = 512;

    /// A port that is taken, and listened on as soon as there is a runtime.
    pub type BoundSocket = std::net::TcpListener;

    pub fn bind(address: SocketAddr) -> io::Result<BoundSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Lets a restarted process have its port back while old connections fade. On Windows the
        // same option would let two processes listen on one port.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        if address.is_ipv6() && address.ip().is_unspecified() {
            // `::` means both families, as in Node.js, whatever the system's default.
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }

    /// Says that nothing more will be written.
    pub fn shutdown_write(stream: &TcpStream) -> io::Result<()> {
        SockRef::from(stream).shutdown(Shutdown::Write)
    }
}

/// What `real` has, as far as it is used, over turmoil's streams. These are not split, since their
/// halves lack half of tokio's methods.
#[cfg(feature = "turmoil")]
mod simulated {
    use std::future::{poll_fn, Future};
    use std::io::{self, IoSlice};
    use std::net::{IpAddr, SocketAddr};
    use std::pin::{pin, Pin};
    use std::sync::Arc;
    use std::task::{ready, Context, Poll, Waker};

    use futures::FutureExt;
    use parking_lot::Mutex;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    pub type BoundSocket = turmoil::net::TcpListener;

    pub struct TcpListener(turmoil::net::TcpListener);

    #[derive(Clone)]
    pub struct TcpStream(Arc<Mutex<turmoil::net::TcpStream>>);

    pub struct OwnedReadHalf(TcpStream);

    pub struct OwnedWriteHalf(TcpStream);

    /// Numbers only, or the name of a host of the simulation.
    pub async fn lookup_host(
        (host, port): (&str, u16),
    ) -> io::Result<impl Iterator<Item = SocketAddr>> {
        let ip = host.parse::<IpAddr>().unwrap_or_else(|_| turmoil::lookup(host));
        Ok([SocketAddr::new(ip, port)].into_iter())
    }

    /// To be called by a host of the simulation.
    pub fn bind(address: SocketAddr) -> io::Result<BoundSocket> {
        let bound = turmoil::net::TcpListener::bind(address).now_or_never();
        bound.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    pub fn shutdown_write(stream: &TcpStream) -> io::Result<()> {
        let done = stream.poll_with(&mut now(), |stream, context| stream.poll_shutdown(context));
        at_once(done)
    }

    impl TcpListener {
        pub fn from_std(bound: BoundSocket) -> io::Result<Self> {
            Ok(TcpListener(bound))
        }

        pub fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }

        pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
            let (stream, address) = self.0.accept().await?;
            Ok((TcpStream::new(stream), address))
        }
    }

    impl TcpStream {
        fn new(stream: turmoil::net::TcpStream) -> Self {
            TcpStream(Arc::new(Mutex::new(stream)))
        }

        pub async fn connect(address: &SocketAddr) -> io::Result<Self> {
            turmoil::net::TcpStream::connect(*address).await.map(Self::new)
        }

        pub fn set_nodelay(&self, _: bool) -> io::Result<()> {
            Ok(())
        }

        pub fn peer_addr(&self) -> io::Result<SocketAddr> {
            self.0.lock().peer_addr()
        }

        pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
            (OwnedReadHalf(self.clone()), OwnedWriteHalf(self))
        }

        pub async fn readable(&self) -> io::Result<()> {
            let mut byte = [0];
            poll_fn(|context| {
                let mut buffer = ReadBuf::new(&mut byte);
                self.0.lock().poll_peek(context, &mut buffer).map_ok(|_| ())
            })
            .await
        }

        pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
            let mut buffer = ReadBuf::new(buffer);
            let read = self
                .poll_with(&mut now(), |stream, context| stream.poll_read(context, &mut buffer));
            at_once(read)?;
            Ok(buffer.filled().len())
        }

        fn poll_with<R>(
            &self,
            context: &mut Context<'_>,
            poll: impl FnOnce(Pin<&mut turmoil::net::TcpStream>, &mut Context<'_>) -> R,
        ) -> R {
            poll(Pin::new(&mut *self.0.lock()), context)
        }
    }

    impl OwnedWriteHalf {
        pub async fn writable(&self) -> io::Result<()> {
            poll_fn(|context| {
                let stream = self.0 .0.lock();
                let writable = pin!(stream.writable());
                writable.poll(context)
            })
            .await
        }

        pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.0 .0.lock().try_write(bytes)
        }

        pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let pieces: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
            self.try_write(&pieces.concat())
        }
    }

    impl AsRef<TcpStream> for OwnedWriteHalf {
        fn as_ref(&self) -> &TcpStream {
            &self.0
        }
    }

    impl AsyncRead for OwnedReadHalf {
        fn poll_read(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            ready!(self.0.poll_with(context, |stream, context| stream.poll_read(context, buffer)))?;
            Poll::Ready(Ok(()))
        }
    }

    /// Of whom nothing is woken.
    fn now() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn at_once(done: Poll<io::Result<()>>) -> io::Result<()> {
        match done {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
