package agerecipient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/internal/wire"
)

func generate(t testing.TB) *abe.Authority {
	a, err := abe.GenerateAuthority(abe.FABEO, nil)
	require.NoError(t, err)
	return a
}

func recipient(t testing.TB, a *abe.Authority, text string, opts *abe.Options) *Recipient {
	policy, err := abe.ParsePolicy(text)
	require.NoError(t, err)
	r, err := NewRecipient(a.Params(), policy, opts)
	require.NoError(t, err)
	return r
}

func identity(t testing.TB, a *abe.Authority, opts *abe.Options, attributes ...string) *Identity {
	var all []abe.Attribute
	for _, text := range attributes {
		attribute, err := abe.ParseAttribute(text)
		require.NoError(t, err)
		all = append(all, attribute)
	}
	key, err := a.IssueKey(abe.Window{First: 0, Last: abe.LastDay}, all...)
	require.NoError(t, err)
	i, err := NewIdentity(key, opts)
	require.NoError(t, err)
	return i
}

func encrypt(t testing.TB, plaintext string, recipients ...age.Recipient) []byte {
	var file bytes.Buffer
	w, err := age.Encrypt(&file, recipients...)
	require.NoError(t, err)
	_, err = io.WriteString(w, plaintext)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return file.Bytes()
}

func decrypt(file []byte, identities ...age.Identity) (string, error) {
	r, err := age.Decrypt(bytes.NewReader(file), identities...)
	if err != nil {
		return "", err
	}
	plaintext, err := io.ReadAll(r)
	return string(plaintext), err
}

// Files through age itself: who satisfies the policy reads, armored or not, and whoever does not learns why from the public header.
func TestFiles(t *testing.T) {
	for _, suite := range []abe.Suite{abe.FABEO, abe.TKN20} {
		t.Run(suite.String(), func(t *testing.T) {
			a, err := abe.GenerateAuthority(suite, nil)
			require.NoError(t, err)
			other, err := abe.GenerateAuthority(suite, nil)
			require.NoError(t, err)
			testFiles(t, a, other)
		})
	}
}

func testFiles(t *testing.T, a, other *abe.Authority) {
	r := recipient(t, a, "role = doctor and (dept = cardiology or on-call)", nil)
	doctor := identity(t, a, nil, "role = doctor", "on-call")
	clerk := identity(t, a, nil, "role = clerk", "on-call")
	stranger := identity(t, other, nil, "role = doctor", "on-call")
	native, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	file := encrypt(t, "120/80", r)
	got, err := decrypt(file, doctor)
	require.NoError(t, err)
	require.Equal(t, "120/80", got)
	got, err = decrypt(file, native, stranger, clerk, doctor)
	require.NoError(t, err, "others before it do not stop the one that matches")
	require.Equal(t, "120/80", got)

	for identity, kind := range map[*Identity]abe.DeniedKind{clerk: abe.DeniedPolicy, stranger: abe.DeniedAuthority} {
		_, err := decrypt(file, native, identity)
		var denied *abe.DeniedError
		require.ErrorAs(t, err, &denied)
		require.Equal(t, kind, denied.Kind)
		require.ErrorIs(t, err, abe.ErrDecrypt)
		require.ErrorIs(t, err, age.ErrIncorrectIdentity)
		require.ErrorAs(t, err, new(*age.NoIdentityMatchError))
		_, err = decrypt(file, identity)
		require.ErrorContains(t, err, denied.Error(), "age shows the reason")
	}

	foreign := encrypt(t, "x", native.Recipient())
	_, err = decrypt(foreign, doctor)
	require.ErrorIs(t, err, age.ErrIncorrectIdentity)
	require.NotErrorIs(t, err, abe.ErrDecrypt)
	require.ErrorContains(t, err, "not encrypted to a policy")

	var armored bytes.Buffer
	w := armor.NewWriter(&armored)
	_, err = w.Write(file)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	plain, err := age.Decrypt(armor.NewReader(&armored), doctor)
	require.NoError(t, err)
	text, err := io.ReadAll(plain)
	require.NoError(t, err)
	require.Equal(t, "120/80", string(text))
}

