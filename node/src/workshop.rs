//! Work that takes longer the more a client asks for: compiling protocols, computing recovery tables, digests.
//!
//! Invariants
//! * it runs on threads that may block, a few at a time; the rest waits, and what nobody waits for any more is not begun;
//! * the same input is worked on once: whoever asks meanwhile, or asks again after its call was given up, gets that
//!   result, so that retries do not add up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

/// Under way at the same time. One is left out, if there are several, for what must not wait.
fn width() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Results that are kept for whoever asks again.
const KEPT: usize = 4;

/// What was asked for: a hash of all of the input.
pub(crate) type Key = [u8; 32];

/// Does work of one kind. Cheap to clone.
pub(crate) struct Workshop<T> {
    room: Arc<Semaphore>,
    known: Arc<Mutex<Known<T>>>,
}

impl<T> Clone for Workshop<T> {
    fn clone(&self) -> Self {
        Workshop { room: Arc::clone(&self.room), known: Arc::clone(&self.known) }
    }
}

/// What is waiting, under way, or done lately; in the order in which it was asked for.
struct Known<T>(VecDeque<(Key, watch::Receiver<Option<T>>)>);

/// Forgets work that was never begun, because whoever was to begin it has gone.
struct Intention<'a, T: Clone> {
    workshop: &'a Workshop<T>,
    key: Key,
    begun: bool,
}

impl<T: Clone> Drop for Intention<'_, T> {
    fn drop(&mut self) {
        if !self.begun {
            self.workshop.known().0.retain(|(key, _)| *key != self.key);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Workshop<T> {
    /// One that shares its room with others.
    pub(crate) fn new(room: &Room) -> Self {
        Workshop { room: Arc::clone(&room.0), known: Arc::new(Mutex::new(Known(VecDeque::new()))) }
    }

    /// The result of `work` for the input with this key. `None` if the work panicked, or the node is stopping.
    pub(crate) async fn result(&self, key: Key, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let mut work = Some(work);
        loop {
            let (tell, mut told) = match self.ask(key) {
                Ok(told) => (None, told),
                Err((tell, told)) => (Some(tell), told),
            };
            if let Some(tell) = tell {
                let work = work.take()?;
                self.begin(key, tell, work).await?;
            }
            if let Ok(done) = told.wait_for(Option::is_some).await {
                return done.clone();
            }
            // Whoever was to do it has gone before it was begun; or it panicked, and so would this one.
            work.as_ref()?;
        }
    }

    /// Where the result will be; or where to put it, for the first who asks.
    #[expect(clippy::type_complexity, reason = "the two ends of one channel")]
    fn ask(
        &self,
        key: Key,
    ) -> Result<watch::Receiver<Option<T>>, (watch::Sender<Option<T>>, watch::Receiver<Option<T>>)> {
        let mut known = self.known();
        known.forget_old();
        if let Some((_, told)) = known.0.iter().find(|(of, _)| *of == key) {
            return Ok(told.clone());
        }
        let (tell, told) = watch::channel(None);
        known.0.push_back((key, told.clone()));
        Err((tell, told))
    }

    async fn begin(
        &self,
        key: Key,
        tell: watch::Sender<Option<T>>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<()> {
        let mut intention = Intention { workshop: self, key, begun: false };
        let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
        intention.begun = true;
        // Not awaited: it goes on if whoever asked goes away, and the next one finds it.
        drop(spawn_blocking(move || {
            let _room = room;
            tell.send_replace(Some(work()));
        }));
        Some(())
    }
}

impl<T: Clone> Workshop<T> {
    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Known<T> {
    /// Drops the oldest results past the limit, and what ended without one.
    fn forget_old(&mut self) {
        let is_done = |told: &watch::Receiver<Option<T>>| told.borrow().is_some();
        let mut done = self.0.iter().filter(|(_, told)| is_done(told)).count();
        self.0.retain(|(_, told)| {
            if !is_done(told) {
                return told.has_changed().is_ok();
            }
            done -= 1;
            done < KEPT
        });
    }
}

/// How much work of all kinds is under way. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new() -> Self {
        Room(Arc::new(Semaphore::new(width())))
    }

    /// Does something that nobody else will ask for in the same words.
    pub(crate) async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let room = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let work = move || {
            let _room = room;
            work()
        };
        spawn_blocking(work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    fn one_at_a_time() -> Room {
        Room(Arc::new(Semaphore::new(1)))
    }

    #[tokio::test]
    async fn the_same_input_is_worked_on_once() {
        let (workshop, runs) = (Workshop::new(&one_at_a_time()), Arc::new(AtomicUsize::new(0)));
        let ask = |key: u8| {
            let runs = Arc::clone(&runs);
            workshop.result([key; 32], move || {
                runs.fetch_add(1, Ordering::Relaxed);
                key
            })
        };
        assert_eq!(join_all((0..6).map(|_| ask(1))).await, [Some(1); 6]);
        assert_eq!(ask(1).await, Some(1), "and it is kept");
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        assert_eq!(join_all((2..9).map(ask)).await, (2..9).map(Some).collect::<Vec<_>>());
        assert_eq!(ask(1).await, Some(1), "but not for ever");
        assert_eq!(runs.load(Ordering::Relaxed), 9);
    }

    #[tokio::test]
    async fn who_asks_again_finds_the_work_that_it_gave_up() {
        let workshop = Workshop::new(&one_at_a_time());
        let (let_go, held) = mpsc::channel::<()>();
        let first = workshop.result([1; 32], move || held.recv().is_ok());
        assert!(first.now_or_never().is_none(), "it is under way, and its caller has gone");
        let second = workshop.result([1; 32], || unreachable!("it is under way"));
        let_go.send(()).expect("somebody works");
        assert_eq!(second.await, Some(true));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let workshop = Workshop::new(&one_at_a_time());
        let (let_go, held) = mpsc::channel::<()>();
        let first = workshop.result([1; 32], move || held.recv().is_ok());
        assert!(first.now_or_never().is_none());
        let given_up = workshop.result([2; 32], || unreachable!("nobody waits for it"));
        assert!(given_up.now_or_never().is_none());
        let again = workshop.result([2; 32], || false);
        let_go.send(()).expect("somebody works");
        assert_eq!(again.await, Some(false), "whoever asks later does it");
    }

    #[tokio::test]
    async fn one_that_waits_takes_over_from_one_that_goes() {
        let workshop = Workshop::new(&one_at_a_time());
        let (let_go, held) = mpsc::channel::<()>();
        assert!(workshop.result([1; 32], move || held.recv().is_ok()).now_or_never().is_none());
        let mut goes = Box::pin(workshop.result([2; 32], || unreachable!("it goes")));
        assert!(futures::poll!(goes.as_mut()).is_pending());
        let mut waits = Box::pin(workshop.result([2; 32], || true));
        assert!(futures::poll!(waits.as_mut()).is_pending());
        drop(goes);
        let_go.send(()).expect("somebody works");
        assert_eq!(waits.await, Some(true));
    }
}
