package agerecipient

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/internal/wire"
)

// What was ever encrypted stays readable, and what was refused stays refused: the files in testdata/vectors/v1 are never changed, only added to.
// -write-vectors makes those that are missing.
var writeVectors = flag.Bool("write-vectors", false, "write the vector files that do not exist")

const vectorFiles = 28

// Outcomes of a vector.
const (
	success        = "success"
	noMatch        = "no match"        // age tries the next identity
	formatFailure  = "format failure"  // the stanza or the text has not the right form
	payloadFailure = "payload failure" // the stanza does not open, or the file after it
)

// vector is one case: a file with an identity, or one of the texts.
type vector struct {
	Comment    string
	Outcome    string
	Recipient  string `json:",omitempty"`
	Policy     string `json:",omitempty"` // of the recipient
	Identity   string `json:",omitempty"`
	Attributes string `json:",omitempty"` // of the identity
	File       string `json:",omitempty"` // base64
	Associated string `json:",omitempty"`
	Plaintext  string `json:",omitempty"`
}

func (v vector) outcome(t *testing.T) string {
	class := func(err error) string {
		switch {
		case errors.Is(err, age.ErrIncorrectIdentity):
			return noMatch
		case errors.Is(err, abe.ErrFormat):
			return formatFailure
		}
		return payloadFailure
	}
	if v.Recipient != "" {
		r, err := ParseRecipient(v.Recipient, nil)
		if err != nil {
			return class(err)
		}
		require.Equal(t, v.Policy, r.Policy().String())
		require.Equal(t, v.Recipient, r.String())
		return success
	}
	i, err := ParseIdentity(v.Identity, &abe.Options{AssociatedData: []byte(v.Associated)})
	if err != nil {
		return class(err)
	}
	require.Equal(t, v.Identity, i.ExposeSecret())
	if v.File == "" {
		require.Equal(t, v.Attributes, fmt.Sprint(i.Key().Attributes()))
		return success
	}
	file, err := base64.StdEncoding.DecodeString(v.File)
	require.NoError(t, err)
	r, err := age.Decrypt(bytes.NewReader(file), i)
	if err != nil {
		return class(err)
	}
	plaintext, err := io.ReadAll(r)
	if err != nil {
		return class(err)
	}
	require.Equal(t, v.Plaintext, string(plaintext))
	return success
}

func TestVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors", "v1")
	if *writeVectors {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for name, v := range makeVectors(t) {
			b, err := json.MarshalIndent(v, "", "\t")
			require.NoError(t, err)
			f, err := os.OpenFile(filepath.Join(dir, name+".json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if errors.Is(err, os.ErrExist) {
				continue
			}
			require.NoError(t, err)
			_, err = f.Write(append(b, '\n'))
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, vectorFiles)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".json"), func(t *testing.T) {
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			var v vector
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields()
			require.NoError(t, d.Decode(&v))
			require.Equal(t, v.Outcome, v.outcome(t), v.Comment)
		})
	}
}