// unlabelled is what a client that does not know labels sees.
type unlabelled struct{ r *Recipient }

func (u unlabelled) Wrap(fileKey []byte) ([]*age.Stanza, error) { return u.r.Wrap(fileKey) }

// age adds nobody beside a policy: no native recipient, in neither order, no second policy and not the same one twice.
func TestNobodyBesideThePolicy(t *testing.T) {
	a := generate(t)
	r := recipient(t, a, "a", nil)
	native, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	passphrase, err := age.NewScryptRecipient("weak")
	require.NoError(t, err)
	for name, list := range map[string][]age.Recipient{
		"X25519 after":   {r, native.Recipient()},
		"X25519 before":  {native.Recipient(), r},
		"hybrid":         {r, hybrid.Recipient()},
		"passphrase":     {passphrase, r},
		"another policy": {r, recipient(t, a, "b", nil)},
		"itself":         {r, r},
	} {
		_, err := age.Encrypt(io.Discard, list...)
		require.ErrorContains(t, err, "incompatible recipients", name)
	}
	seen := map[string]bool{}
	for range 20 {
		_, labels, err := r.WrapWithLabels(make([]byte, 16))
		require.NoError(t, err)
		require.Len(t, labels, 1)
		require.False(t, seen[labels[0]])
		seen[labels[0]] = true
	}

	// The label is what does it, and for two policies the reader does as well.
	file := encrypt(t, "x", unlabelled{r}, native.Recipient())
	_, err = decrypt(file, native)
	require.NoError(t, err)
	_, err = decrypt(file, identity(t, a, nil, "a"))
	require.NoError(t, err, "stanzas of other types are ignored")
	file = encrypt(t, "x", unlabelled{r}, unlabelled{r})
	_, err = decrypt(file, identity(t, a, nil, "a"))
	require.ErrorIs(t, err, abe.ErrFormat)
	require.ErrorContains(t, err, "one veilchart stanza")
}

func TestOptions(t *testing.T) {
	a := generate(t)
	companion := bytes.Repeat([]byte{7}, 32)
	opts := &abe.Options{AssociatedData: []byte("patient 17"), Companion: companion}
	r := recipient(t, a, "a", opts)
	reader := identity(t, a, opts, "a")
	clear(companion)
	copy(opts.AssociatedData, "PATIENT")
	file := encrypt(t, "x", r)
	got, err := decrypt(file, reader)
	require.NoError(t, err, "options are copied")
	require.Equal(t, "x", got)
	var denied *abe.DeniedError
	_, err = decrypt(file, identity(t, a, nil, "a"))
	require.ErrorAs(t, err, &denied)
	require.Equal(t, abe.DeniedCompanion, denied.Kind)
	_, err = decrypt(file, identity(t, a, &abe.Options{AssociatedData: []byte("patient 18"), Companion: bytes.Repeat([]byte{7}, 32)}, "a"))
	require.ErrorIs(t, err, abe.ErrDecrypt)
	require.NotErrorIs(t, err, age.ErrIncorrectIdentity)
	policy, err := abe.ParsePolicy("a")
	require.NoError(t, err)
	_, err = NewRecipient(a.Params(), policy, &abe.Options{Companion: []byte("short")})
	require.ErrorContains(t, err, "32 bytes")
}

