package abe

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// mathematicsSays requires ErrDecrypt, and that no friendly check gave it.
func mathematicsSays(t testing.TB, err error, what string) {
	require.ErrorIs(t, err, ErrDecrypt, what)
	require.NotErrorAs(t, err, new(*DeniedError), what)
}

func issueMediated(t testing.TB, a *Authority, window Window, texts ...string) (*TransformKey, *MediatedKey) {
	transform, mediated, err := a.IssueMediated(window, named(t, texts...)...)
	require.NoError(t, err)
	require.Equal(t, transform.ID(), mediated.ID())
	return transform, mediated
}

// transformedFrom is what a gateway would send for x.
func transformedFrom(x pairing.GT) []byte {
	b := x.Bytes()
	return append([]byte("vcht\x01\x07\x01\x01"), b[:]...)
}

func TestMediated(t *testing.T) {
	a := fabeoAuthority(t, "")
	window := Window{First: 20000, Last: 20365}
	transform, mediated := issueMediated(t, a, window, "role = doctor", "dept = oncology")
	require.ElementsMatch(t, named(t, "role = doctor", "dept = oncology"), mediated.Attributes())
	require.Equal(t, mediated.Attributes(), transform.Attributes())
	require.Equal(t, window, mediated.Window())
	require.Equal(t, window, transform.Window())
	require.Equal(t, a.Params().Fingerprint(), mediated.Params().Fingerprint())
	require.Equal(t, a.Params().Fingerprint(), transform.Params().Fingerprint())
	var err error
	transform, err = NewTransformKey(transform.ExposeSecret())
	require.NoError(t, err)
	mediated, err = NewMediatedKey(mediated.ExposeSecret())
	require.NoError(t, err)

	opts := &Options{AssociatedData: []byte("patient 17"), Companion: bytes.Repeat([]byte{3}, 32)}
	for _, policy := range []string{"role = doctor", "role = doctor and dept = oncology", "role = doctor and (x or dept = oncology)", "2 of (role = doctor, x, dept = oncology)", "(role = doctor or x) and (role = doctor or y)"} {
		sealed, err := a.Params().Seal(fabeoPolicy(t, policy), []byte("blood pressure 120/80"), &Options{AssociatedData: opts.AssociatedData, Companion: opts.Companion, Day: 20100})
		require.NoError(t, err)
		h, err := Inspect(sealed)
		require.NoError(t, err)
		transformed, err := transform.Transform(sealed[:h.Size]) // the payload is not needed
		require.NoError(t, err)
		require.Len(t, transformed, 584)
		again, err := transform.Transform(sealed)
		require.NoError(t, err)
		require.Equal(t, transformed, again)

		plaintext, err := mediated.Open(sealed, transformed, opts)
		require.NoError(t, err)
		require.Equal(t, "blood pressure 120/80", string(plaintext))
		r, err := mediated.Decrypt(bytes.NewReader(sealed), transformed, opts)
		require.NoError(t, err)
		plaintext, err = io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, "blood pressure 120/80", string(plaintext))

		at, err := mediated.OpenReaderAt(bytes.NewReader(sealed), int64(len(sealed)), transformed, opts)
		require.NoError(t, err)
		plaintext, err = io.ReadAll(io.NewSectionReader(at, 6, at.Size()))
		require.NoError(t, err)
		require.Equal(t, "pressure 120/80", string(plaintext))

		_, err = mediated.Open(sealed, transformed, &Options{Companion: opts.Companion})
		mathematicsSays(t, err, "other associated data")
		_, err = mediated.Open(sealed, transformed, nil)
		require.ErrorAs(t, err, new(*DeniedError), "the companion is missing")
	}

	for _, c := range []struct {
		policy string
		day    Day
		kind   DeniedKind
	}{{"role = nurse", 20100, DeniedPolicy}, {"role = doctor", 20366, DeniedWindow}, {"role = doctor", 19999, DeniedWindow}} {
		sealed, err := a.Params().Seal(fabeoPolicy(t, c.policy), nil, &Options{Day: c.day})
		require.NoError(t, err)
		_, err = transform.Transform(sealed)
		var denied *DeniedError
		require.ErrorAs(t, err, &denied)
		require.Equal(t, c.kind, denied.Kind)
		_, err = mediated.Open(sealed, transformedFrom(a.Params().public.(*fabeoPublic).y), nil)
		require.ErrorAs(t, err, &denied)
		require.Equal(t, c.kind, denied.Kind)
	}
	sealed, err := fabeoAuthority(t, "").Params().Seal(fabeoPolicy(t, "role = doctor"), nil, nil)
	require.NoError(t, err)
	_, err = transform.Transform(sealed)
	var denied *DeniedError
	require.ErrorAs(t, err, &denied)
	require.Equal(t, DeniedAuthority, denied.Kind)
}

