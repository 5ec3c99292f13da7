package abe

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

func split(t testing.TB, a *Authority, threshold, n int) (*IssuerSet, []*Issuer) {
	set, issuers, err := a.Split(threshold, n)
	require.NoError(t, err)
	require.Len(t, issuers, n)
	return set, issuers
}

func request(t testing.TB, set *IssuerSet, texts ...string) *Request {
	r, err := set.Request("Ada Weber, ward 3", always, named(t, texts...)...)
	require.NoError(t, err)
	return r
}

func approvals(t testing.TB, r *Request, issuers ...*Issuer) (all [][]byte) {
	for _, i := range issuers {
		approval, err := i.Approve(r)
		require.NoError(t, err)
		all = append(all, approval)
	}
	return all
}

// partials runs both rounds with the issuers, of which there are enough.
func partials(t testing.TB, r *Request, issuers ...*Issuer) (all []*PartialKey) {
	approved := approvals(t, r, issuers...)
	for _, i := range issuers {
		partial, err := i.Issue(r, approved...)
		require.NoError(t, err)
		all = append(all, partial)
	}
	return all
}

// subsets of 0..n-1 with size elements.
func subsets(n, size int) (all [][]int) {
	for set := range 1 << n {
		var one []int
		for i := range n {
			if set>>i&1 == 1 {
				one = append(one, i)
			}
		}
		if len(one) == size {
			all = append(all, one)
		}
	}
	return all
}

func pick[T any](from []T, at []int) (out []T) {
	for _, i := range at {
		out = append(out, from[i])
	}
	return out
}

// asKey is a partial key as a key: for the authority of its issuer's share.
func asKey(set *IssuerSet, r *Request, partial *PartialKey) *fabeoKey {
	p := partial.in()
	sk := &fabeoKey{pub: set.public.withY(set.ys[p.issuer-1]), atoms: r.atoms(), sk1: map[atom]pairing.G1{}, sk2: p.sk2, sk3: p.sk3}
	for n, u := range sk.atoms {
		sk.sk1[u] = p.sk1[n]
	}
	return sk
}

// Every t of the issuers make a key that passes the check of keys and opens what one of the whole authority opens. Fewer are refused, and past the gate what
// they have is no key.
func TestThreshold(t *testing.T) {
	sizes := [][2]int{{2, 2}, {2, 3}, {3, 5}, {4, 5}}
	if testing.Short() {
		sizes = sizes[1:3]
	}
	for _, size := range sizes {
		threshold, n := size[0], size[1]
		a := fabeoAuthority(t, "")
		set, issuers := split(t, a, threshold, n)
		gotT, gotN := set.Threshold()
		require.Equal(t, size, [2]int{gotT, gotN})
		require.Equal(t, a.Params().Bytes(), set.Params().Bytes())
		r := request(t, set, "role = doctor", "on-call")
		all := partials(t, r, issuers...)
		l := newLock(t, a.Params(), "role = doctor and on-call")
		sealed, err := a.Params().Seal(fabeoPolicy(t, "role = doctor and on-call"), []byte("x"), nil)
		require.NoError(t, err)
		seen := map[string]bool{}
		for _, who := range subsets(n, threshold) {
			k, err := set.Combine(r, pick(all, who)...)
			require.NoError(t, err)
			require.ElementsMatch(t, named(t, "role = doctor", "on-call"), k.Attributes())
			require.Equal(t, always, k.Window())
			require.NoError(t, k.Check())
			loaded, err := NewKey(k.ExposeSecret())
			require.NoError(t, err)
			plaintext, err := loaded.Open(sealed, nil)
			require.NoError(t, err)
			require.Equal(t, "x", string(plaintext))
			require.True(t, l.opens(t, components(k)))
			require.False(t, newLock(t, a.Params(), "role = doctor and x").try(t, components(k), everything).Equal(l.d))
			seen[string(k.ExposeSecret())] = true
		}
		require.Len(t, seen, len(subsets(n, threshold)), "each subset has its own random number")
		for size := range threshold {
			for _, who := range subsets(n, size) {
				_, err := set.Combine(r, pick(all, who)...)
				require.ErrorContains(t, err, "ask more of them")
				if size == 0 {
					continue
				}
				var parts []*partialParts
				for _, i := range who {
					parts = append(parts, all[i].in())
				}
				sk := combine(set.public, r.atoms(), parts)
				require.False(t, sk.consistent(), "%d of %d by %v", threshold, n, who)
				require.False(t, l.opens(t, sk), "%d of %d by %v", threshold, n, who)
			}
		}
		for _, partial := range all {
			require.False(t, l.opens(t, asKey(set, r, partial)), "a partial key is no key")
		}
		if n > threshold { // more than enough is fine
			_, err := set.Combine(r, all...)
			require.NoError(t, err)
		}
	}
}

