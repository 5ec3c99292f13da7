package abe

import (
	"maps"
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
func (l bare) opensByAttack(t testing.TB, f *formula, k *fabeoKey) bool {
	b, ok := attack(rand.New(rand.NewPCG(3, 3)), f, k.has)
	return ok && l.challenge(t, f).opens(b, k)
}

// The soundness test must find the bugs that others shipped: here each is put in, and the pairings open what the policy
// denies.

// circl's CP-ABE before v1.6.3: the whole share to one child of an and.
func TestBugAndGivesItsShareToOneChild(t *testing.T) {
	l := newBare()
	for text, names := range map[string][]string{"a and b": {"a"}, "c and ((a and b) or d)": {"a", "c"}, "2 of (a and b, c, d)": {"a", "c"}} {
		f := parsePolicy(t, text).formula()
		var atoms []atom
		for _, n := range names {
			atoms = append(atoms, flagAtom(n))
		}
		key := l.key(atoms...)
		require.False(t, l.opensByAttack(t, f, key), text)

		// b's row loses its column to nobody: a has the whole share of the gate, b a share of zero.
		broken := slices.Clone(f.rows())
		at := slices.Index(f.atoms, flagAtom("a"))
		broken[at].m = broken[at].m[:len(broken[at].m)-1]
		require.True(t, l.opensByAttack(t, mutant(f, broken, f.cols(), f.tau()), key), "the test is blind")
		_, ok := f.satisfy(key.has)
		require.False(t, ok, "so that evaluator and pairings differ")
	}
}

// The reference code of FABEO: no multi-use index.
func TestBugForgottenTau(t *testing.T) {
	l := newBare()
	f := parsePolicy(t, "(a or b) and (a or c)").formula()
	key := l.key(flagAtom("b"))
	require.Equal(t, 2, f.tau())
	require.False(t, l.opensByAttack(t, f, key))

	broken := slices.Clone(f.rows())
	for i := range broken {
		broken[i].rho = 1
	}
	m := mutant(f, broken, f.cols(), 1)
	require.True(t, l.opensByAttack(t, m, key), "the test is blind")

	// The negative vector itself: the weights of that attack (rows of a cancel each other) on an honest ciphertext.
	ch := l.challenge(t, f)
	b, ok := attack(rand.New(rand.NewPCG(3, 3)), m, key.has)
	require.True(t, ok)
	require.False(t, ch.opens(b, key))
	_, err := key.decapsulate(ch.pre, ch.body, f, []selected{{1, coefficientOne()}})
	require.ErrorIs(t, err, ErrDecrypt)
}

// A threshold gate that gives two kids the same point loses readers, and one that repeats a column gives the secret to fewer than k.
func TestBugThresholdWithALowerDegree(t *testing.T) {
	l := newBare()
	f := parsePolicy(t, "3 of (a, b, c, d)").formula()
	key := l.key(flagAtom("a"), flagAtom("b"))
	require.False(t, l.opensByAttack(t, f, key))
	broken := slices.Clone(f.rows())
	for i := range broken {
		broken[i].m = broken[i].m[:2]
	}
	require.True(t, l.opensByAttack(t, mutant(f, broken, f.cols(), f.tau()), key), "the test is blind")
}

// FAME and the reference code of FABEO hash the special element in the attributes' domain.
func TestBugSpecialElementAmongAttributes(t *testing.T) {
	l := newBare()
	ch := l.challenge(t, parsePolicy(t, "nobody").formula())
	// masterWith opens anything with sk2 / sk1[u] if sk1[u] is H_b^r.
	masterWith := func(k *fabeoKey, sk1 pairing.G1) bool {
		return pairing.PairProduct(pairing.Pair{P: k.sk2.Add(sk1.Neg()), Q: ch.e.ct1}).Equal(ch.d)
	}

	// In the broken variant, an attribute hashes to H_b: its component is H_b^r, and the key opens everything.
	r := pairing.RandomScalar()
	collision := &fabeoKey{sk2: pairing.G1Generator().Mul(l.master.alpha).Add(l.pub().hb().Mul(r))}
	require.True(t, masterWith(collision, l.pub().hb().Mul(r)), "the test is blind")

	// Names that were special elsewhere, the shortest ones, atoms of every type, and the days.
	v, err := ParseVocabulary("n: number 0..3\nb: date 2000-01-01..2000-01-04\ne: many of x, y")
	require.NoError(t, err)
	items, err := v.items([]Attribute{{Name: "a"}, {Name: "x", Value: "0 0"}, {Name: "y", Value: "0"}, {Name: "z", Value: "1"}, {Name: "h-b"}, {Name: "hb"}, {Name: "x", Value: dstBase},
		{Name: "n", Value: "3", Kind: Number}, {Name: "b", Value: "2000-01-02", Kind: Date}, {Name: "e", Value: "x"}})
	require.NoError(t, err)
	var atoms []atom
	types := map[byte]bool{}
	for _, item := range items {
		atoms = append(atoms, itemAtoms(item)...)
	}
	k := l.key(append(atoms, windowAtoms(0, uint16(LastDay))...)...)
	for u, sk1 := range k.sk1 {
		types[u[1]] = true
		require.False(t, masterWith(k, sk1), "%q", u)
		require.False(t, l.pub().hashes.point(u).Equal(l.pub().hb()))
	}
	require.Len(t, types, 6, "all types of atoms")
	// The input of H_b is empty and no atom encodes to that; and the domains differ, so that it would not matter.
	require.NotEqual(t, dstAttribute, dstBase)
	require.False(t, pairing.HashToG1(nil, dstAttribute).Equal(l.pub().hb()))
	require.NotContains(t, k.sk1, atom(""))
}

// Parsers of other libraries read policies as weaker ones: names cut at "_", values and comparisons dropped, an operator inside a name, the rest of
// the line ignored. Here such texts are refused or mean what they say: what the weaker reading asks for does not open, by the mathematics.
func TestBugPoliciesWeakenedByParsers(t *testing.T) {
	for _, text := range []string{"NORTH AND doctor", "north AND doctor", "a and b c", "a and b)", "a; b", "a and b or c", "a and b # c", "a, b", "a and\x00b"} {
		_, err := ParsePolicy(text)
		require.ErrorAs(t, err, new(*SyntaxError), text)
	}
	v, err := ParseVocabulary("age: number 0..150\nborn: date 1900-01-01..2100-12-31\ndept: many of cardiology, psychiatry\nrole: one of doctor, nurse")
	require.NoError(t, err)
	items := func(text string) (atoms []atom) {
		var attributes []Attribute
		for part := range strings.SplitSeq(text, ";") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			u, err := ParseAttribute(part)
			require.NoError(t, err, part)
			attributes = append(attributes, u)
		}
		items, err := v.items(attributes)
		require.NoError(t, err, text)
		for _, item := range items {
			atoms = append(atoms, itemAtoms(item)...)
		}
		return atoms
	}
	l := newBare()
	for _, c := range []struct{ policy, opens, weaker string }{
		{"on_call_doctor", "on_call_doctor", "on; on_call; call; doctor"},
		{"north-and-doctor", "north-and-doctor", "n; north; doctor; th-and-doctor"},
		{"age >= 18", "age = 18", "age = 17; agegroup; ge; x = \"18\""},
		{"age > 18 and age <= 65", "age = 65", "age = 18"},
		{"age in 18..65", "age = 20", "age = 66"},
		{"born < 2000-01-01", "born = 1999-12-31", "born = 2000-01-01"},
		{"team = \"a or b\"", "team = \"a or b\"", "team = a; team = b; a; b; team = \"a and b\""},
		{"team = intensive", "team = intensive", "team = \"intensive care\"; team = INTENSIVE; team = Intensive; intensive"},
		{"nurse and not dept = psychiatry", "nurse; dept = cardiology", "nurse; dept = psychiatry"},
		{"role != nurse", "role = doctor", "role = nurse"},
		{"2 of (a, b, c)", "a; c", "a; d; e"},
	} {
		p := parsePolicy(t, c.policy)
		f, err := p.expand(v)
		require.NoError(t, err)
		ch := l.challenge(t, f)
		rng := rand.New(rand.NewPCG(5, 5))
		ch.check(t, rng, l.key(items(c.opens)...), true)
		for range 8 { // each goes through all of decapsulation one time in eight
			ch.check(t, rng, l.key(items(c.weaker)...), false)
		}
		require.Equal(t, 1, ch.finish(t), c.policy)
	}
}