// Neither part opens by itself, whatever is tried with it; both together are the whole key.
func TestMediatedPartsAlone(t *testing.T) {
	a := fabeoAuthority(t, "")
	transform, mediated := issueMediated(t, a, always, "a", "b")
	sealed, err := a.Params().Seal(fabeoPolicy(t, "a and b"), []byte("x"), nil)
	require.NoError(t, err)
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	parts := func(sk *fabeoKey) *keyParts {
		return &keyParts{version: version2, params: a.Params(), window: always, items: transform.in().items, secret: sk}
	}
	p := publicPart(a.Params())

	// The gateway's part, taken for a key: it gets d^(1/z) from the pairings, and nothing from the header.
	sk := *transform.in().sk
	sk.pub = p
	_, err = keyOf(parts(&sk)).Open(sealed, nil)
	mathematicsSays(t, err, "the transform key as a key")
	_, err = NewKey(keyOf(parts(&sk)).ExposeSecret())
	require.ErrorContains(t, err, "do not belong together")
	l := newLock(t, a.Params(), "a and b")
	require.False(t, l.opens(t, &sk))
	sel, ok := l.f.satisfy(sk.has)
	require.True(t, ok)
	x, err := sk.decrypt(l.f, l.enc, sel)
	require.NoError(t, err)
	require.True(t, x.Exp(mediated.in().z).Equal(l.d), "but with z it is d")

	// It is no more than anybody can draw: an authority that does not exist issues for a master secret of its own, and that passes for a transform key.
	drawn := newFABEOMaster(pairing.RandomScalar())
	forged := *transform.in()
	forged.sk = drawn.keyGen(forged.atoms())
	forged.id = mediatedID(a.Params(), forged.holding, drawn.pub.y)
	hidden := &forged
	stranger, err := NewTransformKey((&TransformKey{hidden: &hidden}).ExposeSecret())
	require.NoError(t, err, "a gateway cannot tell")
	value, err := stranger.Transform(sealed)
	require.NoError(t, err)
	_, err = mediated.Open(sealed, value, nil)
	mathematicsSays(t, err, "the value of a transform key that was made up")

	// The user's part with values that the user can make.
	ct1, err := pairing.NewG2(h.body[keySize:][:pairing.G2Size])
	require.NoError(t, err)
	g1, g2 := pairing.G1Generator(), pairing.G2Generator()
	for name, x := range map[string]pairing.GT{
		"Y": p.y, "Y^(1/z)": p.y.Exp(mediated.in().z.Inv()), "e(g1,ct1)": pairing.PairProduct(pairing.Pair{P: g1, Q: ct1}),
		"e(H_b,ct1)": pairing.PairProduct(pairing.Pair{P: p.hb(), Q: ct1}), "e(g1,g2)": pairing.PairProduct(pairing.Pair{P: g1, Q: g2}),
		"e(g1,ct1) Y": pairing.PairProduct(pairing.Pair{P: g1, Q: ct1}).Mul(p.y),
	} {
		_, err := mediated.Open(sealed, transformedFrom(x), nil)
		mathematicsSays(t, err, name)
	}

	// Together they are the key: sk = (sk^(1/z))^z.
	z := mediated.in().z
	whole := &fabeoKey{pub: p, atoms: sk.atoms, sk1: map[atom]pairing.G1{}, sk2: sk.sk2.Mul(z), sk3: sk.sk3.Mul(z)}
	for u, sk1 := range sk.sk1 {
		whole.sk1[u] = sk1.Mul(z)
	}
	k, err := NewKey(keyOf(parts(whole)).ExposeSecret())
	require.NoError(t, err)
	plaintext, err := k.Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(plaintext))
}