// Changed stanzas: never a file key, never "the wrong identity" for what is damage, whatever byte it is.
func TestChangedStanzas(t *testing.T) {
	a := generate(t)
	reader := identity(t, a, nil, "a")
	stanzas, err := recipient(t, a, "a", nil).Wrap([]byte("0123456789abcdef"))
	require.NoError(t, err)
	body := stanzas[0].Body
	got, err := reader.Unwrap(stanzas)
	require.NoError(t, err)
	require.Equal(t, "0123456789abcdef", string(got))
	step := 1
	if testing.Short() {
		step = 11
	}
	for n := 0; n < len(body); n += step {
		changed := bytes.Clone(body)
		changed[n] ^= 1
		_, err := reader.Unwrap([]*age.Stanza{{Type: stanzaType, Body: changed}})
		require.True(t, errors.Is(err, abe.ErrDecrypt) || errors.Is(err, abe.ErrFormat), "byte %d: %v", n, err)
		_, err = reader.Unwrap([]*age.Stanza{{Type: stanzaType, Body: body[:n]}})
		require.ErrorIs(t, err, abe.ErrFormat, "cut at %d", n)
	}
	object := func(plaintext, associated string, records ...abe.Record) []byte {
		policy, err := abe.ParsePolicy("a")
		require.NoError(t, err)
		if len(records) > 0 {
			all, err := a.Params().SealMany(policy, records, nil)
			require.NoError(t, err)
			return all[0]
		}
		sealed, err := a.Params().Seal(policy, []byte(plaintext), &abe.Options{AssociatedData: []byte(associated)})
		require.NoError(t, err)
		return sealed
	}
	sixteen := strings.Repeat("k", 16)
	for name, s := range map[string]*age.Stanza{
		"arguments": {Type: stanzaType, Args: []string{"1"}, Body: body},
		"longer":    {Type: stanzaType, Body: append(bytes.Clone(body), 0)},
		"empty":     {Type: stanzaType},
		"huge":      {Type: stanzaType, Body: append(bytes.Clone(body), make([]byte, maxBody)...)},
		"long key":  {Type: stanzaType, Body: object(sixteen+"k", purpose)},
		"short key": {Type: stanzaType, Body: object(sixteen[1:], purpose)},
		"record id": {Type: stanzaType, Body: object("", "", abe.Record{ID: "r", Plaintext: []byte(sixteen), AssociatedData: []byte(purpose)})},
	} {
		_, err := reader.Unwrap([]*age.Stanza{s})
		require.ErrorIs(t, err, abe.ErrFormat, name)
		require.NotErrorIs(t, err, age.ErrIncorrectIdentity, name)
	}
	_, err = reader.Unwrap([]*age.Stanza{{Type: stanzaType, Body: object(sixteen, "")}})
	require.ErrorIs(t, err, abe.ErrDecrypt, "an object that was sealed for something else")
	_, err = reader.Unwrap([]*age.Stanza{{Type: stanzaType, Body: object(sixteen, purpose)}})
	require.NoError(t, err, "and this is what made the difference")
	_, err = reader.Unwrap(nil)
	require.ErrorIs(t, err, age.ErrIncorrectIdentity)
}

