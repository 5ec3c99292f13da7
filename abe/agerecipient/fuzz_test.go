package agerecipient

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/abe"
)

func readVector(t testing.TB, name string) (v vector) {
	b, err := os.ReadFile(filepath.Join("testdata", "vectors", "v1", name+".json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

// FuzzParseRecipient decodes bytes as a recipient: what is accepted is the one form of what it says.
func FuzzParseRecipient(f *testing.F) {
	_, data, err := plugin.ParseRecipient(readVector(f, "recipient").Recipient)
	require.NoError(f, err)
	f.Add(data)
	f.Add(data[:len(data)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		text := plugin.EncodeRecipient(Name, data)
		r, err := ParseRecipient(text, nil)
		if err != nil {
			require.ErrorIs(t, err, abe.ErrFormat)
			return
		}
		require.Equal(t, text, r.String())
		require.Equal(t, data, r.bytes())
	})
}

// FuzzUnwrap unwraps stanzas: no body but that of the vector gives a file key, whatever is changed.
func FuzzUnwrap(f *testing.F) {
	v := readVector(f, "file")
	reader, err := ParseIdentity(v.Identity, nil)
	require.NoError(f, err)
	file, err := base64.StdEncoding.DecodeString(v.File)
	require.NoError(f, err)
	var catch catching
	_, err = age.Decrypt(bytes.NewReader(file), &catch)
	require.ErrorIs(f, err, age.ErrIncorrectIdentity)
	body := catch.stanzas[0].Body
	whole, err := reader.Unwrap(catch.stanzas)
	require.NoError(f, err)
	f.Add(stanzaType, "", body)
	f.Add(stanzaType, "1", body)
	f.Add("X25519", "", body)
	f.Add(stanzaType, "", body[:100])
	f.Fuzz(func(t *testing.T, name, argument string, b []byte) {
		s := &age.Stanza{Type: name, Body: b}
		if argument != "" {
			s.Args = []string{argument}
		}
		fileKey, err := reader.Unwrap([]*age.Stanza{s})
		switch {
		case err == nil:
			require.Equal(t, body, b)
			require.Equal(t, whole, fileKey)
		case name != stanzaType:
			require.ErrorIs(t, err, age.ErrIncorrectIdentity)
		default:
			require.Nil(t, fileKey)
			require.True(t, errors.Is(err, abe.ErrDecrypt) || errors.Is(err, abe.ErrFormat), "%v", err)
		}
	})
}

// catching is an identity that keeps the stanzas it is shown.
type catching struct{ stanzas []*age.Stanza }

func (c *catching) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	c.stanzas = stanzas
	return nil, age.ErrIncorrectIdentity
}
