package abe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

func TestEncodingsRoundTrip(t *testing.T) {
	a := generate(t)
	restored, err := NewAuthority(a.ExposeSecret())
	require.NoError(t, err)
	require.Equal(t, a.ExposeSecret(), restored.ExposeSecret())
	require.Equal(t, a.Params().Bytes(), restored.Params().Bytes())
	require.Len(t, a.ExposeSecret(), 76)

	params, err := NewParams(a.Params().Bytes())
	require.NoError(t, err)
	require.Equal(t, a.Params().Bytes(), params.Bytes())
	require.Equal(t, a.Params().Fingerprint(), params.Fingerprint())
	require.Len(t, params.Bytes(), 588)

	attributes := []Attribute{{Name: "role", Value: "doctor"}, {Name: "on-call"}, {Name: "dept", Value: "intensive care"}, {Name: "dept", Value: "cardiology"}}
	k, err := restored.IssueKey(always, attributes...)
	require.NoError(t, err)
	loaded, err := NewKey(k.ExposeSecret())
	require.NoError(t, err)
	require.Equal(t, k.ExposeSecret(), loaded.ExposeSecret())
	require.ElementsMatch(t, attributes, loaded.Attributes())
	require.Equal(t, a.Params().Fingerprint(), loaded.Params().Fingerprint())

	// All of them together: sealed with the decoded params, opened with the decoded key of the decoded authority.
	sealed, err := params.Seal(parsePolicy(t, `role = doctor and dept = "intensive care" and on-call`), []byte("x"), nil)
	require.NoError(t, err)
	got, err := loaded.Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))

	// What is returned is a copy.
	loaded.Attributes()[0] = Attribute{Name: "role", Value: "boss"}
	loaded.ExposeSecret()[100] ^= 1
	params.Bytes()[100] ^= 1
	require.Equal(t, k.ExposeSecret(), loaded.ExposeSecret())
}

func TestIssueKeyRefuses(t *testing.T) {
	a := generate(t)
	many := make([]Attribute, maxAttributes+1)
	for i := range many {
		many[i] = Attribute{Name: "x", Value: fmt.Sprint("v", i)}
	}
	for want, attributes := range map[string][]Attribute{
		"at least one": nil, "twice": {{Name: "a"}, {Name: "b"}, {Name: "a"}}, "over the limit": many,
		"give a name": {{Name: "", Value: "x"}}, "lower case": {{Name: "Role", Value: "x"}}, "keyword": {{Name: "and"}}, "256": {{Name: "a", Value: string(make([]byte, 257))}},
	} {
		_, err := a.IssueKey(always, attributes...)
		require.ErrorContains(t, err, want)
	}
	// A flag and a value of one name are two attributes, and in one key more likely a value that was lost. Keys that have both are read:
	// another issuer may have wished it.
	for _, attributes := range [][]Attribute{{{Name: "dept", Value: "a"}, {Name: "dept"}}, {{Name: "dept"}, {Name: "role", Value: "x"}, {Name: "dept", Value: "a"}, {Name: "dept", Value: "b"}}} {
		_, err := a.IssueKey(always, attributes...)
		require.ErrorContains(t, err, `dept is given with the value "a" and as a flag`)
	}
	both := []Attribute{{Name: "a"}, {Name: "a", Value: "a"}}
	k, err := NewKey(keyFor(a, both...).ExposeSecret())
	require.NoError(t, err)
	require.Equal(t, both, k.Attributes())
	_, err = a.IssueKey(always, Attribute{Name: "a"}, Attribute{Name: "b", Value: "a"}, Attribute{Name: "b", Value: "c"})
	require.NoError(t, err)
}

func TestTwoKeysForOneSetDiffer(t *testing.T) {
	a := generate(t)
	require.NotEqual(t, issue(t, a, "a").ExposeSecret(), issue(t, a, "a").ExposeSecret())
}