// t-1 shares and Y say nothing of the master secret: with them, one key of the whole authority for S stands for a partial key of any other issuer for S, and nobody
// can tell. This is the simulator of docs/spec/issuing.md: a partial key counts as a whole key.
func TestPartialKeyIsWorthAKey(t *testing.T) {
	const threshold, n = 3, 5
	a := fabeoAuthority(t, "")
	set, issuers := split(t, a, threshold, n)
	r := request(t, set, "a", "b")
	whole := a.in().master.(*fabeoMaster).keyGen(r.atoms())
	corrupted := []int{2, 5}
	honest := 4
	at := append([]int{0}, corrupted...) // alpha_4 = l_0 alpha + l_2 alpha_2 + l_5 alpha_5, by the polynomial through 0, 2 and 5
	weight := func(x int) pairing.Scalar {
		num, den := pairing.ScalarFromInt64(1), pairing.ScalarFromInt64(1)
		for _, z := range at {
			if z != x {
				num, den = num.Mul(pairing.ScalarFromInt64(int64(honest-z))), den.Mul(pairing.ScalarFromInt64(int64(x-z)))
			}
		}
		return num.Mul(den.Inv())
	}
	simulated := &partialParts{request: r.id(), issuer: honest, sk2: whole.sk2.Mul(weight(0)), sk3: whole.sk3.Mul(weight(0))}
	for _, u := range whole.atoms {
		simulated.sk1 = append(simulated.sk1, whole.sk1[u].Mul(weight(0)))
	}
	for _, i := range corrupted {
		simulated.sk2 = simulated.sk2.Add(pairing.G1Generator().Mul(issuers[i-1].in().master.alpha.Mul(weight(i))))
	}
	require.NoError(t, set.Verify(r, &PartialKey{hidden: &simulated}))

	// The other way round: t-1 corrupted issuers and one partial key of an honest one are a whole key for its set.
	_, err := NewKey(func() []byte {
		k, err := set.Combine(r, &PartialKey{hidden: &simulated}, partials(t, r, issuers[1], issuers[4], issuers[0])[0], partials(t, r, issuers[1], issuers[4], issuers[0])[1])
		require.NoError(t, err)
		return k.ExposeSecret()
	}())
	require.NoError(t, err)
}

