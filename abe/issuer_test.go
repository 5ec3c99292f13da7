package abe

import (
	"bytes"
	"crypto/ed25519"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestApprovals(t *testing.T) {
	a := fabeoAuthority(t, "")
	set, issuers := split(t, a, 3, 4)
	r := request(t, set, "a")
	good := approvals(t, r, issuers...)
	require.Len(t, good[0], 105)
	_, err := issuers[3].Issue(r, good[:3]...)
	require.NoError(t, err, "without its own")
	_, err = issuers[0].Issue(r, good...)
	require.NoError(t, err)

	otherRequest := approvals(t, request(t, set, "a"), issuers[0])[0]
	strangerSet, strangers := split(t, fabeoAuthority(t, ""), 3, 4)
	foreign := approvals(t, request(t, strangerSet, "a"), strangers[0])[0]
	withID := bytes.Clone(foreign)
	copy(withID[8:40], good[0][8:40])
	plain := bytes.Clone(good[0]) // a signature of the request alone, without the label
	copy(plain[41:], ed25519.Sign(issuers[0].in().signer, r.Bytes()))
	malleated := bytes.Clone(good[0]) // s + order: another encoding of the same signature
	order, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	s := slices.Clone(malleated[73:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	copy(malleated[73:], sum)
	for name, c := range map[string]struct {
		list [][]byte
		want string
	}{
		"none":                    {nil, "0 issuers have approved the request, and it takes 3"},
		"two":                     {good[:2], "2 issuers have approved"},
		"one three times":         {[][]byte{good[0], good[0], good[0]}, "1 issuers have approved"},
		"for another request":     {[][]byte{good[1], good[2], otherRequest}, "approval of issuer 1 is for another request"},
		"of other issuers":        {[][]byte{good[1], good[2], foreign}, "for another request"},
		"of other issuers, named": {[][]byte{good[1], good[2], withID}, "forged or damaged"},
		"another issuer's number": {[][]byte{good[1], good[2], changedAt(good[0], 40, 4)}, "approval of issuer 4 was forged"},
		"number 0":                {[][]byte{good[1], good[2], changedAt(good[0], 40, 0)}, "none of 1 to 4"},
		"number 5":                {[][]byte{good[1], good[2], changedAt(good[0], 40, 5)}, "none of 1 to 4"},
		"signature":               {[][]byte{good[1], good[2], changedAt(good[0], 60, good[0][60]^1)}, "forged or damaged"},
		"no label":                {[][]byte{good[1], good[2], plain}, "forged or damaged"},
		"malleated":               {[][]byte{good[1], good[2], malleated}, "forged or damaged"},
		"trailing":                {[][]byte{good[1], good[2], append(bytes.Clone(good[0]), 0)}, "trailing"},
		"a request":               {[][]byte{good[1], good[2], r.Bytes()}, "abe key request"},
		"good and a bad one":      {append(slices.Clone(good), plain), "forged or damaged"},
	} {
		_, err := issuers[3].Issue(r, c.list...)
		require.ErrorContains(t, err, c.want, name)
	}

	// A fault that would let t-1 issuers pass is not in the counting alone: their partial keys are not a key either (TestThreshold).
	_, err = issuers[0].Issue(request(t, strangerSet, "a"), good...)
	require.ErrorContains(t, err, "other issuers")
	_, err = issuers[0].Approve(request(t, strangerSet, "a"))
	require.ErrorContains(t, err, "other issuers")
	_, err = issuers[0].Approve(nil)
	require.ErrorContains(t, err, "no request")
	_, err = issuers[0].Approve(new(Request))
	require.ErrorContains(t, err, "no request")
	_, err = new(Issuer).Approve(r)
	require.ErrorContains(t, err, "no issuer")
	_, err = new(Issuer).Issue(r)
	require.ErrorContains(t, err, "no issuer")
}

func TestRequests(t *testing.T) {
	a := fabeoAuthority(t, "")
	set, issuers := split(t, a, 2, 2)
	r, err := set.Request("Ada Weber", Window{First: 20000, Last: 20365}, named(t, "role = doctor", "on-call")...)
	require.NoError(t, err)
	require.Equal(t, "Ada Weber", r.Holder())
	require.Equal(t, Window{First: 20000, Last: 20365}, r.Window())
	require.ElementsMatch(t, named(t, "role = doctor", "on-call"), r.Attributes())
	require.Equal(t, `key for "Ada Weber", sealing days 2024-10-04..2025-10-04, with on-call, role = doctor`, r.String())
	require.Equal(t, "no request", new(Request).String())
	other, err := set.Request("Ada Weber", Window{First: 20000, Last: 20365}, named(t, "role = doctor", "on-call")...)
	require.NoError(t, err)
	require.NotEqual(t, r.Bytes(), other.Bytes(), "a nonce each")

	for want, f := range map[string]func() (*Request, error){
		"holder":        func() (*Request, error) { return set.Request("", always, named(t, "a")...) },
		"visible":       func() (*Request, error) { return set.Request("Ada\x1b[31m", always, named(t, "a")...) },
		"256":           func() (*Request, error) { return set.Request(string(make([]byte, 257)), always, named(t, "a")...) },
		"window":        func() (*Request, error) { return set.Request("x", Window{}, named(t, "a")...) },
		"at least one":  func() (*Request, error) { return set.Request("x", always) },
		"twice":         func() (*Request, error) { return set.Request("x", always, named(t, "a", "a")...) },
		"no issuer set": func() (*Request, error) { return new(IssuerSet).Request("x", always, named(t, "a")...) },
	} {
		_, err := f()
		require.ErrorContains(t, err, want)
	}
	for name, change := range map[string]func(*Request){
		"items not sorted": func(r *Request) { slices.Reverse(r.holding.items) },
		"an item twice":    func(r *Request) { r.holding.items = append(r.holding.items, r.holding.items[1]) },
		"no items":         func(r *Request) { r.holding.items = nil },
		"no window":        func(r *Request) { r.holding.window = Window{} },
		"window reversed":  func(r *Request) { r.holding.window = Window{First: 5, Last: 4} },
		"holder":           func(r *Request) { r.holder = "a\nb" },
		"no holder":        func(r *Request) { r.holder = "" },
		"an item unknown":  func(r *Request) { r.holding.items = []atom{"\x01\x09"} },
	} {
		wrong := *r
		wrong.holding.items = slices.Clone(r.holding.items)
		change(&wrong)
		_, err := NewRequest(wrong.encode())
		require.ErrorIs(t, err, ErrFormat, name)
	}
	_, err = issuers[0].Approve(r)
	require.NoError(t, err)
}
