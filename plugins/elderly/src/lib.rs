//! Rules for elders who live alone, in empty nests or at an advanced age.
