package abe

import (
	"bytes"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

func parsePolicy(t testing.TB, text string) *Policy {
	p, err := ParsePolicy(text)
	require.NoError(t, err)
	return p
}

func flags(names ...string) (attributes []Attribute) {
	for _, n := range names {
		attributes = append(attributes, Attribute{Name: n})
	}
	return attributes
}

// always is the window of tests that are not about windows, testDay a day inside.
var always = Window{First: 0, Last: LastDay}

const testDay Day = 20778

func issue(t testing.TB, a *Authority, names ...string) *Key {
	k, err := a.IssueKey(always, flags(names...)...)
	require.NoError(t, err)
	return k
}

// keyFor makes a key without the rules of IssueKey.
func keyFor(a *Authority, attributes ...Attribute) *Key {
	var items []atom
	for _, u := range attributes {
		items = append(items, u.atom())
	}
	slices.Sort(items)
	k, err := a.issue(always, items)
	if err != nil {
		panic(err)
	}
	return k
}

func generate(t testing.TB) *Authority {
	a, err := GenerateAuthority(FABEO, nil)
	require.NoError(t, err)
	return a
}

// The parts of FABEO.
func fabeoOf(k *Key) *fabeoKey                { return k.in().secret.(*fabeoKey) }
func fabeoPublicOf(p *Params) *fabeoPublic    { return p.public.(*fabeoPublic) }
func fabeoMasterOf(a *Authority) *fabeoMaster { return a.in().master.(*fabeoMaster) }
func (h *header) c0() []byte                  { return h.body[:keySize] }
func (h *header) enc() []byte                 { return h.body[keySize:] }
func (p *Policy) onDay(day Day) *formula      { return p.formula().withDay(day) }
func withSecret(k *Key, s *fabeoKey) *Key     { parts := *k.in(); parts.secret = s; return keyOf(&parts) }

// encapsulateSigma is encapsulate without ML-KEM for a given sigma.
func (s *sealer) encapsulateSigma(sigma [keySize]byte) (core []byte, K [keySize]byte) {
	pre := s.appendPre(nil, nil)
	core = append(pre, s.params.public.(*fabeoPublic).encapsulateSigma(pre, s.formula, sigma)...)
	return core, sharedKey(sigma, nil, s.companion, core)
}

func encapsulate(t testing.TB, p *Params, policy *Policy) (core []byte, K [keySize]byte) {
	s, err := p.sealer(policy, nil)
	require.NoError(t, err)
	core, K, err = s.encapsulate()
	require.NoError(t, err)
	return core, K
}

// mutant is f with another share matrix and another tau: what a library with a bug in them would seal with.
func mutant(f *formula, rows []row, cols, tau int) *formula {
	m := *f
	m.most = tau
	m.matrix = func() ([]row, int) { return rows, cols }
	return &m
}

// opensByAttack solves the attacker's system for k and tries the solution with pairings.
func opensByAttack(t testing.TB, s *sampler, p *Policy, f *formula, k *Key) bool {
	b, ok := attack(rand.New(rand.NewPCG(3, 3)), f, k.has)
	if !ok {
		return false
	}
	return s.challengeWith(t, p, f).opens(t, withRows(f, publicScalars(b), k, nothing), k)
}

func publicScalars(b []*big.Int) (weights []pairing.Scalar) {
	for _, x := range b {
		weights = append(weights, publicScalar(x))
	}
	return weights
}

// The soundness test must find the bugs that others shipped: here each is put in, and the pairings open what the policy
// denies.

// circl's CP-ABE before v1.6.3: the whole share to one child of an and.
func TestBugAndGivesItsShareToOneChild(t *testing.T) {
	s := newSampler(t, 0)
	p := parsePolicy(t, "a and b")
	f := p.onDay(testDay)
	key := issue(t, s.authority, "a")
	require.False(t, opensByAttack(t, s, p, f, key))

	one := newCoefficient(big.NewInt(1))
	broken := slices.Clone(f.rows())
	for i := range broken {
		broken[i].m = []term{{min(i, 2), one}}
	}
	require.True(t, opensByAttack(t, s, p, mutant(f, broken, f.cols(), f.tau()), key), "the test is blind")
	_, ok := f.satisfy(key.has)
	require.False(t, ok, "so that evaluator and pairings differ")
}

// The reference code of FABEO: no multi-use index.
func TestBugForgottenTau(t *testing.T) {
	s := newSampler(t, 0)
	p := parsePolicy(t, "(a or b) and (a or c)")
	f := p.onDay(testDay)
	key := issue(t, s.authority, "b")
	require.Equal(t, 2, f.tau())
	require.False(t, opensByAttack(t, s, p, f, key))

	broken := slices.Clone(f.rows())
	for i := range broken {
		broken[i].rho = 1
	}
	m := mutant(f, broken, f.cols(), 1)
	require.True(t, opensByAttack(t, s, p, m, key), "the test is blind")

	// The negative vector itself: the weights of that attack (rows of a cancel each other) on an honest object.
	ch := s.challenge(t, p)
	b, ok := attack(rand.New(rand.NewPCG(3, 3)), m, key.has)
	require.True(t, ok)
	require.False(t, ch.opens(t, withRows(f, publicScalars(b), key, nothing), key))
	_, err := ch.decapsulate(key, []selected{{1, newCoefficient(big.NewInt(1))}, {4, newCoefficient(big.NewInt(1))}})
	require.ErrorIs(t, err, ErrDecrypt)
}

// FAME and the reference code of FABEO hash the special element in the attributes' domain.
func TestBugSpecialElementAmongAttributes(t *testing.T) {
	s := newSampler(t, 0)
	pub := fabeoPublicOf(s.authority.Params())
	ch := s.challenge(t, parsePolicy(t, "nobody"))
	// masterWith opens anything with sk2 / sk1[u] if sk1[u] is H_b^r.
	masterWith := func(k *fabeoKey, sk1 pairing.G1) bool {
		ct1, err := pairing.NewG2(ch.h.enc()[:pairing.G2Size])
		require.NoError(t, err)
		return pairing.PairProduct(pairing.Pair{P: k.sk2.Add(sk1.Neg()), Q: ct1}).Equal(ch.d)
	}

	// In the broken variant, an attribute hashes to H_b: its component is H_b^r, and the key opens everything.
	r := pairing.RandomScalar()
	collision := &fabeoKey{sk2: pairing.G1Generator().Mul(fabeoMasterOf(s.authority).alpha).Add(pub.hb().Mul(r))}
	require.True(t, masterWith(collision, pub.hb().Mul(r)), "the test is blind")

	// Names that were special elsewhere, and the shortest ones, and the days.
	for _, u := range []Attribute{{Name: "a"}, {Name: "x", Value: "0 0"}, {Name: "x", Value: "0"}, {Name: "x", Value: "1"}, {Name: "h-b"}, {Name: "hb"}, {Name: "x", Value: "\u0000"}, {Name: "x", Value: dstBase}} {
		k, err := s.authority.IssueKey(always, u)
		require.NoError(t, err)
		require.Len(t, fabeoOf(k).sk1, 5)
		for u, sk1 := range fabeoOf(k).sk1 {
			require.False(t, masterWith(fabeoOf(k), sk1), "%q", u)
			require.False(t, pub.hashes.point(u).Equal(pub.hb()))
		}
	}
	// The input of H_b is empty and no attribute encodes to that; and the domains differ, so that it would not matter.
	require.NotEqual(t, dstAttribute, dstBase)
	require.False(t, pairing.HashToG1(nil, dstAttribute).Equal(pub.hb()))
	require.NotEmpty(t, Attribute{Name: "a"}.encode())
}

func TestKeysDoNotCombine(t *testing.T) {
	a := generate(t)
	s := &sampler{authority: a}
	p := parsePolicy(t, "a and b")
	ch := s.challenge(t, p)
	alice, bob := issue(t, a, "a"), issue(t, a, "b")
	whole := issue(t, a, "a", "b")
	both, ok := ch.f.satisfy(whole.has)
	require.True(t, ok)
	require.Len(t, both, 3, "a, b and the day")
	_, err := ch.decapsulate(whole, both)
	require.NoError(t, err)

	u, v := Attribute{Name: "a"}.atom(), Attribute{Name: "b"}.atom()
	x, y := fabeoOf(alice), fabeoOf(bob)
	for name, k := range map[string]fabeoKey{
		"alice with bob's b":            {sk2: x.sk2, sk3: x.sk3},
		"bob with alice's a":            {sk2: y.sk2, sk3: y.sk3},
		"alice's sk2, bob's sk3":        {sk2: x.sk2, sk3: y.sk3},
		"sums of sk2 and sk3":           {sk2: x.sk2.Add(y.sk2), sk3: x.sk3.Add(y.sk3)},
		"mean of both, with sk2 halved": {sk2: half(x.sk2.Add(y.sk2)), sk3: halfG2(x.sk3.Add(y.sk3))},
	} {
		for whose, days := range map[string]*fabeoKey{"alice's days": x, "bob's days": y} {
			pool := k
			pool.pub, pool.atoms, pool.sk1 = x.pub, fabeoOf(whole).atoms, maps.Clone(days.sk1)
			pool.sk1[u], pool.sk1[v] = x.sk1[u], y.sk1[v]
			_, err := ch.decapsulate(withSecret(whole, &pool), both)
			require.ErrorIs(t, err, ErrDecrypt, "%s, %s", name, whose)
			require.False(t, pool.consistent(), "%s, %s", name, whose)
		}
	}

	// With both keys, each row paired with the sk3 of the key that owns it: the shares are masked by different r.
	ct1, err := pairing.NewG2(ch.h.enc()[:pairing.G2Size])
	require.NoError(t, err)
	ct2, err := pairing.NewG2(ch.h.enc()[pairing.G2Size:][:pairing.G2Size])
	require.NoError(t, err)
	row := func(i int) pairing.G1 {
		point, err := pairing.NewG1(ch.h.enc()[2*pairing.G2Size+both[i].row*pairing.G1Size:][:pairing.G1Size])
		require.NoError(t, err)
		return point
	}
	day := ch.f.atoms[both[2].row]
	pooled := func(x, y *fabeoKey, sk2 pairing.G1) bool {
		return pairing.PairProduct(pairing.Pair{P: sk2, Q: ct1}, pairing.Pair{P: x.sk1[u].Add(x.sk1[day]).Add(y.sk1[v]), Q: ct2},
			pairing.Pair{P: row(0).Add(row(2)), Q: x.sk3, Inverse: true}, pairing.Pair{P: row(1), Q: y.sk3, Inverse: true}).Equal(ch.d)
	}
	w := fabeoOf(whole)
	require.True(t, pooled(w, w, w.sk2), "the formula is right for one key")
	require.False(t, pooled(x, y, x.sk2))
	require.False(t, pooled(x, y, y.sk2))
}

func halfScalar() pairing.Scalar {
	return publicScalar(new(big.Int).ModInverse(big.NewInt(2), groupOrder))
}

func half(p pairing.G1) pairing.G1   { return p.Mul(halfScalar()) }
func halfG2(p pairing.G2) pairing.G2 { return p.Mul(halfScalar()) }

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
	identity := func(size int) []byte { b := make([]byte, size); b[0] = 0xc0; return b }
	orderThree := func(size int) []byte { b := make([]byte, size); b[0] = 0x80; return b } // in G1: the point (0, 2)
	offCurve := func(size int) []byte { b := bytes.Repeat([]byte{1}, size); b[0] |= 0x80; return b }
	shifted := func(b []byte) []byte { // by the point of order three; a sum over rows with weights that are multiples of 3 would miss it
		if len(b) != pairing.G1Size {
			return orderThree(len(b))
		}
		return plusOrderThree(b)
	}
	negated := func(b []byte) []byte { b = bytes.Clone(b); b[0] ^= 0x20; return b }
	uncompressed := func(b []byte) []byte { b = bytes.Clone(b); b[0] &^= 0x80; return b }
	for name, place := range map[string]struct{ at, size int }{
		"ct1": {0, pairing.G2Size}, "ct2": {pairing.G2Size, pairing.G2Size},
		"ct3 used": {2 * pairing.G2Size, pairing.G1Size}, "ct3 not used": {2*pairing.G2Size + pairing.G1Size, pairing.G1Size},
	} {
		original := h.enc()[place.at : place.at+place.size]
		for kind, point := range map[string][]byte{
			"identity": identity(place.size), "order three": orderThree(place.size), "off the curve": offCurve(place.size),
			"plus order three": shifted(original), "negated": negated(original), "uncompressed": uncompressed(original),
		} {
			b := bytes.Clone(sealed)
			copy(b[start+place.at:], point)
			_, err := k.Open(b, nil)
			require.ErrorIs(t, err, ErrDecrypt, "%s: %s", name, kind)
			require.NotErrorAs(t, err, new(*DeniedError))
		}
	}
}

