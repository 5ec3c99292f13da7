package abe

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// What the fuzz targets decode belongs to fixed secrets, so that a failing input fails again.
type fixed struct {
	authority *Authority
	transform *TransformKey
	mediated  *MediatedKey
	sealed    []byte
	set       *IssuerSet
	issuers   []*Issuer
	request   *Request
	partial   *PartialKey
}

func fixedSecrets(t testing.TB) *fixed {
	tape := coins{xof(labelCoins, []byte("issuing"))}
	m := newFABEOMaster(tape.scalar())
	params := newParams(version2, FABEO, new(Vocabulary), m.public())
	x := &fixed{authority: authorityOf(params, m)}

	h, err := params.holding(Window{First: 20000, Last: 20365}, named(t, "a", "role = doctor"))
	require.NoError(t, err)
	z := tape.scalar()
	share := &fabeoMaster{alpha: m.alpha.Mul(z.Inv()), pub: m.pub.withY(m.pub.y.Exp(z.Inv()))}
	id := mediatedID(params, h, share.pub.y)
	transform := &transformParts{params, h, id, share.keyGenWith(h.atoms(), tape.scalar())}
	x.transform, x.mediated = &TransformKey{hidden: &transform}, newMediatedKey(params, h, id, z)
	x.sealed, err = params.Seal(fabeoPolicy(t, "a and (b or role = doctor)"), []byte("x"), &Options{Day: 20100})
	require.NoError(t, err)

	x.set = &IssuerSet{params: params, public: m.pub, threshold: 2}
	f := []pairing.Scalar{m.alpha, tape.scalar()}
	for i := range 3 {
		parts := &issuerParts{set: x.set, index: i + 1, seed: [32]byte{byte(i + 1)}, master: newFABEOMaster(evaluate(f, i+1))}
		parts.signer = signingKey(parts.seed)
		x.set.keys, x.set.ys = append(x.set.keys, publicKey(parts.signer)), append(x.set.ys, parts.master.pub.y)
		parts.master.pub = m.pub.withY(parts.master.pub.y)
		x.issuers = append(x.issuers, &Issuer{hidden: &parts})
	}
	x.set.id = derive(labelIssuers, params.authority[:], x.set.appendKeys(nil))
	r, err := x.set.Request("Ada Weber", h.window, named(t, "a", "role = doctor")...)
	require.NoError(t, err)
	r.nonce = [nonceSize]byte{7}
	r.encoding = r.encode()
	x.request = r
	x.partial = partials(t, r, x.issuers...)[1]
	return x
}

// fuzzDecoder checks that what is read is written back, byte for byte, and that everything else is ErrFormat.
func fuzzDecoder(f *testing.F, good []byte, decode func([]byte) ([]byte, error)) {
	f.Add(good)
	f.Add([]byte("vcht"))
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := decode(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		require.Equal(t, b, again)
	})
}

func FuzzNewTransformKey(f *testing.F) {
	fuzzDecoder(f, fixedSecrets(f).transform.ExposeSecret(), func(b []byte) ([]byte, error) {
		k, err := NewTransformKey(b)
		if err != nil {
			return nil, err
		}
		return k.ExposeSecret(), nil
	})
}

func FuzzNewMediatedKey(f *testing.F) {
	fuzzDecoder(f, fixedSecrets(f).mediated.ExposeSecret(), func(b []byte) ([]byte, error) {
		k, err := NewMediatedKey(b)
		if err != nil {
			return nil, err
		}
		return k.ExposeSecret(), nil
	})
}

func FuzzNewIssuerSet(f *testing.F) {
	fuzzDecoder(f, fixedSecrets(f).set.Bytes(), func(b []byte) ([]byte, error) {
		s, err := NewIssuerSet(b)
		if err != nil {
			return nil, err
		}
		return s.Bytes(), nil
	})
}

func FuzzNewIssuer(f *testing.F) {
	x := fixedSecrets(f)
	fuzzDecoder(f, x.issuers[1].ExposeSecret(), func(b []byte) ([]byte, error) {
		i, err := NewIssuer(b, x.set)
		if err != nil {
			return nil, err
		}
		return i.ExposeSecret(), nil
	})
}

// FuzzNewRequest also lets an issuer look at what was read: it approves what it would have written itself.
func FuzzNewRequest(f *testing.F) {
	x := fixedSecrets(f)
	fuzzDecoder(f, x.request.Bytes(), func(b []byte) ([]byte, error) {
		r, err := NewRequest(b)
		if err != nil {
			return nil, err
		}
		if approval, err := x.issuers[0].Approve(r); err == nil {
			_, err = x.set.approver(approval, r)
			return r.encode(), err
		}
		return r.encode(), nil
	})
}

func FuzzNewPartialKey(f *testing.F) {
	fuzzDecoder(f, fixedSecrets(f).partial.ExposeSecret(), func(b []byte) ([]byte, error) {
		k, err := NewPartialKey(b)
		if err != nil {
			return nil, err
		}
		return k.ExposeSecret(), nil
	})
}

// FuzzApproval takes any bytes for an approval: there is one that issuer 1 can give, and the fuzzer cannot make those of others.
func FuzzApproval(f *testing.F) {
	x := fixedSecrets(f)
	good := approvals(f, x.request, x.issuers...)
	f.Add(good[0])
	f.Add(changedAt(good[0], 40, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		index, err := x.set.approver(b, x.request)
		if err == nil {
			require.Equal(t, good[index-1], b)
		}
	})
}

// FuzzTransform gives the gateway any bytes for a header. Anybody can seal, so that a value is no failure; but it is Y^(s1/z) or nothing, and the user opens what the
// whole key opens.
func FuzzTransform(f *testing.F) {
	x := fixedSecrets(f)
	z := x.mediated.in().z
	sk := x.transform.in().sk
	whole := &fabeoKey{pub: publicPart(x.authority.Params()), atoms: sk.atoms, sk1: map[atom]pairing.G1{}, sk2: sk.sk2.Mul(z), sk3: sk.sk3.Mul(z)}
	for u, sk1 := range sk.sk1 {
		whole.sk1[u] = sk1.Mul(z)
	}
	k := keyOf(&keyParts{version: version2, params: x.authority.Params(), window: x.mediated.Window(), items: x.mediated.in().items, secret: whole})
	f.Add(x.sealed)
	f.Add(x.sealed[:len(x.sealed)-40])
	f.Fuzz(func(t *testing.T, b []byte) {
		want, wantErr := k.Open(b, nil)
		transformed, err := x.transform.Transform(b)
		if err != nil {
			require.True(t, errors.Is(err, ErrFormat) || errors.Is(err, ErrDecrypt), "%v", err)
			require.Error(t, wantErr)
			return
		}
		got, err := x.mediated.Open(b, transformed, nil)
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		require.True(t, bytes.Equal(want, got))
	})
}

// FuzzTransformed gives the user any bytes for the gateway's value: one opens.
func FuzzTransformed(f *testing.F) {
	x := fixedSecrets(f)
	good, err := x.transform.Transform(x.sealed)
	require.NoError(f, err)
	f.Add(good)
	f.Add(negatedTarget(good))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := x.mediated.Open(x.sealed, b, nil)
		if err == nil {
			require.Equal(t, good, b)
			return
		}
		require.True(t, errors.Is(err, ErrFormat) || errors.Is(err, ErrDecrypt), "%v", err)
	})
}