// What a gateway sends is used as it is meant or not at all.
func TestGatewayCheats(t *testing.T) {
	a := fabeoAuthority(t, "")
	transform, mediated := issueMediated(t, a, always, "a")
	otherGateway, other := issueMediated(t, a, always, "a")
	policy := fabeoPolicy(t, "a")
	sealed, err := a.Params().Seal(policy, []byte("x"), nil)
	require.NoError(t, err)
	twin, err := a.Params().Seal(policy, []byte("x"), nil)
	require.NoError(t, err)
	good, err := transform.Transform(sealed)
	require.NoError(t, err)
	_, err = mediated.Open(sealed, good, nil)
	require.NoError(t, err)
	x, err := pairing.NewGT(good[8:])
	require.NoError(t, err)

	_, err = mediated.Open(twin, good, nil)
	mathematicsSays(t, err, "the value of another header")
	_, err = other.Open(sealed, good, nil)
	mathematicsSays(t, err, "another user's value")
	wrong, err := otherGateway.Transform(sealed)
	require.NoError(t, err)
	_, err = mediated.Open(sealed, wrong, nil)
	mathematicsSays(t, err, "from another user's transform key")
	for name, x := range map[string]pairing.GT{"inverse": x.Inv(), "square": x.Mul(x), "times Y": x.Mul(publicPart(a.Params()).y)} {
		_, err := mediated.Open(sealed, transformedFrom(x), nil)
		mathematicsSays(t, err, name)
	}
	one := pairing.GTIdentity().Bytes()
	for name, b := range map[string][]byte{
		"one": append(bytes.Clone(good[:8]), one[:]...), "zero": append(bytes.Clone(good[:8]), make([]byte, pairing.GTSize)...),
		"not reduced": changedAt(good, 8, 0xff), "not in the group": changedAt(good, 583, good[583]^1),
	} {
		_, err := mediated.Open(sealed, b, nil)
		mathematicsSays(t, err, name)
		_, err = mediated.Decrypt(bytes.NewReader(sealed), b, nil)
		mathematicsSays(t, err, name)
		_, err = mediated.OpenReaderAt(bytes.NewReader(sealed), int64(len(sealed)), b, nil)
		mathematicsSays(t, err, name)
	}
	refusesOtherShapes(t, good, func(b []byte) ([]byte, error) {
		_, err := mediated.Open(sealed, b, nil)
		if err != nil && !bytes.Equal(b, good) {
			return nil, errFormatOr(err)
		}
		return b, err
	})
}

// Parts of an object of several segments, with the value of the gateway: what was cut or changed is refused, as it is with a whole key.
func TestMediatedReaderAt(t *testing.T) {
	a := fabeoAuthority(t, "")
	transform, mediated := issueMediated(t, a, always, "a")
	plaintext := make([]byte, 2*segmentSize+1000)
	rand.Read(plaintext)
	sealed, err := a.Params().Seal(fabeoPolicy(t, "a"), plaintext, nil)
	require.NoError(t, err)
	transformed, err := transform.Transform(sealed)
	require.NoError(t, err)
	whole := int64(len(sealed))

	r, err := mediated.OpenReaderAt(bytes.NewReader(sealed), whole, transformed, nil)
	require.NoError(t, err)
	require.EqualValues(t, len(plaintext), r.Size())
	for _, from := range []int{0, oneSegment - 3, oneSegment + perSegment - 3, len(plaintext) - 7} {
		part := make([]byte, 7)
		n, err := r.ReadAt(part, int64(from))
		require.NoError(t, err)
		require.Equal(t, 7, n)
		require.Equal(t, plaintext[from:from+7], part)
	}
	for _, n := range []int64{whole - 1, whole - segmentSize, whole - 1000 - tagSize} {
		_, err = mediated.OpenReaderAt(bytes.NewReader(sealed[:n]), n, transformed, nil)
		mathematicsSays(t, err, "cut")
	}
	_, err = mediated.OpenReaderAt(bytes.NewReader(sealed), -1, transformed, nil)
	require.ErrorContains(t, err, "pass the length")
	_, err = mediated.OpenReaderAt(bytes.NewReader(sealed), whole, transformed[1:], nil)
	require.ErrorIs(t, err, ErrFormat)

	changed := bytes.Clone(sealed)
	changed[len(changed)-segmentSize-1000] ^= 1
	r, err = mediated.OpenReaderAt(bytes.NewReader(changed), whole, transformed, nil)
	require.NoError(t, err, "the last segment is as it was")
	_, err = r.ReadAt(make([]byte, 7), oneSegment+perSegment-7)
	mathematicsSays(t, err, "the changed segment")
}