// Components of two keys do not combine, by product, mean, mixture or row by row.
func TestKeysDoNotCombine(t *testing.T) {
	l := newBare()
	const day = 20778
	f := parsePolicy(t, "a and b").formula().withAnyOf(dayAtoms(day))
	ch := l.challenge(t, f)
	u, v, days := flagAtom("a"), flagAtom("b"), windowAtoms(day-3, day+3)
	x, y := l.key(append([]atom{u}, days...)...), l.key(append([]atom{v}, days...)...)
	expired := l.key(append([]atom{u, v}, windowAtoms(day-30, day-1)...)...)
	whole := l.key(append([]atom{u, v}, days...)...)
	all, ok := f.satisfy(whole.has)
	require.True(t, ok)
	require.Len(t, all, 3, "a, b and the day")
	_, err := whole.decapsulate(ch.pre, ch.body, f, all)
	require.NoError(t, err)

	require.True(t, whole.consistent())
	for name, k := range map[string]fabeoKey{
		"x with the other's attribute":  {sk2: x.sk2, sk3: x.sk3},
		"y with the other's attribute":  {sk2: y.sk2, sk3: y.sk3},
		"sk2 of x, sk3 of y":            {sk2: x.sk2, sk3: y.sk3},
		"products of sk2 and sk3":       {sk2: x.sk2.Add(y.sk2), sk3: x.sk3.Add(y.sk3)},
		"mean of both, with sk2 halved": {sk2: half(x.sk2.Add(y.sk2)), sk3: halfG2(x.sk3.Add(y.sk3))},
		"an expired key":                {sk2: expired.sk2, sk3: expired.sk3},
	} {
		for whose, own := range map[string][3]*fabeoKey{"days of x": {x, y, x}, "days of y": {x, y, y}, "expired with the days of x": {expired, expired, x}} {
			pool := k
			pool.pub, pool.atoms, pool.sk1 = l.pub(), whole.atoms, maps.Clone(own[2].sk1)
			pool.sk1[u], pool.sk1[v] = own[0].sk1[u], own[1].sk1[v]
			_, err := pool.decapsulate(ch.pre, ch.body, f, all)
			require.ErrorIs(t, err, ErrDecrypt, "%s, %s", name, whose)
			require.False(t, pool.consistent(), "%s, %s", name, whose)
			means := pool
			means.sk1 = maps.Clone(pool.sk1)
			for at := range x.sk1 {
				if q, both := y.sk1[at]; both {
					means.sk1[at] = half(x.sk1[at].Add(q))
				}
			}
			_, err = means.decapsulate(ch.pre, ch.body, f, all)
			require.ErrorIs(t, err, ErrDecrypt, "%s, %s, means of the days", name, whose)
		}
	}

	// With both keys, each row paired with the sk3 of the key that owns it: the shares are masked by different r.
	at := f.atoms[all[2].row]
	pooled := func(x, y *fabeoKey, sk2 pairing.G1) bool {
		return pairing.PairProduct(pairing.Pair{P: sk2, Q: ch.e.ct1}, pairing.Pair{P: x.sk1[u].Add(x.sk1[at]).Add(y.sk1[v]), Q: ch.e.ct2[1]},
			pairing.Pair{P: ch.e.ct3[0].Add(ch.e.ct3[all[2].row]), Q: x.sk3, Inverse: true}, pairing.Pair{P: ch.e.ct3[1], Q: y.sk3, Inverse: true}).Equal(ch.d)
	}
	require.True(t, pooled(whole, whole, whole.sk2), "the formula is right for one key")
	require.False(t, pooled(x, y, x.sk2))
	require.False(t, pooled(x, y, y.sk2))
	require.False(t, pooled(x, y, half(x.sk2.Add(y.sk2))))
}

func halfScalar() pairing.Scalar { return pairing.ScalarFromInt64(2).Inv() }

func half(p pairing.G1) pairing.G1   { return p.Mul(halfScalar()) }
func halfG2(p pairing.G2) pairing.G2 { return p.Mul(halfScalar()) }
