//go:build !unix

package main

import "time"

var started = time.Now()

// coreSeconds is the time on the clock, where the system does not say how long cores were busy.
func coreSeconds() float64 { return time.Since(started).Seconds() }
