package abe

import (
	"fmt"
	"io"
	"log/slog"
)

// Secrets print as one word under every verb, in logs and in JSON; ExposeSecret is the one way out. In an unexported field of a
// caller's struct fmt cannot call methods and prints what it sees. So Key and Authority keep their parts behind a pointer to
// a pointer, of which fmt prints an address; it would follow a single one under verbs that do not fit pointers. Options and Record are
// plain structs that callers fill: they print as the same word, except in an unexported field of a caller's struct.

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

// Format prints "redacted" under every verb: the companion key and the associated data are for abe alone.
func (Options) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (Options) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "redacted", in JSON too.
func (Options) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format prints "redacted" under every verb: the plaintext is for abe alone.
func (Record) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (Record) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "redacted", in JSON too.
func (Record) MarshalText() ([]byte, error) { return []byte(redacted), nil }
