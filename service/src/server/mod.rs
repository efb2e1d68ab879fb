//! Listeners, layers, limits and shutdown.
