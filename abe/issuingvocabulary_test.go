package abe

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Numbers, dates, and what a holder is not, through delegation, mediated decryption and threshold issuing.

const hospitalWords = "age: number 0..150\nborn: date 1900-01-01..2100-12-31\ndept: many of cardiology, oncology, psychiatry\nrole: one of doctor, nurse\n"

var hospitalHolder = []string{"age = 42", "born = 1984-02-29", "dept = cardiology", "role = nurse"}

func hospitalAttributes(t testing.TB) []Attribute {
	attributes := named(t, hospitalHolder...)
	attributes[0].Kind, attributes[1].Kind = Number, Date
	return attributes
}

// hospitalPolicies says who opens: the holder of everything.
var hospitalPolicies = map[string]bool{
	"age >= 18": true, "age in 40..45 and role = nurse": true, "age < 42": false, "born > 1984-02-28 and born < 1984-03-01": true,
	"not dept = psychiatry": true, "dept != cardiology": false, "not role = doctor and dept in (cardiology, oncology)": true, "role != nurse": false,
}

func TestDelegateKeepsNoNegationUnlessNamed(t *testing.T) {
	a := fabeoAuthority(t, hospitalWords)
	k, err := a.IssueKey(always, hospitalAttributes(t)...)
	require.NoError(t, err)
	require.Contains(t, k.Attributes(), Attribute{Name: "dept", Value: "psychiatry", Kind: Not})
	opens := func(k *Key, policy string) bool {
		sealed, err := a.Params().Seal(fabeoPolicy(t, policy), nil, nil)
		require.NoError(t, err)
		_, err = k.Open(sealed, nil)
		if err != nil {
			require.ErrorIs(t, err, ErrDecrypt)
		}
		return err == nil
	}
	all, err := k.Delegate(k.Attributes()...)
	require.NoError(t, err)
	require.Equal(t, k.Attributes(), all.Attributes())
	none, err := k.Delegate(hospitalAttributes(t)...)
	require.NoError(t, err)
	age, err := k.Delegate(hospitalAttributes(t)[0])
	require.NoError(t, err)
	for policy, want := range hospitalPolicies {
		require.Equal(t, want, opens(k, policy), policy)
		require.Equal(t, want, opens(all, policy), policy)
		require.Equal(t, want && policy != "not dept = psychiatry", opens(none, policy), policy)
		require.Equal(t, policy == "age >= 18", opens(age, policy), policy)
	}
	_, err = k.Delegate(Attribute{Name: "age", Value: "41", Kind: Number})
	require.ErrorContains(t, err, "does not hold age = 41")
	_, err = k.Delegate(Attribute{Name: "dept", Value: "cardiology", Kind: Not})
	require.ErrorContains(t, err, "does not hold dept != cardiology")
}

func TestMediatedWithVocabulary(t *testing.T) {
	a := fabeoAuthority(t, hospitalWords)
	transform, mediated, err := a.IssueMediated(always, hospitalAttributes(t)...)
	require.NoError(t, err)
	transform, err = NewTransformKey(transform.ExposeSecret())
	require.NoError(t, err)
	mediated, err = NewMediatedKey(mediated.ExposeSecret())
	require.NoError(t, err)
	for policy, want := range hospitalPolicies {
		sealed, err := a.Params().Seal(fabeoPolicy(t, policy), []byte("x"), nil)
		require.NoError(t, err)
		transformed, err := transform.Transform(sealed)
		require.Equal(t, want, err == nil, policy)
		if want {
			_, err := mediated.Open(sealed, transformed, nil)
			require.NoError(t, err, policy)
		} else {
			require.ErrorAs(t, err, new(*DeniedError), policy)
		}
	}
}

