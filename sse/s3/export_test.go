package s3

import "time"

// SetStall changes how long an answer may stand still.
func (s *Store) SetStall(d time.Duration) { s.stall = d }
