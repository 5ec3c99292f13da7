package abe

import (
	"fmt"
	"io"
	"log/slog"
)

// Secrets print as one word under every verb, in logs and in JSON; ExposeSecret is the one way out. Key and Authority keep
// their parts behind a pointer, so that a struct of the caller's with one of them in an unexported field, where fmt cannot
// call methods, prints an address at most.

const redacted = "redacted"

// Format prints "redacted" under every verb.
func (Authority) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (Authority) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "redacted", in JSON too. To store the secret use ExposeSecret.
func (Authority) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format prints "redacted" under every verb.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "redacted", in JSON too. To store the key use ExposeSecret.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
