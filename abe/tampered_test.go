package abe

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// A key file edited to claim another attribute is refused when it is loaded, and would open nothing.
func TestRelabelledKey(t *testing.T) {
	a := generate(t)
	nurse, doctor := Attribute{Name: "role", Value: "nurse"}, Attribute{Name: "role", Value: "doctor"}
	k, err := a.IssueKey(always, nurse)
	require.NoError(t, err)
	sealed, err := a.Params().Seal(parsePolicy(t, "role = doctor"), []byte("x"), nil)
	require.NoError(t, err)

	parts, claimed := *k.in(), *fabeoOf(k)
	parts.items = []atom{doctor.atom()}
	claimed.atoms = keyAtoms(parts.items, &always)
	claimed.sk1 = maps.Clone(claimed.sk1)
	claimed.sk1[doctor.atom()] = claimed.sk1[nurse.atom()]
	parts.secret = &claimed
	forged := keyOf(&parts)
	_, err = NewKey(forged.ExposeSecret())
	require.ErrorIs(t, err, ErrFormat)
	require.ErrorContains(t, err, "do not belong together")
	_, err = forged.Open(sealed, nil)
	require.ErrorIs(t, err, ErrDecrypt)
	require.NotErrorAs(t, err, new(*DeniedError), "the mathematics refused, not the friendly check")

	// Under another authority's params the fingerprint fits, the components do not.
	other := generate(t)
	foreign := *k.in()
	foreign.params = other.Params()
	_, err = NewKey((keyOf(&foreign)).ExposeSecret())
	require.ErrorContains(t, err, "do not belong together")
	sealed, err = other.Params().Seal(parsePolicy(t, "role = nurse"), []byte("x"), nil)
	require.NoError(t, err)
	_, err = (keyOf(&foreign)).Open(sealed, nil)
	require.ErrorIs(t, err, ErrDecrypt)
	require.NotErrorAs(t, err, new(*DeniedError))
}

// everyByte is the step of the tests that change each byte: with the race detector, in short tests, they take some.
func everyByte() int {
	if testing.Short() {
		return 7
	}
	return 1
}

// Every byte of an object matters: with any one bit of it changed, or cut anywhere, it does not open, at once or as a stream.
func TestEveryByteMatters(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a", "b")
	secret := []byte("plaintext")
	records, err := a.Params().SealMany(parsePolicy(t, "a or b"), []Record{{ID: "r1", Plaintext: secret, AssociatedData: []byte("ad")}}, &Options{Companion: bytes.Repeat([]byte{7}, 32)})
	require.NoError(t, err)
	sealed := records[0]
	opts := &Options{AssociatedData: []byte("ad"), Companion: bytes.Repeat([]byte{7}, 32)}
	plaintext, err := k.Open(sealed, opts)
	require.NoError(t, err)
	require.Equal(t, secret, plaintext)

	refused := func(t *testing.T, b []byte, what string, at int) {
		_, err := k.Open(b, opts)
		require.Error(t, err, "%s %d", what, at)
		if !strings.Contains(err.Error(), ErrFormat.Error()) {
			require.ErrorIs(t, err, ErrDecrypt, "%s %d", what, at)
		}
		r, err := k.Decrypt(bytes.NewReader(b), opts)
		if err == nil {
			_, err = new(bytes.Buffer).ReadFrom(r)
		}
		require.Error(t, err, "%s %d, as a stream", what, at)
	}
	every := everyByte()
	eachOnAllCores(t, len(sealed)/every, func(t *testing.T, rng *rand.Rand, i int) {
		i *= every
		b := bytes.Clone(sealed)
		b[i] ^= 1 << rng.IntN(8)
		refused(t, b, "changed byte", i)
	})
	for i := range sealed {
		_, err := k.Open(sealed[:i], opts)
		require.Error(t, err, "cut to %d", i)
	}
	refused(t, append(bytes.Clone(sealed), 0), "appended at", len(sealed))
}

// Points that are no points, the identity and points of small order in every place of a header: refused by the mathematics,
// whether the key uses the row or not.
func TestInvalidPointsInHeaders(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	sealed, err := a.Params().Seal(parsePolicy(t, "a or b"), []byte("x"), nil)
	require.NoError(t, err)
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	start := len(h.core) - len(h.enc())
	for name, place := range map[string]struct{ at, size int }{
		"ct1": {0, pairing.G2Size}, "ct2": {pairing.G2Size, pairing.G2Size},
		"ct3 used": {2 * pairing.G2Size, pairing.G1Size}, "ct3 not used": {2*pairing.G2Size + pairing.G1Size, pairing.G1Size},
	} {
		original := h.enc()[place.at : place.at+place.size]
		points := badPoints(t, place.size, original)
		points["negated"] = changedAt(original, 0, original[0]^0x20)
		points["generator"] = generatorOf(place.size)
		if place.size == pairing.G1Size { // a sum over rows with weights that are multiples of 3 would miss it
			points["plus order three"] = plusOrderThree(original)
		}
		for kind, point := range points {
			b := bytes.Clone(sealed)
			copy(b[start+place.at:], point)
			_, err := k.Open(b, nil)
			require.ErrorIs(t, err, ErrDecrypt, "%s: %s", name, kind)
			require.NotErrorAs(t, err, new(*DeniedError))
		}
	}
}
