package s3

import "time"

// SetStall changes how long an answer may stand still.
func (s *Store) SetStall(d time.Duration) { s.stall = d }

// SetPatience changes how long a write that was given up is waited for, and how long what it left is removed.
func (s *Store) SetPatience(linger, undo time.Duration) { s.lingers, s.undoes = linger, undo }
