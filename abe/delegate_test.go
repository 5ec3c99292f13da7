package abe

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

func TestDelegate(t *testing.T) {
	a := fabeoAuthority(t, "")
	window := Window{First: 20000, Last: 20400}
	attributes := named(t, "role = doctor", "dept = cardiology", "dept = oncology", "on-call")
	parent, err := a.IssueKey(window, attributes...)
	require.NoError(t, err)
	child, err := parent.Delegate(attributes[2], attributes[0])
	require.NoError(t, err)
	require.ElementsMatch(t, named(t, "role = doctor", "dept = oncology"), child.Attributes())
	require.Equal(t, window, child.Window())
	require.Equal(t, a.Params().Fingerprint(), child.Params().Fingerprint())
	require.NoError(t, child.Check())
	loaded, err := NewKey(child.ExposeSecret())
	require.NoError(t, err)
	grandchild, err := loaded.Delegate(attributes[0])
	require.NoError(t, err)

	for policy, who := range map[string]struct{ parent, child, grandchild bool }{
		"role = doctor":                                  {true, true, true},
		"role = doctor and dept = oncology":              {true, true, false},
		"role = doctor and dept = cardiology":            {true, false, false},
		"on-call or dept = cardiology":                   {true, false, false},
		"2 of (on-call, role = doctor, dept = oncology)": {true, true, false},
		"role = nurse":                                   {false, false, false},
	} {
		for day, inside := range map[Day]bool{20000: true, 20400: true, 19999: false, 20401: false} {
			sealed, err := a.Params().Seal(fabeoPolicy(t, policy), []byte("x"), &Options{Day: day})
			require.NoError(t, err)
			for _, c := range []struct {
				k  *Key
				ok bool
			}{{parent, who.parent}, {child, who.child}, {grandchild, who.grandchild}} {
				_, err := c.k.Open(sealed, nil)
				if c.ok && inside {
					require.NoError(t, err, "%s on %v", policy, day)
				} else {
					require.ErrorIs(t, err, ErrDecrypt, "%s on %v", policy, day)
				}
			}
		}

		// The lock: with all rows claimed, other components of the key in the place of those it lacks, and its parent's too.
		l := newLock(t, a.Params(), policy)
		require.Equal(t, who.parent, l.opens(t, components(parent)), policy)
		for _, c := range []struct {
			k  *Key
			ok bool
		}{{child, who.child}, {grandchild, who.grandchild}} {
			require.Equal(t, c.ok, l.opens(t, components(c.k)), policy)
			if c.ok {
				continue
			}
			require.False(t, l.try(t, components(c.k), everything).Equal(l.d), policy)
			pooled := *components(c.k)
			pooled.sk1 = map[atom]pairing.G1{}
			for u, sk1 := range components(parent).sk1 {
				pooled.sk1[u] = sk1
			}
			for u, sk1 := range components(c.k).sk1 {
				pooled.sk1[u] = sk1
			}
			require.False(t, l.try(t, &pooled, everything).Equal(l.d), "%s, with the parent's sk1", policy)
		}
	}
}

