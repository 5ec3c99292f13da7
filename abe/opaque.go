package abe

import (
	"fmt"
	"io"
	"log/slog"
)

// opaque is embedded in the secrets of mediated decryption and of issuers, and gives them what redact.go gives to keys. They too keep
// their parts behind a pointer to a pointer.
type opaque struct{}

// Format prints "redacted" under every verb.
func (opaque) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (opaque) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "redacted", in JSON too. To store the secret use ExposeSecret.
func (opaque) MarshalText() ([]byte, error) { return []byte(redacted), nil }
