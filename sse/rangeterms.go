package sse

// Bounds of every Date field, as DayNumbers: 0001-01-01 and 9999-12-31.
const (
	minDay int64 = -719162
	maxDay int64 = 2932896
)
