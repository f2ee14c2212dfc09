//! Values that a view of the state shares with the state.
//!
//! A view is taken while nothing is applied, so it must cost little: a number per shared value, not its bytes. What an
//! entry changes after that is copied first, once for each view.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that is copied only if it is changed while somebody else holds it. Its bytes are those of the value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Shared(Arc::new(value))
    }
}

impl<T: Clone> Shared<T> {
    /// To change it.
    pub(crate) fn to_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Shared::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_costs_nothing_and_stays_as_it_was() {
        let mut value = Shared::new(vec![1, 2, 3]);
        let clone = value.clone();
        assert!(Arc::ptr_eq(&value.0, &clone.0), "not a byte is copied");
        value.to_mut().push(4);
        assert_eq!((value.len(), clone.len()), (4, 3));
    }

    #[test]
    fn what_nobody_else_holds_is_changed_in_place() {
        let mut value = Shared::new(vec![1, 2, 3]);
        let place = Arc::as_ptr(&value.0);
        value.to_mut()[0] = 5;
        assert_eq!(Arc::as_ptr(&value.0), place);
    }
}