// The rules of issuing hold for requests that were written by hand: an issuer that is asked for two ages, or for a holder that is and is not in psychiatry, refuses, in both rounds.
func TestIssuersKeepTheRules(t *testing.T) {
	a := fabeoAuthority(t, hospitalWords)
	set, issuers := split(t, a, 2, 2)
	honest, err := set.Request("Ada Weber", always, hospitalAttributes(t)...)
	require.NoError(t, err)
	k, err := set.Combine(honest, partials(t, honest, issuers...)...)
	require.NoError(t, err)
	issued, err := a.IssueKey(always, hospitalAttributes(t)...)
	require.NoError(t, err)
	require.Equal(t, issued.Attributes(), k.Attributes())
	for policy, want := range hospitalPolicies {
		sealed, err := a.Params().Seal(fabeoPolicy(t, policy), nil, nil)
		require.NoError(t, err)
		_, err = k.Open(sealed, nil)
		require.Equal(t, want, err == nil, policy)
	}

	item := func(u Attribute) atom {
		item, err := u.item(a.Params().vocabulary)
		require.NoError(t, err)
		return item
	}
	not := func(value string) atom { return Attribute{Name: "dept", Value: value, Kind: Not}.atom() }
	for name, change := range map[string]func(items []atom) []atom{
		"two ages": func(items []atom) []atom {
			return append(items, item(Attribute{Name: "age", Value: "70", Kind: Number}))
		},
		"two roles":     func(items []atom) []atom { return append(items, item(Attribute{Name: "role", Value: "doctor"})) },
		"is and is not": func(items []atom) []atom { return append(items, not("cardiology")) },
		"a negation left out": func(items []atom) []atom {
			return slices.DeleteFunc(items, func(i atom) bool { return i == not("psychiatry") })
		},
		"a value it knows not": func(items []atom) []atom { return append(items, Attribute{Name: "dept", Value: "cinema"}.atom()) },
		"a number as a word":   func(items []atom) []atom { return append(items, Attribute{Name: "age", Value: "42"}.atom()) },
		"a role it is not": func(items []atom) []atom {
			return append(items, Attribute{Name: "role", Value: "doctor", Kind: Not}.atom())
		},
		"only what it is not": func([]atom) []atom { return []atom{not("psychiatry")} },
		"another range":       func(items []atom) []atom { return wideAge(t, items) },
	} {
		r := *honest
		r.holding.items = change(slices.Clone(honest.holding.items))
		slices.Sort(r.holding.items)
		decoded, err := NewRequest(r.encode())
		if err != nil { // what contradicts itself in any vocabulary
			require.ErrorIs(t, err, ErrFormat, name)
			decoded = &r
			decoded.encoding = r.encode()
		}
		_, err = issuers[0].Approve(decoded)
		require.ErrorContains(t, err, "cannot be granted", name)
		signed := [][]byte{} // two corrupted issuers could sign it; a third would not issue
		for _, i := range issuers {
			id := decoded.id()
			b := append(append(appendIssuing(0x010b), id[:]...), byte(i.Index()))
			signed = append(signed, append(b, signBy(i, decoded)...))
		}
		_, err = issuers[1].Issue(decoded, signed...)
		require.ErrorContains(t, err, "cannot be granted", name)
		_, err = set.Combine(decoded)
		require.ErrorContains(t, err, "cannot be granted", name)
	}
}

// wideAge is the items with an age of a range that the vocabulary does not have.
func wideAge(t testing.TB, items []atom) []atom {
	v, err := ParseVocabulary("age: number 0..1000")
	require.NoError(t, err)
	wide, err := Attribute{Name: "age", Value: "42", Kind: Number}.item(v)
	require.NoError(t, err)
	return append(slices.DeleteFunc(items, func(i atom) bool { return itemAttribute(i).Name == "age" }), wide)
}

// The vocabulary of a split authority grows without its secret. Issuers that have not taken it on refuse requests made with it, and the other way round.
func TestIssuerSetGrows(t *testing.T) {
	a := fabeoAuthority(t, hospitalWords)
	set, issuers := split(t, a, 2, 3)
	v, err := ParseVocabulary(hospitalWords + "clearance: number 0..7\n")
	require.NoError(t, err)
	grown, err := set.WithVocabulary(v)
	require.NoError(t, err)
	require.Equal(t, set.ID(), grown.ID())
	require.Equal(t, set.Params().Authority(), grown.Params().Authority())
	require.NotEqual(t, set.Params().Fingerprint(), grown.Params().Fingerprint())
	r, err := grown.Request("Ada Weber", always, Attribute{Name: "clearance", Value: "5", Kind: Number})
	require.NoError(t, err)
	_, err = issuers[0].Approve(r)
	require.ErrorContains(t, err, "another vocabulary")
	var moved []*Issuer
	for _, i := range issuers[:2] {
		m, err := NewIssuer(i.ExposeSecret(), grown)
		require.NoError(t, err)
		moved = append(moved, m)
	}
	all := partials(t, r, moved...)
	_, err = issuers[2].Issue(r, approvals(t, r, moved...)...)
	require.ErrorContains(t, err, "another vocabulary")
	_, err = set.Combine(r, all...)
	require.ErrorContains(t, err, "another vocabulary")
	k, err := grown.Combine(r, all...)
	require.NoError(t, err)
	sealed, err := grown.Params().Seal(fabeoPolicy(t, "clearance >= 3"), nil, nil)
	require.NoError(t, err)
	_, err = k.Open(sealed, nil)
	require.NoError(t, err)

	narrow, err := ParseVocabulary("age: number 0..99")
	require.NoError(t, err)
	_, err = set.WithVocabulary(narrow)
	require.Error(t, err)
	_, err = set.WithVocabulary(nil)
	require.Error(t, err)
	_, err = new(IssuerSet).WithVocabulary(v)
	require.ErrorContains(t, err, "no issuer set")
}