// Every byte of the stored secrets and params, changed, is noticed when they are loaded, or gives other params.
func TestEveryByteOfStoredKeysMatters(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a", "b")
	key, authority, params := k.ExposeSecret(), a.ExposeSecret(), a.Params().Bytes()
	require.Len(t, key, 8+4+588+4+4+2*(4+7)+(2+4)*48+48+96)
	every := everyByte()
	eachOnAllCores(t, len(key)/every, func(t *testing.T, rng *rand.Rand, i int) {
		i *= every
		b := bytes.Clone(key)
		b[i] ^= 1 << rng.IntN(8)
		_, err := NewKey(b)
		require.ErrorIs(t, err, ErrFormat, "byte %d", i)
	})
	for i := 0; i < len(authority); i += every {
		b := bytes.Clone(authority)
		b[i] ^= 1
		_, err := NewAuthority(b)
		require.ErrorIs(t, err, ErrFormat, "byte %d", i)
	}
	for i := 0; i < len(params); i += every {
		b := bytes.Clone(params)
		b[i] ^= 1
		_, err := NewParams(b)
		require.ErrorIs(t, err, ErrFormat, "byte %d", i)
	}
	for _, b := range [][]byte{key, authority, params} {
		for _, bad := range [][]byte{nil, b[:7], b[:8], b[:len(b)-1], append(bytes.Clone(b), 0)} {
			_, err := NewKey(bad)
			require.ErrorIs(t, err, ErrFormat)
			_, err = NewAuthority(bad)
			require.ErrorIs(t, err, ErrFormat)
			_, err = NewParams(bad)
			require.ErrorIs(t, err, ErrFormat)
		}
	}
}