// A partial key of issuer i opens Y_i^s1 if its set satisfies the policy. t such values, of t issuers, give d by Lagrange in the target group: of different sets, of
// different people. One set that does not satisfy, or one value less, and they do not.
func TestPartialKeysPool(t *testing.T) {
	const threshold, n = 3, 4
	a := fabeoAuthority(t, "")
	set, issuers := split(t, a, threshold, n)
	type grant struct {
		r       *Request
		partial *PartialKey
	}
	give := func(i int, texts ...string) grant { // issuer i, from 0; the others only approve
		r := request(t, set, texts...)
		partial, err := issuers[i].Issue(r, approvals(t, r, issuers[0], issuers[1], issuers[3])...)
		require.NoError(t, err)
		return grant{r, partial}
	}
	const policy = "(a and b) or (c and d) or e"
	l := newLock(t, a.Params(), policy)
	value := func(g grant) pairing.GT { return l.try(t, asKey(set, g.r, g.partial), everything) }
	pool := func(grants ...grant) bool {
		var at []int
		for _, g := range grants {
			at = append(at, g.partial.Issuer())
		}
		d := pairing.GTIdentity()
		for _, g := range grants {
			lambda := newCoefficient(lagrange(g.partial.Issuer(), at)).scalar()
			sel, ok := l.f.satisfy(asKey(set, g.r, g.partial).has)
			x := value(g)
			if ok {
				var err error
				x, err = asKey(set, g.r, g.partial).decrypt(l.f, l.enc, sel)
				require.NoError(t, err)
				require.True(t, x.Equal(set.ys[g.partial.Issuer()-1].Exp(l.s1)), "Y_i^s1")
			} else {
				require.False(t, x.Equal(set.ys[g.partial.Issuer()-1].Exp(l.s1)))
			}
			d = d.Mul(x.Exp(lambda))
		}
		return d.Equal(l.d)
	}
	ab, cd, e, ac := give(0, "a", "b"), give(1, "c", "d", "x"), give(2, "e"), give(2, "a", "c")
	extra := give(3, "e", "a")
	require.True(t, pool(ab, cd, e), "three people, three satisfying sets, three issuers")
	require.True(t, pool(ab, extra, cd))
	require.False(t, pool(ab, cd, ac), "the set of one does not satisfy")
	require.False(t, pool(ab, cd), "two of three")
	require.False(t, pool(ab, give(0, "e"), cd), "two of one issuer")
	require.False(t, pool(give(0, "a"), give(1, "b"), give(2, "c", "a")), "no set satisfies, though their union does")

	// As keys they pool for what all sets have in common, and for nothing more: this is no more than each of the sets was given.
	ab3, abx, aby := give(2, "a", "b", "z"), give(0, "a", "b", "x"), give(1, "a", "b", "y")
	grants := []grant{abx, aby, ab3}
	var parts []*partialParts
	for _, g := range grants {
		parts = append(parts, g.partial.in())
	}
	merged := combineByAtom(set, grants[0].r, grants[1].r, grants[2].r, parts)
	common := *merged
	common.atoms = []atom{flagAtom("a"), flagAtom("b")}
	require.True(t, common.consistent(), "what all three have")
	require.True(t, l.opens(t, &common))
	for _, extra := range []string{"x", "y", "z"} {
		claimed := *merged
		claimed.atoms = []atom{flagAtom("a"), flagAtom("b"), flagAtom(extra)}
		require.False(t, claimed.consistent(), "%s is in one set only", extra)
		require.False(t, newLock(t, a.Params(), "a and "+extra).opens(t, merged))
	}
}

// combineByAtom is combine for partial keys of different requests: what some of them lack is left out of its sum.
func combineByAtom(set *IssuerSet, r1, r2, r3 *Request, parts []*partialParts) *fabeoKey {
	requests := []*Request{r1, r2, r3}
	at := []int{parts[0].issuer, parts[1].issuer, parts[2].issuer}
	sk := &fabeoKey{pub: set.public, sk1: map[atom]pairing.G1{}, sk2: pairing.G1Identity(), sk3: pairing.G2Identity()}
	for i, p := range parts {
		lambda := newCoefficient(lagrange(p.issuer, at)).scalar()
		for n, u := range requests[i].atoms() {
			sum, ok := sk.sk1[u]
			if !ok {
				sum = pairing.G1Identity()
			}
			sk.sk1[u] = sum.Add(p.sk1[n].Mul(lambda))
		}
		sk.sk2, sk.sk3 = sk.sk2.Add(p.sk2.Mul(lambda)), sk.sk3.Add(p.sk3.Mul(lambda))
	}
	return sk
}

