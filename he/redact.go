package he

import (
	"fmt"
	"io"
	"log/slog"
)

// Keys and exact results print as "redacted" under every verb, in slog and in JSON: they reach logs by mistake more often
// than by attack.
const redacted = "redacted"

// Format prints "redacted" under every verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "redacted", in JSON too. It cannot be read back: ExposeSecret is the encoding.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format prints "redacted" under every verb.
func (r UnreleasedResult) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (r UnreleasedResult) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "redacted", in JSON too.
func (r UnreleasedResult) MarshalText() ([]byte, error) { return []byte(redacted), nil }