func TestNewKeyRefuses(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a", "b")
	good := k.ExposeSecret()
	old := key1(k).ExposeSecret()
	const (
		window = 8 + 4 + 588
		first  = window + 4 + 4 // the first attribute
		each   = 4 + 7
		sk     = first + 2*each // sk1 of the first attribute
		sk2    = sk + (2+4)*48
		first1 = window + 4 + 4 // in version 1
		each1  = each + 48
	)
	edit := func(good []byte) func(f func(b []byte)) []byte {
		return func(f func(b []byte)) []byte { b := bytes.Clone(good); f(b); return b }
	}
	with, with1 := edit(good), edit(old)
	identity := func(b []byte) { clear(b); b[0] = 0xc0 }
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"another kind":      {a.Params().Bytes(), "abe public parameters"},
		"no attributes":     {with(func(b []byte) { b[first-1] = 0 }), "at least one"},
		"too many":          {with(func(b []byte) { b[first-2] = 5 }), "limit"},
		"more than are":     {with(func(b []byte) { b[first-1] = 3 }), "limit"},
		"empty window":      {with(func(b []byte) { clear(b[window:first]) }), "all of time"},
		"window backwards":  {with(func(b []byte) { copy(b[window:], []byte{0, 3, 0, 2}) }), "before it begins"},
		"another window":    {with(func(b []byte) { copy(b[window:], []byte{0, 0, 0x3f, 0xff}) }), "trailing"},
		"window that fits":  {with(func(b []byte) { copy(b[window:], []byte{0, 0, 0xbf, 0xff}) }), "trailing"},
		"not sorted":        {with(func(b []byte) { copy(b[first:], good[first+each:sk]); copy(b[first+each:], good[first:first+each]) }), "sorted"},
		"twice":             {with(func(b []byte) { copy(b[first+each:], good[first:first+each]) }), "sorted"},
		"attribute version": {with(func(b []byte) { b[first+4] = 2 }), "attribute"},
		"attribute type":    {with(func(b []byte) { b[first+5], b[first+each+5] = 9, 9 }), "attribute"},
		"attribute name":    {with(func(b []byte) { b[first+10] = 'A' }), "lower case"},
		"relabelled":        {with(func(b []byte) { b[first+each+10] = 'c' }), "together"},
		"swapped sk1":       {with(func(b []byte) { copy(b[sk:], good[sk+48:sk+96]); copy(b[sk+48:], good[sk:sk+48]) }), "together"},
		"swapped days":      {with(func(b []byte) { copy(b[sk+96:], good[sk+144:sk+192]); copy(b[sk+144:], good[sk+96:sk+144]) }), "together"},
		"identity as sk1":   {with(func(b []byte) { identity(b[sk : sk+48]) }), "damaged"},
		"identity as a day": {with(func(b []byte) { identity(b[sk+96 : sk+144]) }), "damaged"},
		"identity as sk2":   {with(func(b []byte) { identity(b[sk2 : sk2+48]) }), "damaged"},
		"identity as sk3":   {with(func(b []byte) { identity(b[sk2+48:]) }), "damaged"},
		"damaged params":    {with(func(b []byte) { b[200] ^= 1 }), "Y is damaged"},
		"as version 1":      {with(func(b []byte) { b[6] = 1 }), "limit"},
		"version 3":         {with(func(b []byte) { b[6] = 3 }), "version 3"},

		"1: as version 2":  {with1(func(b []byte) { b[6] = 2 }), "all of time"},
		"1: params 2":      {with1(func(b []byte) { b[8+4+6] = 2 }), "another suite or version"},
		"1: no attributes": {with1(func(b []byte) { b[first1-1] = 0 }), "at least one"},
		"1: window":        {with1(func(b []byte) { b[first1-5] = 1 }), "limit"},
		"1: not sorted": {with1(func(b []byte) {
			copy(b[first1:], old[first1+each1:first1+2*each1])
			copy(b[first1+each1:], old[first1:first1+each1])
		}), "sorted"},
		"1: attribute type": {with1(func(b []byte) { b[first1+5], b[first1+each1+5] = 9, 9 }), "attribute"},
		"1: swapped sk1": {with1(func(b []byte) {
			copy(b[first1+11:first1+each1], old[first1+each1+11:])
			copy(b[first1+each1+11:], old[first1+11:first1+each1])
		}), "together"},
		"1: identity as sk1": {with1(func(b []byte) { identity(b[first1+11 : first1+each1]) }), "damaged"},
		"1: identity as sk2": {with1(func(b []byte) { identity(b[first1+2*each1 : first1+2*each1+48]) }), "damaged"},
		"1: trailing":        {append(bytes.Clone(old), 0), "trailing"},
	} {
		_, err := NewKey(c.b)
		require.ErrorIs(t, err, ErrFormat, name)
		require.ErrorContains(t, err, c.want, name)
	}
}

// A wrong component of each sort is found by the one combined equation.
func TestConsistentFindsEachWrongComponent(t *testing.T) {
	k := fabeoOf(issue(t, generate(t), "a", "b"))
	require.True(t, k.consistent())
	g1, g2 := pairing.G1Generator(), pairing.G2Generator()
	u, v, day := Attribute{Name: "a"}.atom(), Attribute{Name: "b"}.atom(), dayAtom(1, 0)
	for name, change := range map[string]func(k *fabeoKey){
		"sk1":                     func(k *fabeoKey) { k.sk1[u] = k.sk1[u].Add(g1) },
		"sk1 of a day":            func(k *fabeoKey) { k.sk1[day] = k.sk1[day].Add(g1) },
		"sk2":                     func(k *fabeoKey) { k.sk2 = k.sk2.Add(g1) },
		"sk3":                     func(k *fabeoKey) { k.sk3 = k.sk3.Add(g2) },
		"sk1 and sk1, cancelling": func(k *fabeoKey) { k.sk1[u] = k.sk1[u].Add(g1); k.sk1[v] = k.sk1[v].Add(g1.Neg()) },
		"sk1 and sk2, cancelling": func(k *fabeoKey) { k.sk1[u] = k.sk1[u].Add(g1); k.sk2 = k.sk2.Add(g1.Neg()) },
	} {
		changed := *k
		changed.sk1 = maps.Clone(k.sk1)
		change(&changed)
		require.False(t, changed.consistent(), name)
	}
}

