package he

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeyRoundTrip(t *testing.T) {
	k := newTestKey(t)
	b := k.ExposeSecret()
	again, err := NewKey(b)
	require.NoError(t, err)
	require.Equal(t, k.ID(), again.ID())
	require.Equal(t, b, again.ExposeSecret())

	c, err := k.EncryptColumn(bmi, []Value{{0, 20}})
	require.NoError(t, err)
	require.Equal(t, int64(100), ask(t, again, c, Sum, nil).ExposeSum())
	require.NotEqual(t, k.ID(), newTestKey(t).ID())
}

func TestDamagedKeysAreRefused(t *testing.T) {
	b := newTestKey(t).ExposeSecret()
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			_, err := NewKey(bad)
			require.ErrorIs(t, err, ErrFormat, "bit %d of byte %d", bit, i)
		}
		_, err := NewKey(b[:i])
		require.ErrorIs(t, err, ErrFormat, "cut at %d", i)
	}
	_, err := NewKey(append(bytes.Clone(b), 0))
	require.ErrorIs(t, err, ErrFormat)
	require.ErrorContains(t, err, "restore it")
}

func TestReservedProfilesAreRefused(t *testing.T) {
	for _, p := range []Profile{0, ProfileWide, 3, 255} {
		_, err := GenerateKey(p)
		require.ErrorContains(t, err, "use ProfileSum", "%v", p)
	}
}

func TestSecretsPrintAsRedacted(t *testing.T) {
	k := newTestKey(t)
	c, err := k.EncryptColumn(bmi, []Value{{0, 45.6}, {1, 33.3}})
	require.NoError(t, err)
	r := ask(t, k, c, Mean, nil)
	for _, secret := range []any{k, *k, r, *r} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%T-%v"} {
			got := fmt.Sprintf(verb, secret, secret)
			require.Contains(t, got, "redacted", verb)
			require.NotContains(t, got, "589", verb) // the sum of the steps above 10
		}
		j, err := json.Marshal(map[string]any{"v": secret})
		require.NoError(t, err)
		require.Equal(t, `{"v":"redacted"}`, string(j))
		for _, handler := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("m", "v", secret)
			require.Contains(t, out.String(), "redacted")
		}
	}
	// Not even where the methods are out of fmt's reach.
	hidden := fmt.Sprintf("%+v %#v %+v %#v", struct{ k Key }{*k}, struct{ k Key }{*k}, struct{ r UnreleasedResult }{*r}, struct{ r UnreleasedResult }{*r})
	hidden = regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(hidden, "address")
	require.NotContains(t, hidden, "589")
	require.NotRegexp(t, "[0-9]", hidden)
}
