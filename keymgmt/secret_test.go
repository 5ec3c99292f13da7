package keymgmt

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const canary = "canary-0123456789-canary"

// leaks reports whether out shows the canary, as text, in hex, or as numbers.
func leaks(out string) bool {
	decimal := strings.Trim(fmt.Sprint([]byte(canary[:8])), "[]")
	goHex := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(canary[:8])), "[]byte{"), "}")
	low := strings.ToLower(out)
	return strings.Contains(out, canary[:8]) || strings.Contains(low, hex.EncodeToString([]byte(canary[:8]))) ||
		strings.Contains(out, decimal) || strings.Contains(low, goHex)
}

func TestSecretNeverPrints(t *testing.T) {
	s := NewSecret([]byte(canary))
	require.True(t, leaks(fmt.Sprintf("%v", []byte(canary))))
	require.True(t, leaks(fmt.Sprintf("%#v", []byte(canary))))
	require.True(t, leaks(fmt.Sprintf("%X", []byte(canary))))
	type hidden struct {
		name  string
		value Secret
		ref   *Secret
	}
	type shown struct {
		Value Secret
		Ref   *Secret
	}
	key := Key{Info: Info{Name: "a"}, Secret: s}
	values := []any{s, *s, &s, []*Secret{s}, []Secret{*s}, map[string]*Secret{"k": s}, hidden{"n", *s, s}, &hidden{"n", *s, s}, shown{*s, s}, &shown{*s, s},
		key, &key, [1]Secret{*s}, struct{ any }{s}, s.cell, errors.Join(fmt.Errorf("%v", s))}
	wrapVerb := "with %w" // not for what is no error: then fmt prints by reflection
	for _, v := range values {
		for verb := 'A'; verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "#+", "20", "."} {
				out := fmt.Sprintf("%"+flags+string(verb), v)
				require.False(t, leaks(out), "%%%s%c of %T: %s", flags, verb, v, out)
			}
		}
		require.False(t, leaks(fmt.Sprint(v)+fmt.Sprintln(v)+fmt.Errorf(wrapVerb, v).Error()))
		for _, handler := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var b bytes.Buffer
			slog.New(handler(&b)).Info("m", "k", v)
			require.False(t, leaks(b.String()), b.String())
		}
		if j, err := json.Marshal(v); err == nil {
			require.False(t, leaks(string(j)), string(j))
		}
		if x, err := xml.Marshal(v); err == nil {
			require.False(t, leaks(string(x)), string(x))
		}
		var g bytes.Buffer
		_ = gob.NewEncoder(&g).Encode(v)
		require.False(t, leaks(g.String()))
	}
	require.Equal(t, "redacted", fmt.Sprintf("%v", s))
	require.Equal(t, "redacted", fmt.Sprintf("%#v", *s))
	require.Equal(t, "redacted", s.String())
	j, err := json.Marshal(shown{*s, s})
	require.NoError(t, err)
	require.JSONEq(t, `{"Value":"redacted","Ref":"redacted"}`, string(j))
	require.Error(t, gob.NewEncoder(&bytes.Buffer{}).Encode(s), "a stand-in would be found out too late")
	require.Error(t, json.Unmarshal(j, &shown{}))
	_, err = s.MarshalBinary()
	require.Error(t, err)
	require.Error(t, s.UnmarshalBinary(nil))
	require.Error(t, s.GobDecode(nil))
	require.Error(t, s.UnmarshalText(nil))

	// A dumper that ignores methods and follows every pointer: the failure text of a test.
	var fake failure
	require.Equal(&fake, shown{*s, s}, shown{})
	require.NotEmpty(t, fake.text)
	require.False(t, leaks(fake.text), fake.text)
}

type failure struct{ text string }

func (f *failure) Errorf(format string, args ...any) { f.text += fmt.Sprintf(format, args...) }
func (f *failure) FailNow()                          {}

func TestSecretIsWiped(t *testing.T) {
	s := NewSecret([]byte(canary))
	inside := s.cell().b
	out := s.ExposeSecret()
	require.Equal(t, canary, string(out))
	out[0] = 'X'
	require.Equal(t, canary, string(s.ExposeSecret()), "a copy")
	s.Destroy()
	require.Equal(t, make([]byte, len(canary)), inside)
	require.Nil(t, s.ExposeSecret())
	require.Zero(t, s.Len())
	require.False(t, s.Equal(s))
	_, err := s.Derive(PurposeContent)
	require.ErrorIs(t, err, ErrClosed)
	s.Destroy()
	for _, none := range []*Secret{nil, {}} {
		require.Nil(t, none.ExposeSecret())
		require.Zero(t, none.Len())
		require.False(t, none.Equal(none))
		none.Destroy()
		_, err := none.Derive("x")
		require.ErrorIs(t, err, ErrClosed)
	}
}

func TestGenerateSecret(t *testing.T) {
	a, b := GenerateSecret(32), GenerateSecret(32)
	require.False(t, a.Equal(b)) // wrong once in 2^256 runs
	require.True(t, a.Equal(NewSecret(a.ExposeSecret())))
	require.Panics(t, func() { GenerateSecret(0) })
	require.Panics(t, func() { GenerateSecret(MaxSecretSize + 1) })
}

func TestDerive(t *testing.T) {
	s := NewSecret(bytes.Repeat([]byte{7}, 32))
	seen := map[string]string{}
	for _, c := range []struct {
		purpose string
		context [][]byte
	}{
		{"content", nil}, {"index", nil}, {"content", [][]byte{nil}}, {"content", [][]byte{[]byte("a")}}, {"content", [][]byte{[]byte("ab")}},
		{"content", [][]byte{[]byte("a"), []byte("b")}}, {"content", [][]byte{[]byte("ab"), nil}}, {"conten", [][]byte{[]byte("t")}},
	} {
		k, err := s.Derive(c.purpose, c.context...)
		require.NoError(t, err)
		require.Equal(t, 32, k.Len())
		hexed := hex.EncodeToString(k.ExposeSecret())
		name := fmt.Sprintf("%s %q", c.purpose, c.context)
		require.NotContains(t, seen, hexed, "%s and %s", name, seen[hexed])
		seen[hexed] = name
		again, err := s.Derive(c.purpose, c.context...)
		require.NoError(t, err)
		require.True(t, k.Equal(again))
	}
	for _, bad := range []string{"", "Content", "a b", "a/b", "ä", strings.Repeat("a", 65)} {
		_, err := s.Derive(bad)
		require.Error(t, err, bad)
	}
	_, err := NewSecret(make([]byte, 15)).Derive("content")
	require.Error(t, err)
}