// makeVectors makes the cases under fresh keys.
func makeVectors(t *testing.T) map[string]vector {
	vocabulary, err := abe.ParseVocabulary("grade: number 0..9\nrole: one of doctor, nurse\n")
	require.NoError(t, err)
	a, err := abe.GenerateAuthority(abe.FABEO, vocabulary)
	require.NoError(t, err)
	key := func(a *abe.Authority, window abe.Window, attributes ...abe.Attribute) *Identity {
		k, err := a.IssueKey(window, attributes...)
		require.NoError(t, err)
		i, err := NewIdentity(k, nil)
		require.NoError(t, err)
		return i
	}
	day := abe.Day(20_800)
	always := abe.Window{First: 0, Last: abe.LastDay}
	role := func(value string) abe.Attribute { return abe.Attribute{Name: "role", Value: value} }
	grade := func(value string) abe.Attribute { return abe.Attribute{Name: "grade", Value: value, Kind: abe.Number} }
	doctor := key(a, always, role("doctor"), grade("5"))
	nurse := key(a, always, role("nurse"), grade("2"))
	former := key(a, abe.Window{First: 0, Last: day - 1}, role("doctor"), grade("5"))
	stranger := key(generate(t), always, abe.Attribute{Name: "role", Value: "doctor"})
	const policyText = "role = doctor or (role = nurse and grade >= 3)"
	r := recipient(t, a, policyText, &abe.Options{Day: day})
	bound := recipient(t, a, policyText, &abe.Options{Day: day, AssociatedData: []byte("patient 17")})
	file := func(rs ...age.Recipient) string {
		return base64.StdEncoding.EncodeToString(encrypt(t, "120/80", rs...))
	}
	native, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	whole := file(r)
	raw, err := base64.StdEncoding.DecodeString(whole)
	require.NoError(t, err)
	secret := doctor.ExposeSecret()

	all := map[string]vector{}
	add := func(name, comment, outcome string, v vector) {
		require.NotContains(t, all, name)
		v.Comment, v.Outcome = comment, outcome
		all[name] = v
	}
	add("file", "a file that opens", success, vector{Identity: secret, File: whole, Plaintext: "120/80"})
	add("file-associated", "associated data besides the purpose", success, vector{Identity: secret, File: file(bound), Associated: "patient 17", Plaintext: "120/80"})
	add("file-beside", "a stanza of another type beside ours, of a client without labels", success, vector{Identity: secret, File: file(unlabelled{r}, native.Recipient()), Plaintext: "120/80"})
	add("file-policy", "the key does not satisfy the policy", noMatch, vector{Identity: nurse.ExposeSecret(), File: whole})
	add("file-window", "the day of the file is after the key's window", noMatch, vector{Identity: former.ExposeSecret(), File: whole})
	add("file-authority", "a key of another authority", noMatch, vector{Identity: stranger.ExposeSecret(), File: whole})
	add("file-native", "no stanza of ours", noMatch, vector{Identity: secret, File: file(native.Recipient())})
	add("file-wrong-associated", "other associated data", payloadFailure, vector{Identity: secret, File: file(bound), Associated: "patient 18"})
	add("file-no-associated", "associated data left out", payloadFailure, vector{Identity: secret, File: file(bound)})
	add("file-payload", "a byte of the payload changed", payloadFailure, vector{Identity: secret, File: base64.StdEncoding.EncodeToString(append(raw[:len(raw)-1:len(raw)-1], raw[len(raw)-1]^1))})
	add("file-cut", "the last byte cut off", payloadFailure, vector{Identity: secret, File: base64.StdEncoding.EncodeToString(raw[:len(raw)-1])})
	add("file-two", "two stanzas of ours", formatFailure, vector{Identity: secret, File: file(unlabelled{r}, unlabelled{r})})

	stanzas, err := r.Wrap([]byte("0123456789abcdef"))
	require.NoError(t, err)
	body := stanzas[0].Body
	h, err := abe.Inspect(body)
	require.NoError(t, err)
	forge := func(args []string, body []byte) string {
		return file(forged{&age.Stanza{Type: stanzaType, Args: args, Body: body}})
	}
	seal := func(fileKey, associated string) []byte {
		sealed, err := a.Params().Seal(r.Policy(), []byte(fileKey), &abe.Options{AssociatedData: []byte(associated), Day: day})
		require.NoError(t, err)
		return sealed
	}
	flipped := func(n int) []byte {
		b := bytes.Clone(body)
		b[n] ^= 1
		return b
	}
	add("stanza-argument", "an argument", formatFailure, vector{Identity: secret, File: forge([]string{"1"}, body)})
	add("stanza-trailing", "a byte after the object", formatFailure, vector{Identity: secret, File: forge(nil, append(bytes.Clone(body), 0))})
	add("stanza-cut", "the last byte of the object missing", formatFailure, vector{Identity: secret, File: forge(nil, body[:len(body)-1])})
	add("stanza-empty", "no object", formatFailure, vector{Identity: secret, File: forge(nil, nil)})
	add("stanza-long-key", "a file key of 17 bytes", formatFailure, vector{Identity: secret, File: forge(nil, seal("0123456789abcdefg", purpose))})
	add("stanza-purpose", "an object that was sealed for something else", payloadFailure, vector{Identity: secret, File: forge(nil, seal("0123456789abcdef", ""))})
	add("stanza-body", "a bit of the last ct3 changed", payloadFailure, vector{Identity: secret, File: forge(nil, flipped(h.Size-4-80-48+47))})
	add("stanza-tail", "a bit of the commitment changed", payloadFailure, vector{Identity: secret, File: forge(nil, flipped(h.Size-1))})
	add("stanza-other-key", "a sound stanza of another file: the MAC of the header fails", payloadFailure, vector{Identity: secret, File: forge(nil, body)})

	add("recipient", "a recipient", success, vector{Recipient: r.String(), Policy: policyText})
	text := func(parts ...[]byte) string { return plugin.EncodeRecipient(Name, bytes.Join(parts, nil)) }
	prefix, params := r.bytes()[:wire.HeaderSize], wire.AppendBytes(nil, a.Params().Bytes())
	add("recipient-canonical", "a policy with needless parentheses", formatFailure, vector{Recipient: text(prefix, params, wire.AppendString(nil, "(role = doctor)"))})
	add("recipient-vocabulary", "a policy that the vocabulary does not allow", formatFailure, vector{Recipient: text(prefix, params, wire.AppendString(nil, "age >= 3"))})
	add("recipient-trailing", "a byte after the policy", formatFailure, vector{Recipient: text(r.bytes(), []byte{0})})
	add("recipient-upper", "upper case", formatFailure, vector{Recipient: strings.ToUpper(r.String())})
	add("identity", "an identity", success, vector{Identity: secret, Attributes: fmt.Sprint(doctor.Key().Attributes())})
	add("identity-lower", "lower case", formatFailure, vector{Identity: strings.ToLower(secret)})
	return all
}

// forged is a recipient that writes the stanza it was given.
type forged struct{ s *age.Stanza }

func (f forged) Wrap([]byte) ([]*age.Stanza, error) { return []*age.Stanza{f.s}, nil }