// A sealer who does not follow the coins is refused, although the pairings give the right d: the check of Fujisaki and Okamoto.
func TestDishonestEncapsulation(t *testing.T) {
	s := newSampler(t, 0)
	pub := fabeoPublicOf(s.authority.Params())
	k := issue(t, s.authority, "a")
	f := parsePolicy(t, "a or b").onDay(testDay)
	sel, ok := f.satisfy(k.has)
	require.True(t, ok)
	pre := []byte("what stands before")
	sigma := [keySize]byte{1}
	enc, s1 := pub.encrypt(f, coins{xof(labelCoins, []byte("other coins"), pre)})
	d := pub.y.Exp(s1).Bytes()
	mask := derive(labelMask, d[:], pre, enc)
	var body []byte
	for i := range sigma {
		body = append(body, sigma[i]^mask[i])
	}
	body = append(body, enc...)
	got, err := fabeoOf(k).decrypt(f, enc, sel)
	require.NoError(t, err)
	require.Equal(t, d, got.Bytes(), "the pairings see nothing wrong")
	_, err = fabeoOf(k).decapsulate(pre, body, f, sel)
	require.ErrorIs(t, err, ErrDecrypt)
	_, err = fabeoOf(k).decapsulate(pre, pub.encapsulateSigma(pre, f, sigma), f, sel)
	require.NoError(t, err, "with its coins it opens")
}

