package abe

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// What the tests of delegation, mediated decryption and threshold issuing share. "Past the gate" means: with the components of keys and the elements of a
// ciphertext at hand, without the friendly checks of public data.

func fabeoAuthority(t testing.TB, vocabulary string) *Authority {
	v, err := ParseVocabulary(vocabulary)
	require.NoError(t, err)
	a, err := GenerateAuthority(FABEO, v)
	require.NoError(t, err)
	return a
}

// named are attributes as ParseAttribute reads them.
func named(t testing.TB, texts ...string) []Attribute {
	attributes := make([]Attribute, len(texts))
	for i, text := range texts {
		u, err := ParseAttribute(text)
		require.NoError(t, err)
		attributes[i] = u
	}
	return attributes
}

func fabeoPolicy(t testing.TB, text string) *Policy {
	p, err := ParsePolicy(text)
	require.NoError(t, err)
	return p
}

func publicPart(p *Params) *fabeoPublic { return p.public.(*fabeoPublic) }

func components(k *Key) *fabeoKey { return k.in().secret.(*fabeoKey) }

// lock is a ciphertext under a policy, without a day, with what its sealer knows.
type lock struct {
	f   *formula
	enc []byte
	s1  pairing.Scalar
	d   pairing.GT
}

func newLock(t testing.TB, params *Params, policy string) lock {
	f, err := fabeoPolicy(t, policy).expand(params.vocabulary)
	require.NoError(t, err)
	return lockFor(params, f)
}

func lockFor(params *Params, f *formula) lock {
	seed := pairing.RandomScalar().Bytes()
	p := publicPart(params)
	enc, s1 := p.encrypt(f, coins{xof(labelCoins, seed[:])})
	return lock{f, enc, s1, p.y.Exp(s1)}
}

// try is what sk makes of the ciphertext with rows that satisfy it if all atoms in claimed are held; components that sk does not have are replaced by others of it.
func (l lock) try(t testing.TB, sk *fabeoKey, claimed func(atom) bool) pairing.GT {
	sel, ok := l.f.satisfy(claimed)
	require.True(t, ok)
	forged := *sk
	forged.sk1 = map[atom]pairing.G1{}
	for _, r := range l.f.rows() {
		forged.sk1[r.atom] = sk.sk2
	}
	for u, sk1 := range sk.sk1 {
		forged.sk1[u] = sk1
	}
	d, err := forged.decrypt(l.f, l.enc, sel)
	require.NoError(t, err)
	return d
}

func everything(atom) bool { return true }

// opens says whether sk gets d by rows that it satisfies.
func (l lock) opens(t testing.TB, sk *fabeoKey) bool {
	sel, ok := l.f.satisfy(sk.has)
	if !ok {
		return false
	}
	d, err := sk.decrypt(l.f, l.enc, sel)
	require.NoError(t, err)
	return d.Equal(l.d)
}

func flagAtom(name string) atom { return Attribute{Name: name}.atom() }

// changedAt is b with one byte changed.
func changedAt(b []byte, at int, to ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], to)
	return b
}

// What the six decoders of issuing have in common.
func refusesOtherShapes(t *testing.T, good []byte, decode func([]byte) ([]byte, error)) {
	again, err := decode(good)
	require.NoError(t, err)
	require.Equal(t, good, again, "one encoding")
	for name, bad := range map[string][]byte{
		"nil": nil, "cut prefix": good[:7], "prefix only": good[:8], "cut": good[:len(good)-1], "trailing": append(bytes.Clone(good), 0),
		"magic": changedAt(good, 0, 'w'), "kind": changedAt(good, 5, 1), "version 0": changedAt(good, 6, 0), "version 2": changedAt(good, 6, 2),
		"suite 0": changedAt(good, 7, 0), "suite 2": changedAt(good, 7, 2), "huge length": changedAt(good, 8, 0xff, 0xff, 0xff, 0xff),
	} {
		_, err := decode(bad)
		if name == "huge length" && err == nil {
			continue // there is no length there
		}
		require.ErrorIs(t, err, ErrFormat, name)
	}
	for at := 0; at < len(good); at += 1 + len(good)/97 { // a bit of a sample of bytes
		b := changedAt(good, at, good[at]^1<<(at%8))
		if again, err := decode(b); err == nil {
			require.Equal(t, b, again, "byte %d", at)
		} else {
			require.ErrorIs(t, err, ErrFormat, "byte %d", at)
		}
	}
}

func requireRedacted(t *testing.T, secrets ...any) {
	type app struct{ hidden any }
	for _, secret := range secrets {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			require.Equal(t, redacted, fmt.Sprintf(verb, secret), verb)
			require.Less(t, len(fmt.Sprintf(verb, app{secret})), 200, verb)
		}
		text, err := secret.(interface{ MarshalText() ([]byte, error) }).MarshalText()
		require.NoError(t, err)
		require.Equal(t, redacted, string(text))
	}
}

func fieldPrime() *big.Int {
	p, _ := new(big.Int).SetString("1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16)
	return p
}

func bigBytes(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

func g1Bytes(p pairing.G1) []byte { b := p.Bytes(); return b[:] }
func g2Bytes(p pairing.G2) []byte { b := p.Bytes(); return b[:] }

func signingKey(seed [32]byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed[:]) }

func publicKey(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// signBy is the signature of an issuer who approves whatever it is shown.
func signBy(i *Issuer, r *Request) []byte { return ed25519.Sign(i.in().signer, approved(r)) }
