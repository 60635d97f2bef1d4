//! The settings in effect, for whoever must notice when they change while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use super::Settings;

/// Handle to the settings in effect; clones are the same. What may change live ([`super::is_live`]) is read from here at each
/// use; what was read from a [`Settings`] at the start stays as it was.
#[derive(Clone, Debug, Default)]
pub struct LiveSettings(Arc<RwLock<Arc<Settings>>>);

impl LiveSettings {
    /// These are in effect.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(settings))))
    }

    /// Those in effect now.
    #[must_use]
    pub fn now(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in effect, for all clones at once.
    pub fn replace(&self, settings: Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}