// A delegated key has the distribution of an issued one, whatever the parent is: its random number is r + r' with r' uniform. What can be computed of
// two keys of one authority is the same for a parent and its child as for strangers.
func TestDelegatedKeysCannotBeLinked(t *testing.T) {
	a := fabeoAuthority(t, "")
	parent, err := a.IssueKey(always, named(t, "a", "b")...)
	require.NoError(t, err)
	stranger, err := a.IssueKey(always, named(t, "a")...)
	require.NoError(t, err)
	one, err := parent.Delegate(named(t, "a")...)
	require.NoError(t, err)
	two, err := parent.Delegate(named(t, "a")...)
	require.NoError(t, err)

	seen := map[string]bool{} // no component stands in two of the keys
	for _, k := range []*Key{parent, stranger, one, two} {
		sk := components(k)
		sk2, sk3 := sk.sk2.Bytes(), sk.sk3.Bytes()
		require.False(t, seen[string(sk2[:])])
		require.False(t, seen[string(sk3[:])])
		seen[string(sk2[:])], seen[string(sk3[:])] = true, true
		for _, u := range sk.atoms {
			sk1 := sk.sk1[u].Bytes()
			require.False(t, seen[string(sk1[:])])
			seen[string(sk1[:])] = true
		}
	}

	// The differences of any two keys are a key of the master secret 0. By pairings: e(dsk2,g2) = e(H_b,dsk3), e(dsk1,g2) = e(H(a),dsk3), for all pairs alike.
	l := newLock(t, a.Params(), "a")
	for name, other := range map[string]*Key{"child": one, "other child": two, "stranger": stranger} {
		x, y := components(parent), components(other)
		zero := &fabeoKey{pub: x.pub, atoms: []atom{flagAtom("a")}, sk1: map[atom]pairing.G1{flagAtom("a"): x.sk1[flagAtom("a")].Add(y.sk1[flagAtom("a")].Neg())},
			sk2: x.sk2.Add(y.sk2.Neg()), sk3: x.sk3.Add(y.sk3.Neg())}
		g2, hb, h := pairing.G2Generator(), x.pub.hb(), x.pub.hashes.point(flagAtom("a"))
		require.True(t, pairing.PairProduct(pairing.Pair{P: zero.sk2, Q: g2}, pairing.Pair{P: hb, Q: zero.sk3, Inverse: true}).IsIdentity(), name)
		require.True(t, pairing.PairProduct(pairing.Pair{P: zero.sk1[flagAtom("a")], Q: g2}, pairing.Pair{P: h, Q: zero.sk3, Inverse: true}).IsIdentity(), name)
		require.True(t, l.try(t, zero, everything).IsIdentity(), "%s: and that opens nothing", name)
		require.False(t, l.d.IsIdentity())
	}
}

// Children of two people pool no better than their parents, and a child with its parent no better than the parent.
func TestDelegatedKeysDoNotCombine(t *testing.T) {
	a := fabeoAuthority(t, "")
	issue := func(names ...string) *Key {
		k, err := a.IssueKey(always, named(t, names...)...)
		require.NoError(t, err)
		return k
	}
	alice, bob := issue("a", "c"), issue("b", "c")
	aliceChild, err := alice.Delegate(named(t, "a")...)
	require.NoError(t, err)
	bobChild, err := bob.Delegate(named(t, "b")...)
	require.NoError(t, err)
	l := newLock(t, a.Params(), "a and b")
	require.True(t, l.opens(t, components(issue("a", "b"))), "the test is blind")
	pools := [][2]*Key{{aliceChild, bobChild}, {aliceChild, bob}, {alice, bobChild}, {alice, aliceChild}}
	for i, pool := range pools {
		x, y := components(pool[0]), components(pool[1])
		mixed := map[atom]pairing.G1{}
		for _, k := range []*fabeoKey{x, y} {
			for u, sk1 := range k.sk1 {
				mixed[u] = sk1
			}
		}
		half := pairing.ScalarFromInt64(2).Inv()
		for name, k := range map[string]*fabeoKey{
			"first's rest":  {pub: x.pub, sk1: mixed, sk2: x.sk2, sk3: x.sk3},
			"second's rest": {pub: x.pub, sk1: mixed, sk2: y.sk2, sk3: y.sk3},
			"crossed":       {pub: x.pub, sk1: mixed, sk2: x.sk2, sk3: y.sk3},
			"mean":          {pub: x.pub, sk1: mixed, sk2: x.sk2.Add(y.sk2).Mul(half), sk3: x.sk3.Add(y.sk3).Mul(half)},
		} {
			require.False(t, l.try(t, k, everything).Equal(l.d), "pool %d, %s", i, name)
		}
	}
}

func TestDelegateRefuses(t *testing.T) {
	a := fabeoAuthority(t, "")
	k, err := a.IssueKey(always, named(t, "role = doctor", "on-call")...)
	require.NoError(t, err)
	for want, attributes := range map[string][]Attribute{
		"does not hold role = nurse":   named(t, "on-call", "role = nurse"),
		"does not hold role":           {{Name: "role"}},
		"does not hold on-call":        named(t, "on-call", "on-call"), // each once
		"at least one":                 nil,
		"does not hold role != doctor": {{Name: "role", Value: "doctor", Kind: Not}},
	} {
		_, err := k.Delegate(attributes...)
		require.ErrorContains(t, err, want)
	}
	_, err = new(Key).Delegate(named(t, "on-call")...)
	require.ErrorContains(t, err, "no key")
	_, err = (*Key)(nil).Delegate(named(t, "on-call")...)
	require.ErrorContains(t, err, "no key")

	old := *k.in()
	old.version = version1
	_, err = keyOf(&old).Delegate(named(t, "on-call")...)
	require.ErrorContains(t, err, "issued again")
}
