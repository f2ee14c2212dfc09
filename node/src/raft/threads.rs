//! The threads that serve the consensus and nothing else: openraft's core, what it sends and receives, apply.
//!
//! Invariant: nothing runs on them that takes longer the more a client asks for, except to apply an entry; and while a
//! long entry is applied another thread takes over what else was to run on that one.

use std::future::Future;
use std::time::Duration;
use std::{io, thread};

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::JoinError;

/// The core, the state machine, connections.
const THREADS: usize = 3;
/// What is under way when the node is dropped gets this long to come to its next await.
const END: Duration = Duration::from_secs(1);
/// Entries of fewer bytes are applied in less time than it takes to hand a thread's other work over.
const LONG_ENTRY: usize = 16 << 10;

/// Where the consensus runs. Dropping it ends everything there.
pub(crate) struct Threads(Where);

enum Where {
    Own(Option<Runtime>),
    /// In the runtime of whoever starts the node: a simulation has one thread for everything.
    Caller(Handle),
}

impl Threads {
    pub(crate) fn own() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("raft").enable_all().build()?;
        Ok(Threads(Where::Own(Some(runtime))))
    }

    /// Must be called in a runtime.
    pub(crate) fn of_the_caller() -> Self {
        Threads(Where::Caller(Handle::current()))
    }

    pub(crate) fn handle(&self) -> &Handle {
        match &self.0 {
            Where::Own(Some(runtime)) => runtime.handle(),
            Where::Caller(handle) => handle,
            // Invariant: taken out by `drop` only.
            Where::Own(None) => unreachable!("the threads have ended"),
        }
    }

    /// Runs a future there; what it spawns stays there.
    pub(crate) async fn run<F>(&self, future: F) -> Result<F::Output, JoinError>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.handle().spawn(future).await
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Where::Own(runtime) = &mut self.0
            && let Some(runtime) = runtime.take()
        {
            // A runtime must not be ended from inside of one, and the caller may be.
            let ended = thread::Builder::new()
                .name("raft-end".to_owned())
                .spawn(move || runtime.shutdown_timeout(END))
                .map(thread::JoinHandle::join);
            if !matches!(ended, Ok(Ok(()))) {
                tracing::warn!("the threads of the consensus could not be ended in time");
            }
        }
    }
}

/// Does what takes long for `bytes` of input, while another thread takes over the rest of what runs on this one.
pub(super) fn apart<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes >= LONG_ENTRY { aside(work) } else { work() }
}

/// Does something that takes long, or waits, while another thread takes over the rest of what runs on this one.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let many = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if many { tokio::task::block_in_place(work) } else { work() }
}