// One request, one partial key, however often and wherever the issuer is asked. Another request, even with the same nonce, another random number: with the same,
// two keys would be one for the union of their sets.
func TestIssueIsDeterministicForOneRequestOnly(t *testing.T) {
	a := fabeoAuthority(t, "")
	set, issuers := split(t, a, 2, 2)
	r := request(t, set, "a")
	first := partials(t, r, issuers...)
	copyOf, err := NewIssuer(issuers[0].ExposeSecret(), set)
	require.NoError(t, err)
	sent, err := NewRequest(r.Bytes())
	require.NoError(t, err)
	again, err := copyOf.Issue(sent, approvals(t, r, issuers[1], issuers[0])...)
	require.NoError(t, err)
	require.Equal(t, first[0].ExposeSecret(), again.ExposeSecret())
	require.NotEqual(t, first[0].in().sk3.Bytes(), first[1].in().sk3.Bytes(), "issuers differ")

	// The holder chooses the nonce: the same one for another set, another person, another window.
	same := func(change func(*Request)) *Request {
		other := *request(t, set, "b")
		other.nonce, other.holding = r.nonce, r.holding
		change(&other)
		other.encoding = other.encode()
		decoded, err := NewRequest(other.encoding)
		require.NoError(t, err)
		return decoded
	}
	b := request(t, set, "b")
	for name, other := range map[string]*Request{
		"set": same(func(o *Request) { o.holding = b.holding }), "window": same(func(o *Request) { o.holding.window.First = 1 }), "holder": same(func(o *Request) { o.holder = "Eve" }),
	} {
		partial := partials(t, other, issuers...)[0]
		require.NotEqual(t, first[0].in().sk3.Bytes(), partial.in().sk3.Bytes(), name)
	}
	l := newLock(t, a.Params(), "a and b")
	union := func(x, y *fabeoKey) *fabeoKey {
		return &fabeoKey{pub: x.pub, sk1: map[atom]pairing.G1{flagAtom("a"): x.sk1[flagAtom("a")], flagAtom("b"): y.sk1[flagAtom("b")]}, sk2: x.sk2, sk3: x.sk3}
	}
	m, reused := a.in().master.(*fabeoMaster), pairing.RandomScalar()
	require.True(t, l.opens(t, union(m.keyGenWith([]atom{flagAtom("a")}, reused), m.keyGenWith([]atom{flagAtom("b")}, reused))), "what a reused r would do")
	rb := same(func(o *Request) { o.holding = b.holding })
	ka, err := set.Combine(r, first...)
	require.NoError(t, err)
	kb, err := set.Combine(rb, partials(t, rb, issuers...)...)
	require.NoError(t, err)
	require.False(t, l.opens(t, union(components(ka), components(kb))))
}

