//! Care groups, service standards and obligations: the pure domain of Linli.
