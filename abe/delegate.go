package abe

import (
	"errors"
	"fmt"
	"slices"

	"github.com/veilchart/veilchart/internal/pairing"
)

// Delegate makes a key for some of the attributes of k, with the same window: for a device, a service or a deputy that should read
// less. Take the attributes from Attributes. What is not named is left out, `name != value` too: a policy with != or not may then
// refuse the new key where it admits k. An attribute that k does not hold is an error that names it.
//
// The new key is random: it is distributed as one that the authority issued for these attributes, and nobody, not even who has
// both keys, can tell from which key it was made. So it opens nothing more, in whatever hands, together with k or not. It also means that nothing records the delegation,
// and that the new key lives as long as its window whatever becomes of k: keep a list if you have to know. Anybody who
// has a key can delegate, as anybody can copy it.
//
// Suite FABEO only; ErrUnsupported otherwise. Keys of version 1 have no window and are refused: have them issued again. Cost: what IssueKey costs for these attributes.
func (k *Key) Delegate(attributes ...Attribute) (*Key, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	p := k.in()
	sk, ok := p.secret.(*fabeoKey)
	if !ok {
		return nil, unsupported("delegation", p.params.suite)
	}
	if p.version == version1 {
		return nil, errors.New("abe: a key of version 1 cannot be delegated, it has no window: have it issued again and delegate that")
	}
	if len(attributes) == 0 {
		return nil, errors.New("abe: a key needs at least one attribute: name those that the new key keeps")
	}
	held := make(map[Attribute]atom, len(p.items))
	for _, item := range p.items {
		held[itemAttribute(item)] = item
	}
	h := holding{p.window, make([]atom, 0, len(attributes))}
	for _, u := range attributes {
		item, ok := held[u]
		if !ok {
			return nil, fmt.Errorf("abe: the key does not hold %v and cannot delegate it: take attributes from Key.Attributes, each once", u)
		}
		delete(held, u)
		h.items = append(h.items, item)
	}
	slices.Sort(h.items)
	return keyOf(&keyParts{version: version2, params: p.params, window: h.window, items: h.items, secret: sk.delegate(h.atoms())}), nil
}

// delegate makes a key for some of the atoms of k with the random number r + r', which is uniform and does not depend on r.
func (k *fabeoKey) delegate(atoms []atom) *fabeoKey {
	for {
		r := pairing.RandomScalar() // r'
		out := &fabeoKey{pub: k.pub, atoms: atoms, sk1: make(map[atom]pairing.G1, len(atoms))}
		out.sk3 = k.sk3.Add(k.pub.g2Table().Mul(r)) // sk3' = sk3 * g2^r'
		if out.sk3.IsIdentity() {
			continue // r + r' = 0, which no key has
		}
		sk1 := make([]pairing.G1, len(atoms))
		inParallel(allCores(), len(atoms), func(i int) { sk1[i] = k.sk1[atoms[i]].Add(k.pub.hashes.mul(atoms[i], r)) }) // sk1'[u] = sk1[u] * H(u)^r'
		for i, u := range atoms {
			out.sk1[u] = sk1[i]
		}
		out.sk2 = k.sk2.Add(k.pub.hbTable().Mul(r)) // sk2' = sk2 * H_b^r'
		return out
	}
}