// errFormatOr hides ErrDecrypt for refusesOtherShapes, which looks at forms only.
func errFormatOr(err error) error {
	if bytes.Contains([]byte(err.Error()), []byte(ErrDecrypt.Error())) {
		return ErrFormat
	}
	return err
}

// An element of small order in X would tell z modulo that order by whether the object opens: -X has the order 2 r, and (-X)^z = d for every even z. It is refused for even z and for odd.
func TestGatewayCannotProbeZ(t *testing.T) {
	a := fabeoAuthority(t, "")
	sealed, err := a.Params().Seal(fabeoPolicy(t, "a"), []byte("x"), nil)
	require.NoError(t, err)
	var parity [2]int
	for parity[0] == 0 || parity[1] == 0 {
		transform, mediated := issueMediated(t, a, always, "a")
		z := mediated.in().z.Bytes()
		parity[z[31]&1]++
		good, err := transform.Transform(sealed)
		require.NoError(t, err)
		_, err = mediated.Open(sealed, negatedTarget(good), nil)
		mathematicsSays(t, err, "minus X")
		require.Equal(t, good, negatedTarget(negatedTarget(good)))
	}
}

// negatedTarget is a transformed header with -X in the place of X: every coordinate c becomes p - c.
func negatedTarget(transformed []byte) []byte {
	p := fieldPrime()
	out := bytes.Clone(transformed)
	for at := 8; at < len(out); at += 48 {
		c := bigBytes(out[at : at+48])
		if c.Sign() != 0 {
			c.Sub(p, c).FillBytes(out[at : at+48])
		}
	}
	return out
}

// A header that does not follow its policy is refused before a value is given out. Without that the gateway would be a machine for pairings with sk3 and sk1 of the
// user's own choice: here it gives e(P, sk3^(1/z)) for a point P, up to what the user knows.
func TestTransformRefusesMalformedHeaders(t *testing.T) {
	a := fabeoAuthority(t, "")
	transform, mediated := issueMediated(t, a, always, "a")
	p := publicPart(a.Params())
	for _, text := range []string{"a", "a or b", "(a or b) and (a or c)", "2 of (a, b or a, c)"} {
		policy := fabeoPolicy(t, text)
		sealed, err := a.Params().Seal(policy, []byte("x"), nil)
		require.NoError(t, err)
		_, err = transform.Transform(sealed)
		require.NoError(t, err)
		h, err := decodeHeader(sealed)
		require.NoError(t, err)
		f, err := h.formula()
		require.NoError(t, err)
		enc := h.body[keySize:]
		start := len(h.core) - len(enc)
		rows := pairing.G2Size * (1 + f.tau())
		honest := elements(t, f, enc)
		for i := range f.leaves() {
			point := honest.ct3[i].Add(pairing.G1Generator()).Bytes()
			_, err := transform.Transform(changedAt(sealed, start+rows+i*pairing.G1Size, point[:]...))
			mathematicsSays(t, err, text)
			order3 := make([]byte, pairing.G1Size)
			order3[0] = 0x80
			_, err = transform.Transform(changedAt(sealed, start+rows+i*pairing.G1Size, order3...))
			mathematicsSays(t, err, text)
		}
		for j := range 1 + f.tau() {
			g2 := pairing.G2Generator().Bytes()
			_, err := transform.Transform(changedAt(sealed, start+j*pairing.G2Size, g2[:]...))
			mathematicsSays(t, err, text)
		}
	}

	// ct1 = g2^k, ct2 = g2^s, ct3 = H_b^k H(a)^s P^-1: what the key makes of it is Y^(k/z) e(P, sk3^(1/z)), and z gives the user e(P, sk3).
	f, err := fabeoPolicy(t, "a").expand(nil)
	require.NoError(t, err)
	k, s, P := pairing.RandomScalar(), pairing.RandomScalar(), pairing.HashToG1([]byte("any point"), dstAttribute)
	c := sealedWith(p, f, k, []pairing.Scalar{k})
	c.ct2[1] = pairing.G2Generator().Mul(s)
	c.ct3[0] = p.hb().Mul(k).Add(p.hashes.point(flagAtom("a")).Mul(s))
	require.True(t, p.wellFormed(f, c))
	c.ct3[0] = c.ct3[0].Add(P.Neg())
	require.False(t, p.wellFormed(f, c))
	sk := transform.in().sk
	enc := append(append(g2Bytes(c.ct1), g2Bytes(c.ct2[1])...), g1Bytes(c.ct3[0])...)
	x, err := sk.decrypt(f, enc, []selected{{0, coefficientOne()}})
	require.NoError(t, err)
	leaked := x.Mul(sk.pub.y.Exp(k).Inv())
	require.True(t, leaked.Equal(pairing.PairProduct(pairing.Pair{P: P, Q: sk.sk3})), "the test is blind")
	require.True(t, leaked.Exp(mediated.in().z).Equal(pairing.PairProduct(pairing.Pair{P: P, Q: sk.sk3.Mul(mediated.in().z)})))
}