func TestTexts(t *testing.T) {
	a := generate(t)
	r := recipient(t, a, `role = doctor and dept = "intensive care"`, nil)
	reader := identity(t, a, nil, "role = doctor", `dept = "intensive care"`)
	text := r.String()
	require.True(t, strings.HasPrefix(text, "age1veilchart1"))
	require.Less(t, len(text), 8192, "a line of a recipients file")
	again, err := ParseRecipient(text, nil)
	require.NoError(t, err)
	require.Equal(t, text, again.String())
	require.Equal(t, a.Params().Fingerprint(), again.Params().Fingerprint())
	require.Equal(t, r.Policy().String(), again.Policy().String())
	secret := reader.ExposeSecret()
	require.True(t, strings.HasPrefix(secret, "AGE-PLUGIN-VEILCHART-1"))
	parsed, err := ParseIdentity(secret, nil)
	require.NoError(t, err)
	require.Equal(t, secret, parsed.ExposeSecret())
	require.Equal(t, reader.Key().Attributes(), parsed.Key().Attributes())
	got, err := decrypt(encrypt(t, "x", again), parsed)
	require.NoError(t, err)
	require.Equal(t, "x", got)

	data := r.bytes()
	header := data[:wire.HeaderSize]
	params := a.Params().Bytes()
	changed := func(n int, b byte) []byte {
		c := bytes.Clone(data)
		c[n] = b
		return c
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, b := range map[string][]byte{
		"empty":          {},
		"cut":            data[:len(data)-1],
		"trailing":       append(bytes.Clone(data), 0),
		"kind":           changed(5, 4),
		"version":        changed(6, 2),
		"suite":          changed(7, 1),
		"params":         changed(wire.HeaderSize+4, 0),
		"length":         changed(wire.HeaderSize, 255),
		"no params":      join(header, wire.AppendBytes(nil, nil), wire.AppendString(nil, "a")),
		"no policy":      join(header, wire.AppendBytes(nil, params), wire.AppendString(nil, "")),
		"not canonical":  join(header, wire.AppendBytes(nil, params), wire.AppendString(nil, "(a)")),
		"long policy":    join(header, wire.AppendBytes(nil, params), wire.AppendString(nil, strings.Repeat("a", maxPolicy+1))),
		"a key, not one": reader.Key().ExposeSecret(),
	} {
		_, err := ParseRecipient(plugin.EncodeRecipient(Name, b), nil)
		require.ErrorIs(t, err, abe.ErrFormat, name)
	}
	for name, s := range map[string]string{
		"empty": "", "upper case": strings.ToUpper(text), "cut": text[:len(text)-1], "letter": text[:50] + "q" + text[51:] + "q", "space": text + " ", "huge": strings.Repeat("q", maxText+1),
		"another plugin": plugin.EncodeRecipient("other", data), "native": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "an identity": secret,
	} {
		_, err := ParseRecipient(s, nil)
		require.ErrorIs(t, err, abe.ErrFormat, name)
	}
	for name, s := range map[string]string{
		"empty": "", "lower case": strings.ToLower(secret), "cut": secret[:len(secret)-1], "huge": strings.Repeat("Q", maxText+1), "another plugin": plugin.EncodeIdentity("other", reader.Key().ExposeSecret()),
		"no key": plugin.EncodeIdentity(Name, nil), "trailing": plugin.EncodeIdentity(Name, append(reader.Key().ExposeSecret(), 0)), "a recipient": text,
	} {
		_, err := ParseIdentity(s, nil)
		require.ErrorIs(t, err, abe.ErrFormat, name)
		require.Less(t, len(err.Error()), 300, "the secret is not repeated")
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	i := identity(t, generate(t), &abe.Options{Companion: bytes.Repeat([]byte{0xab}, 32)}, "a")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		require.Equal(t, "redacted", fmt.Sprintf(verb, i))
		out := fmt.Sprintf(verb, struct{ inner *Identity }{i})
		require.NotContains(t, strings.ToLower(out), "abab")
		require.NotContains(t, out, "171 171")
	}
	b, err := json.Marshal(i)
	require.NoError(t, err)
	require.Less(t, len(b), 20)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "identity", i)
	require.Contains(t, log.String(), "redacted")
}

func TestZeroValues(t *testing.T) {
	for _, r := range []*Recipient{nil, new(Recipient)} {
		_, err := r.Wrap(make([]byte, 16))
		require.ErrorIs(t, err, errNoRecipient)
		_, _, err = r.WrapWithLabels(make([]byte, 16))
		require.ErrorIs(t, err, errNoRecipient)
		require.Empty(t, r.String())
	}
	for _, i := range []*Identity{nil, new(Identity)} {
		_, err := i.Unwrap(nil)
		require.ErrorIs(t, err, errNoIdentity)
		require.Empty(t, i.ExposeSecret())
	}
	for _, k := range []*abe.Key{nil, new(abe.Key)} {
		_, err := NewIdentity(k, nil)
		require.ErrorIs(t, err, errNoIdentity)
	}
	_, err := NewRecipient(nil, nil, nil)
	require.ErrorIs(t, err, errNoRecipient)
	a := generate(t)
	_, err = NewRecipient(a.Params(), new(abe.Policy), nil)
	require.Error(t, err)
	_, err = recipient(t, a, "a", nil).Wrap(make([]byte, 32))
	require.ErrorContains(t, err, "16 bytes")
}