// Shares of two dealings do not mix, and polynomials of a wrong degree, or with one value off, are seen from the public values.
func TestIssuerSetChecksTheShares(t *testing.T) {
	a := fabeoAuthority(t, "")
	y := publicPart(a.Params()).y
	g := pairing.PairProduct(pairing.Pair{P: pairing.G1Generator(), Q: pairing.G2Generator()})
	shares := func(degree, n int) (f []pairing.Scalar, ys []pairing.GT) {
		f = []pairing.Scalar{a.in().master.(*fabeoMaster).alpha}
		for range degree {
			f = append(f, pairing.RandomScalar())
		}
		for i := range n {
			ys = append(ys, g.Exp(evaluate(f, i+1)))
		}
		return f, ys
	}
	for n := 2; n <= 6; n++ {
		for degree := 0; degree <= n; degree++ {
			_, ys := shares(degree, n)
			for threshold := 2; threshold <= n; threshold++ {
				require.Equal(t, degree == threshold-1, shareOf(y, ys, threshold), "degree %d, %d of %d", degree, threshold, n)
			}
			if degree < 1 || degree > n-1 {
				continue
			}
			for i := range ys {
				wrong := slices.Clone(ys)
				wrong[i] = wrong[i].Mul(g)
				require.False(t, shareOf(y, wrong, degree+1), "issuer %d", i+1)
			}
			require.False(t, shareOf(y.Mul(g), ys, degree+1), "another authority's Y")
		}
	}

	set, issuers := split(t, a, 2, 3)
	good := set.Bytes()
	start := 8 + 4 + len(a.Params().Bytes()) + 2
	second, _ := split(t, a, 2, 3)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"threshold 3":         {changedAt(good, start-2, 3), "do not share"},
		"threshold 1":         {changedAt(good, start-2, 1), "not possible"},
		"threshold 4":         {changedAt(good, start-2, 4), "not possible"},
		"33 issuers":          {changedAt(good, start-1, 33), "not possible"},
		"2 issuers":           {changedAt(good, start-1, 2), "trailing"},
		"a dealing's share":   {append(bytes.Clone(good[:start+2*issuerKeysSize+32]), second.Bytes()[start+2*issuerKeysSize+32:]...), "do not share"},
		"one key twice":       {changedAt(good, start+issuerKeysSize, good[start:start+32]...), "count twice"},
		"Y of 1 is damaged":   {changedAt(good, start+issuerKeysSize-1, good[start+issuerKeysSize-1]^1), "Y of issuer 1"},
		"shares exchanged":    {changedAt(changedAt(good, start+32, good[start+issuerKeysSize+32:start+2*issuerKeysSize]...), start+issuerKeysSize+32, good[start+32:start+issuerKeysSize]...), "do not share"},
		"another authority's": {changedAt(good, 8+4, fabeoAuthority(t, "").Params().Bytes()...), "do not share"},
		"TKN20's params":      {changedAt(good, 8+4+7, 2), "params"},
	} {
		_, err := NewIssuerSet(c.b)
		require.ErrorIs(t, err, ErrFormat, name)
		require.ErrorContains(t, err, c.want, name)
	}

	// alpha + c (x-i) x has degree 2 and passes as 3 of 4, and issuer i has alpha: the equations of the set hold, so only the comparison refuses it.
	set, _ = split(t, a, 3, 4)
	alpha, c := a.in().master.(*fabeoMaster).alpha, pairing.RandomScalar()
	for i := range 4 {
		f := []pairing.Scalar{alpha, c.Mul(pairing.ScalarFromInt64(int64(i + 1))).Neg(), c}
		var ys []pairing.GT
		bad := set.Bytes()
		for x := range 4 {
			ys = append(ys, g.Exp(evaluate(f, x+1)))
			encoded := ys[x].Bytes()
			copy(bad[start+x*issuerKeysSize+32:], encoded[:])
		}
		require.True(t, shareOf(y, ys, 3))
		_, err := NewIssuerSet(bad)
		require.ErrorIs(t, err, ErrFormat)
		require.ErrorContains(t, err, fmt.Sprintf("issuer %d has the master secret itself", i+1))
	}
	// The signing keys are not under the equations; but the ID is, and every issuer's secret names it.
	swapped := changedAt(good, start, second.keys[0]...)
	forged, err := NewIssuerSet(swapped)
	require.NoError(t, err)
	require.NotEqual(t, set.ID(), forged.ID())
	_, err = NewIssuer(issuers[1].ExposeSecret(), forged)
	require.ErrorContains(t, err, "another set")
}

func TestSplitRefuses(t *testing.T) {
	a := fabeoAuthority(t, "")
	for _, size := range [][2]int{{0, 0}, {1, 1}, {1, 3}, {4, 3}, {2, 33}, {33, 33}, {-1, 3}, {2, -1}} {
		_, _, err := a.Split(size[0], size[1])
		require.ErrorContains(t, err, fmt.Sprintf("%d of %d issuers", size[0], size[1]))
	}
	_, _, err := new(Authority).Split(2, 3)
	require.ErrorContains(t, err, "no authority")
	set, issuers := split(t, a, 32, 32)
	_, err = NewIssuerSet(set.Bytes())
	require.NoError(t, err)
	require.Equal(t, 32, issuers[31].Index())
}