// Two users behind one gateway gain nothing by exchanging values: each has its own z and its own random numbers.
func TestMediatedUsersDoNotCombine(t *testing.T) {
	a := fabeoAuthority(t, "")
	aliceGateway, alice := issueMediated(t, a, always, "a")
	bobGateway, bob := issueMediated(t, a, always, "b")
	sealed, err := a.Params().Seal(fabeoPolicy(t, "a and b"), []byte("x"), nil)
	require.NoError(t, err)
	for _, gateway := range []*TransformKey{aliceGateway, bobGateway} {
		_, err = gateway.Transform(sealed)
		require.ErrorAs(t, err, new(*DeniedError))
	}
	// Past the gates: the gateway lets each use the other's rows.
	l := newLock(t, a.Params(), "a and b")
	x, y := aliceGateway.in().sk, bobGateway.in().sk
	mixed := map[atom]pairing.G1{flagAtom("a"): x.sk1[flagAtom("a")], flagAtom("b"): y.sk1[flagAtom("b")]}
	for _, sk := range []*fabeoKey{x, y} {
		pooled := &fabeoKey{pub: sk.pub, sk1: mixed, sk2: sk.sk2, sk3: sk.sk3}
		for _, z := range []pairing.Scalar{alice.in().z, bob.in().z, alice.in().z.Mul(bob.in().z)} {
			require.False(t, l.try(t, pooled, everything).Exp(z).Equal(l.d))
		}
	}
}

func TestMediatedEncodings(t *testing.T) {
	a := fabeoAuthority(t, "")
	transform, mediated := issueMediated(t, a, Window{First: 3, Last: 300}, "a", "role = doctor")
	refusesOtherShapes(t, transform.ExposeSecret(), func(b []byte) ([]byte, error) {
		k, err := NewTransformKey(b)
		if err != nil {
			return nil, err
		}
		return k.ExposeSecret(), nil
	})
	refusesOtherShapes(t, mediated.ExposeSecret(), func(b []byte) ([]byte, error) {
		k, err := NewMediatedKey(b)
		if err != nil {
			return nil, err
		}
		return k.ExposeSecret(), nil
	})
	// Nothing in them can be changed: every byte is under the ID or under the equations.
	for at := range mediated.ExposeSecret() {
		if at%13 != 0 && testing.Short() {
			continue
		}
		b := mediated.ExposeSecret()
		b[at] ^= 1
		_, err := NewMediatedKey(b)
		require.ErrorIs(t, err, ErrFormat, "byte %d", at)
	}
	for at := 600; at < len(transform.ExposeSecret()); at += 5 {
		b := transform.ExposeSecret()
		b[at] ^= 1
		_, err := NewTransformKey(b)
		require.ErrorIs(t, err, ErrFormat, "byte %d", at)
	}
	// Components of two transform keys do not pass, nor does a key that is whole in itself with the name of another.
	second, _ := issueMediated(t, a, Window{First: 3, Last: 300}, "a", "role = doctor")
	one, two := transform.ExposeSecret(), second.ExposeSecret()
	for name, cut := range map[string]int{"sk3": len(one) - 96, "sk2 and sk3": len(one) - 144, "all but the id": len(one) - 144 - 48*len(transform.in().sk.atoms)} {
		_, err := NewTransformKey(append(bytes.Clone(one[:cut]), two[cut:]...))
		require.ErrorContains(t, err, "do not belong together", name)
	}
	requireRedacted(t, transform, *transform, mediated, *mediated)
	transform.ExposeSecret()[20] ^= 1
	require.Equal(t, one, transform.ExposeSecret(), "a copy")
}