func TestSecretsPrintAsRedacted(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	opts := &Options{AssociatedData: []byte("patient 17"), Companion: bytes.Repeat([]byte{0xab}, 32)}
	record := &Record{ID: "r", Plaintext: []byte("plaintext"), AssociatedData: []byte("patient 17")}
	type app struct {
		k Key
		a *Authority
	}
	for _, secret := range []any{a, *a, k, *k, app{*k, a}, &app{*k, a}, struct{ K *Key }{k}, struct{ O Options }{*opts}, []*Options{opts}, []Record{*record}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			out := fmt.Sprintf(verb, secret)
			require.Less(t, len(out), 200, "%s prints %s", verb, out)
			// Addresses are printed, and are random: what is looked for is longer than what turns up in them by chance.
			for _, secret := range []string{"sk2", "171 171", "abababab", "ABABABAB", "patient", "plaintext", fmt.Sprintf("%x", "plaintext"), "112 108"} {
				require.NotContains(t, out, secret, verb)
			}
		}
	}
	for _, secret := range []any{a, *a, k, *k, opts, *opts, record, *record} {
		require.Equal(t, "redacted", fmt.Sprint(secret))
		require.Equal(t, "redacted", fmt.Sprintf("%#v", secret))
		out, err := json.Marshal(secret)
		require.NoError(t, err)
		require.Equal(t, `"redacted"`, string(out))
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret)
		require.Contains(t, log.String(), "secret=redacted")
		log.Reset()
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret)
		require.Contains(t, log.String(), `"secret":"redacted"`)
	}
}

// Two numbers, or two dates, of one name are in no encoding of what a key holds: neither in one range nor in two.
func TestNoTwoNumbersOfAName(t *testing.T) {
	item := func(declared string, text string) atom {
		v, err := ParseVocabulary(declared)
		require.NoError(t, err)
		item, err := named(t, text)[0].item(v)
		require.NoError(t, err)
		return item
	}
	age := item("age: number 0..150", "age = 12")
	for name, c := range map[string]struct {
		other atom
		good  bool
	}{
		"the same range":   {item("age: number 0..150", "age = 70"), false},
		"another range":    {item("age: number -5..9", "age = 7"), false},
		"another name":     {item("ages: number 0..150", "ages = 12"), true},
		"a shorter name":   {item("ag: number 0..150", "ag = 12"), true},
		"a date":           {item("age: date 1990-01-01..2000-01-01", "age = 1995-01-01"), true}, // no vocabulary gives both, and neither is the other
		"a text":           {item("", "age = \"12\""), true},
		"a flag of a name": {item("", "age"), true},
	} {
		items := []atom{age, c.other}
		slices.Sort(items)
		d := wire.NewDecoder(holding{always, items}.append(nil))
		h := decodeHolding(d)
		k := rawKey{version: version2, n: 2}
		for _, item := range items {
			k.items = wire.AppendString(k.items, string(item))
		}
		outer := wire.NewDecoder(nil)
		decoded := k.decodeItems(outer)
		if c.good {
			require.NoError(t, d.Finish(), name)
			require.NoError(t, outer.Err(), name)
			require.Equal(t, items, h.items)
			require.Equal(t, items, decoded)
			continue
		}
		require.ErrorIs(t, d.Err(), ErrFormat, name)
		require.ErrorContains(t, d.Err(), "age is there twice", name)
		require.Empty(t, h.items)
		require.ErrorContains(t, outer.Err(), "age is there twice", name)
	}
	born := "born: date 1990-01-01..2000-01-01"
	items := []atom{item(born, "born = 1995-01-01"), item(born, "born = 1996-01-01")}
	d := wire.NewDecoder(holding{always, items}.append(nil))
	decodeHolding(d)
	require.ErrorContains(t, d.Err(), "born is there twice")
}
