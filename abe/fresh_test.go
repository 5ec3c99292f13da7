package abe

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// drawn are the parts of an object that must be new each time, whatever the inputs are.
type drawn struct{ core, c0, ct1, wrapped, commit, salt, prefix, sigma, payloadKey []byte }

// takeApart opens an object and shows what its sealer drew.
func takeApart(t *testing.T, k *Key, sealed []byte, opts *Options) drawn {
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	payloadKey := payloadKeyOf(t, k, sealed, opts)
	f := h.Policy.onDay(h.Day)
	sel, ok := f.satisfy(k.has)
	require.True(t, ok)
	d, err := fabeoOf(k).decrypt(f, h.enc(), sel)
	require.NoError(t, err)
	sigma := unmask(h.pre, h.body, d)
	head := sealed[h.Size:][:payloadHead]
	return drawn{h.core, h.c0(), h.enc()[:96], h.wrapped, h.commit, head[1:noncePosition], head[noncePosition:], sigma[:], payloadKey[:]}
}

// requireFresh requires that each byte of what is drawn takes at least two values among the objects. Of 8 objects a byte is constant
// by chance with probability 2^-56; there are 343 of them at most, which gives a false alarm in less than 2^-47 of the runs.
func requireFresh(t *testing.T, what string, parts [][]byte) {
	require.GreaterOrEqual(t, len(parts), 8)
	for at := range parts[0] {
		same := true
		for _, p := range parts[1:] {
			same = same && p[at] == parts[0][at]
		}
		require.False(t, same, "%s: byte %d is always %d", what, at, parts[0][at])
	}
}

// Seal, SealMany and Encrypt draw all of sigma, payload key, salt and nonce prefix anew, for equal inputs too. With one of them
// constant every other test would still pass.
func TestEverySealIsFresh(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	policy := parsePolicy(t, "a or b")
	opts := &Options{AssociatedData: []byte("ad"), Companion: bytes.Repeat([]byte{4}, 32)}
	large := bytes.Repeat([]byte{5}, oneSegment+1) // two segments
	for name, seal := range map[string]func() []byte{
		"Seal": func() []byte {
			sealed, err := a.Params().Seal(policy, []byte("x"), opts)
			require.NoError(t, err)
			return sealed
		},
		"Seal of two segments": func() []byte {
			sealed, err := a.Params().Seal(policy, large, opts)
			require.NoError(t, err)
			return sealed
		},
		"SealMany": func() []byte {
			sealed, err := a.Params().SealMany(policy, []Record{{ID: "r", Plaintext: []byte("x"), AssociatedData: []byte("ad")}}, &Options{Companion: opts.Companion})
			require.NoError(t, err)
			return sealed[0]
		},
		"Encrypt": func() []byte {
			var b bytes.Buffer
			w, err := a.Params().Encrypt(&b, policy, opts)
			require.NoError(t, err)
			_, err = w.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			return b.Bytes()
		},
	} {
		var all []drawn
		for range 8 {
			all = append(all, takeApart(t, k, seal(), opts))
		}
		for what, part := range map[string]func(drawn) []byte{
			"C0": func(d drawn) []byte { return d.c0 }, "wrapped": func(d drawn) []byte { return d.wrapped }, "commitment": func(d drawn) []byte { return d.commit },
			"salt": func(d drawn) []byte { return d.salt }, "nonce prefix": func(d drawn) []byte { return d.prefix },
			"sigma": func(d drawn) []byte { return d.sigma }, "payload key": func(d drawn) []byte { return d.payloadKey },
		} {
			var parts [][]byte
			for _, d := range all {
				parts = append(parts, part(d))
			}
			requireFresh(t, name+": "+what, parts)
		}
		for i := range all { // these have bytes that are the same by their form
			for j := range i {
				require.NotEqual(t, all[i].core, all[j].core, name)
				require.NotEqual(t, all[i].ct1, all[j].ct1, name)
			}
		}
	}
}

// The records of one SealMany call share the core and nothing else.
func TestRecordsOfABatchAreFresh(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	var records []Record
	for i := range 8 {
		records = append(records, Record{ID: fmt.Sprint("r", i), Plaintext: []byte("x"), AssociatedData: []byte("ad")})
	}
	opts := &Options{AssociatedData: []byte("ad")}
	sealed, err := a.Params().SealMany(parsePolicy(t, "a"), records, nil)
	require.NoError(t, err)
	var salts, prefixes, keys, wrapped, commits [][]byte
	for _, object := range sealed {
		d := takeApart(t, k, object, opts)
		require.Equal(t, takeApart(t, k, sealed[0], opts).core, d.core)
		salts, prefixes, keys = append(salts, d.salt), append(prefixes, d.prefix), append(keys, d.payloadKey)
		wrapped, commits = append(wrapped, d.wrapped), append(commits, d.commit)
	}
	requireFresh(t, "salt", salts)
	requireFresh(t, "nonce prefix", prefixes)
	requireFresh(t, "payload key", keys)
	requireFresh(t, "wrapped", wrapped)
	requireFresh(t, "commitment", commits)
}

// payloadKeyOf opens the header alone.
func payloadKeyOf(t *testing.T, k *Key, sealed []byte, opts *Options) [keySize]byte {
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	payloadKey, err := k.openHeader(h, opening{associated: opts.AssociatedData, companion: opts.Companion})
	require.NoError(t, err)
	return payloadKey
}
