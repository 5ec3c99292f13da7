package keymgmt

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors are what earlier versions wrote. They are only ever added to: what was sealed stays readable. Bytes are
// in hex.
const vectorFiles = 25

type vector struct {
	About   string            `json:"about"`
	What    string            `json:"what"`    // ring, receipt, derive or keyfile
	Outcome string            `json:"outcome"` // success, damaged, wrong key, rollback or signature
	Kek     string            `json:"kek,omitempty"`
	Phrase  string            `json:"phrase,omitempty"`
	Ring    string            `json:"ring,omitempty"`
	Root    string            `json:"root,omitempty"`
	Bytes   string            `json:"bytes,omitempty"`   // a receipt or key file
	Public  string            `json:"public,omitempty"`  // receipt key
	Secret  string            `json:"secret,omitempty"`  // derive
	Purpose string            `json:"purpose,omitempty"` // derive
	Context []string          `json:"context,omitempty"` // derive
	Expect  map[string]string `json:"expect,omitempty"`  // what comes out; of a ring: secret or state, by name#version
}

var outcomes = map[string]error{"damaged": ErrDamaged, "wrong key": ErrWrongKey, "rollback": ErrRollback, "signature": ErrSignature}

func TestVectors(t *testing.T) {
	paths, err := filepath.Glob("testdata/vectors/v1/*.json")
	require.NoError(t, err)
	require.Len(t, paths, vectorFiles)
	failing := 0
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var v vector
			d := json.NewDecoder(bytes.NewReader(readFile(t, path)))
			d.DisallowUnknownFields()
			require.NoError(t, d.Decode(&v))
			err := v.run(t)
			if v.Outcome == "success" {
				require.NoError(t, err)
				return
			}
			failing++
			want := outcomes[v.Outcome]
			require.NotNil(t, want, v.Outcome)
			require.ErrorIs(t, err, want)
			for class, other := range outcomes {
				require.Equal(t, class == v.Outcome, errors.Is(err, other), "%s: %v", class, err)
			}
		})
	}
	require.Greater(t, failing, len(paths)/2)
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func (v vector) run(t *testing.T) error {
	ctx := context.Background()
	switch v.What {
	case "ring":
		var w Wrapper = &keyFile{kek: NewSecret(unhex(t, v.Kek))}
		if v.Phrase != "" {
			var err error
			w, err = NewPassphrase(NewSecret([]byte(v.Phrase)))
			require.NoError(t, err)
		}
		r, err := OpenKeyring(ctx, put(t, unhex(t, v.Ring), unhex(t, v.Root)), w, Options{})
		if err != nil {
			return err
		}
		got := map[string]string{}
		infos, err := r.List(ctx, "")
		require.NoError(t, err)
		for _, i := range infos {
			name := i.Name + "#" + string(rune('0'+i.Version))
			got[name] = i.State.String()
			if k, err := r.GetVersion(ctx, i.Name, i.Version); err == nil {
				got[name] += " " + hex.EncodeToString(k.Secret.ExposeSecret())
			}
		}
		require.Equal(t, v.Expect, got)
	case "receipt":
		r, err := VerifyReceipt(unhex(t, v.Bytes), ed25519.PublicKey(unhex(t, v.Public)))
		if err != nil {
			return err
		}
		require.Equal(t, v.Expect["name"], r.Name)
		require.Equal(t, v.Expect["at once"], r.AtOnce[0])
		require.Equal(t, v.Expect["by deadline"], r.ByDeadline[0])
	case "derive":
		var parts [][]byte
		for _, c := range v.Context {
			parts = append(parts, unhex(t, c))
		}
		k, err := NewSecret(unhex(t, v.Secret)).Derive(v.Purpose, parts...)
		require.NoError(t, err)
		require.Equal(t, v.Expect["key"], hex.EncodeToString(k.ExposeSecret()))
	case "keyfile":
		path := filepath.Join(t.TempDir(), "kek")
		require.NoError(t, os.WriteFile(path, unhex(t, v.Bytes), 0o600))
		w, err := OpenKeyFile(path)
		if err != nil {
			return err
		}
		require.Equal(t, v.Expect["kek"], hex.EncodeToString(w.(*keyFile).kek.ExposeSecret()))
	default:
		t.Fatalf("vector of unknown kind %q", v.What)
	}
	return nil
}
