package s3

import "time"

// SetStall changes how long an answer may stand still.
func (s *Store) SetStall(d time.Duration) { s.stall = d }

// SetPatience changes how long a write that was given up is waited for.
func (s *Store) SetPatience(d time.Duration) { s.patience = d }