// plusOrderThree adds (0, 2) to a compressed point of y^2 = x^3 + 4.
func plusOrderThree(b []byte) []byte {
	q, _ := new(big.Int).SetString("1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16)
	mod := func(n *big.Int) *big.Int { return n.Mod(n, q) }
	compressed := bytes.Clone(b)
	big1 := compressed[0]&0x20 != 0
	compressed[0] &= 0x1f
	x := new(big.Int).SetBytes(compressed)
	root := func(x *big.Int) *big.Int {
		return new(big.Int).ModSqrt(mod(new(big.Int).Add(new(big.Int).Exp(x, big.NewInt(3), q), big.NewInt(4))), q)
	}
	isBig := func(y *big.Int) bool { return new(big.Int).Lsh(y, 1).Cmp(q) > 0 }
	y := root(x)
	if isBig(y) != big1 {
		y.Sub(q, y)
	}
	slope := mod(new(big.Int).Mul(new(big.Int).Sub(y, big.NewInt(2)), new(big.Int).ModInverse(x, q)))
	sx := mod(new(big.Int).Sub(new(big.Int).Mul(slope, slope), x)) // x3 = slope^2 - x - 0
	sy := mod(new(big.Int).Sub(new(big.Int).Mul(slope, new(big.Int).Neg(sx)), big.NewInt(2)))
	out := sx.FillBytes(make([]byte, len(b)))
	out[0] |= 0x80
	if isBig(sy) {
		out[0] |= 0x20
	}
	return out
}
