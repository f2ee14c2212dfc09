//! The runtime that openraft runs on: tokio, with a generator of random numbers that a simulation can seed.
//!
//! Elections are spread by random timeouts. A simulation runs all nodes on one thread and seeds that thread; then the
//! same seed gives the same elections. A thread that nobody seeded draws from the operating system.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::async_runtime::AsyncRuntime;
use openraft_rt_tokio::{TokioInstant, TokioMpsc, TokioMutex, TokioOneshot, TokioRuntime, TokioWatch};
use rand::SeedableRng;
use rand::rngs::SmallRng;

thread_local! {
    static SOURCE: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
}

/// From now on every random number that the consensus draws on this thread follows from `seed`.
pub fn seed_thread(seed: u64) {
    SOURCE.set(Some(SmallRng::seed_from_u64(seed)));
}

/// See the module.
pub(crate) struct NodeRuntime(TokioRuntime);

impl fmt::Debug for NodeRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeRuntime")
    }
}

impl AsyncRuntime for NodeRuntime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = TokioInstant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = TokioMpsc;
    type Watch = TokioWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        let seeded = SOURCE.with_borrow_mut(|source| source.as_mut().map(SmallRng::fork));
        seeded.unwrap_or_else(|| SmallRng::seed_from_u64(rand::random()))
    }

    fn new(threads: usize) -> Self {
        NodeRuntime(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn draw() -> Vec<u64> {
        (0..4).map(|_| NodeRuntime::thread_rng().random()).collect()
    }

    #[test]
    fn a_seed_repeats_itself_on_its_thread() {
        std::thread::spawn(|| {
            let unseeded = draw();
            seed_thread(7);
            let first = draw();
            seed_thread(7);
            assert_eq!(draw(), first);
            seed_thread(8);
            assert_ne!(draw(), first);
            assert_ne!(unseeded, first);
        })
        .join()
        .expect("the drawing thread");
    }
}
