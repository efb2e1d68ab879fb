//! Principals, the authorisation table and the permit.