// A new header for the same payload, with the gateway's help: whom it is for opens, the old one is as it was, and who may not open may not rewrap.
func TestMediatedRewrap(t *testing.T) {
	a, other := fabeoAuthority(t, ""), fabeoAuthority(t, "")
	transform, k := issueMediated(t, a, always, "a")
	companion := bytes.Repeat([]byte{7}, 32)
	opts := &Options{AssociatedData: []byte("ad"), Companion: companion}
	sealed, err := a.Params().Seal(parsePolicy(t, "a"), []byte("chart"), opts)
	require.NoError(t, err)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	x, err := transform.Transform(sealed)
	require.NoError(t, err)

	header, err := k.Rewrap(sealed[:h.Size], x, opts, other.Params(), parsePolicy(t, "b"), &Options{Companion: companion})
	require.NoError(t, err)
	reader, err := other.IssueKey(always, named(t, "b")...)
	require.NoError(t, err)
	plaintext, err := reader.Open(append(header, sealed[h.Size:]...), opts)
	require.NoError(t, err)
	require.Equal(t, "chart", string(plaintext))
	_, err = k.Open(sealed, x, opts)
	require.NoError(t, err)

	// The refusals of Key.Rewrap.
	_, err = k.Rewrap(sealed, x, opts, other.Params(), parsePolicy(t, "b"), nil)
	require.ErrorContains(t, err, "needs a companion key")
	_, err = k.Rewrap(sealed, x, opts, other.Params(), parsePolicy(t, "b"), opts)
	require.ErrorContains(t, err, "associated data")
	_, err = k.Rewrap(sealed, x, &Options{Companion: companion}, other.Params(), parsePolicy(t, "b"), &Options{Companion: companion})
	require.ErrorIs(t, err, ErrDecrypt, "other associated data")
	// Without the right work of the gateway there is nothing to wrap, with a transform key of another user neither.
	_, err = k.Rewrap(sealed, x[:len(x)-1], opts, other.Params(), parsePolicy(t, "b"), &Options{Companion: companion})
	require.ErrorIs(t, err, ErrFormat)
	second, _ := issueMediated(t, a, always, "a")
	wrong, err := second.Transform(sealed)
	require.NoError(t, err)
	_, err = k.Rewrap(sealed, wrong, opts, other.Params(), parsePolicy(t, "b"), &Options{Companion: companion})
	mathematicsRefuses(t, err)
	_, err = new(MediatedKey).Rewrap(sealed, x, opts, other.Params(), parsePolicy(t, "b"), nil)
	require.ErrorContains(t, err, "no mediated key")
}

func TestMediatedRefuses(t *testing.T) {
	a := fabeoAuthority(t, "")
	for want, f := range map[string]func() error{
		"window is empty": func() error { _, _, err := a.IssueMediated(Window{}, named(t, "a")...); return err },
		"at least one":    func() error { _, _, err := a.IssueMediated(always); return err },
		"twice":           func() error { _, _, err := a.IssueMediated(always, named(t, "a", "a")...); return err },
		"no authority":    func() error { _, _, err := new(Authority).IssueMediated(always, named(t, "a")...); return err },
		"no transform":    func() error { _, err := new(TransformKey).Transform(nil); return err },
		"no mediated key": func() error { _, err := new(MediatedKey).Open(nil, nil, nil); return err },
		"no mediated key:": func() error {
			_, err := new(MediatedKey).OpenReaderAt(bytes.NewReader(nil), 0, nil, nil)
			return err
		},
		"truncated": func() error {
			transform, _ := issueMediated(t, a, always, "a")
			_, err := transform.Transform([]byte("vcht"))
			require.ErrorIs(t, err, ErrFormat)
			return err
		},
	} {
		require.ErrorContains(t, f(), want)
	}
}
