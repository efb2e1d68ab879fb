//! Reading rosters as estates keep them.
