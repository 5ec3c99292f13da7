package abe

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// Labels that derive the flag that stands for an atom: key, atom. The negation of a name declared one relies on it that no key holds two of its
// values, which is not so for keys that were issued while the name was declared otherwise. Its values have flags of their own, so that
// no policy asks for flags of the one kind that keys hold of the other.
const (
	labelBlind    = "blind"
	labelBlindOne = "blind-one" // name = value, of a name declared one
)

const (
	blindPrefix = "b."
	blindSize   = 16 // bytes of a token: two of 2^20 atoms have the same with probability 2^-89
)

// Blinding hides the names and values of policies that leave the hospital: it rewrites a policy into one whose attributes are opaque flags, and the
// attributes of a key into the same flags. Headers and keys do not know that they are blinded. It prints as "redacted". Get one from
// NewBlinding; the zero Blinding is refused.
//
// Everything that a policy asks for after its expansion under the vocabulary, such as the intervals of a comparison, becomes a flag of 128 bits that
// depends on the key of the blinding. Without that key, nobody can tell what a flag stands for, nor try names and values from a list.
//
// What still shows: the tree of and, or and "k of" after expansion, so that the number of its leaves can betray a comparison; that two headers
// or two places ask for the same; how often each flag occurs, which tells a lot where one ward seals most; sizes and sealing days. A key shows
// its holder the number of flags, and that two keys share some. Who has the key of the blinding can undo it by trying.
//
// The vocabulary of params is public: give an authority that issues blinded keys none, and keep the vocabulary with the key of the blinding.
// Sealers and the authority use the same one. It may change between calls, and nothing compares it with what it was: a change that
// WithVocabulary would refuse opens nothing by that, but keys and objects from before it may no longer meet. docs/spec/policy.md section 10.
type Blinding struct{ hidden **blindingParts }

type blindingParts struct{ key [keySize]byte }

// NewBlinding takes a random key of 32 bytes. All who seal and the authority need it; who only opens does not. Another key gives other flags, for which
// keys have to be issued anew.
func NewBlinding(key []byte) (*Blinding, error) {
	if len(key) != keySize || !slices.ContainsFunc(key, func(x byte) bool { return x != 0 }) {
		return nil, fmt.Errorf("abe: the key of a blinding has %d bytes that are not all zero: give one from a random source", keySize)
	}
	parts := &blindingParts{key: [keySize]byte(key)}
	return &Blinding{&parts}, nil
}

func (b *Blinding) check() error {
	if b == nil || b.hidden == nil {
		return errors.New("abe: no blinding: get one from NewBlinding")
	}
	return nil
}

// flag is the name of the flag that stands for an atom under v.
func (b *Blinding) flag(v *Vocabulary, a atom) string {
	key, label := (*b.hidden).key, labelBlind
	if p, err := parseAtom([]byte(a)); err == nil && p.kind == atomText && v.find(p.name).is == declaredOne {
		label = labelBlindOne
	}
	token := derive(label, key[:], []byte(a))
	return blindPrefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(token[:blindSize]))
}

// Policy returns the blinded form of p under v. Limits are those of a policy: its text has 32 bytes for each leaf of the expansion, so that 128 leaves
// fit, and its gates.
func (b *Blinding) Policy(p *Policy, v *Vocabulary) (*Policy, error) {
	if err := errors.Join(b.check(), p.check()); err != nil {
		return nil, err
	}
	f, err := p.expand(v)
	if err != nil {
		return nil, err
	}
	flags := make([]string, f.leaves())
	for i, a := range f.atoms {
		flags[i] = b.flag(v, a)
	}
	blinded, err := ParsePolicy(string(f.root.append(nil, flags)))
	if err != nil {
		return nil, fmt.Errorf("abe: the policy is too large to be blinded: it has %d leaves after its comparisons and negations are expanded, of 32 bytes each: %w", len(flags), err)
	}
	return blinded, nil
}

// Attributes returns the flags that an authority issues to a holder of the attributes, ascending: those of the attributes, of the intervals around
// numbers and dates, and of what the holder does not have of names declared many. It refuses what IssueKey would refuse under v.
func (b *Blinding) Attributes(v *Vocabulary, attributes ...Attribute) ([]Attribute, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	items, err := v.items(attributes)
	if err != nil {
		return nil, fmt.Errorf("abe: %w", err)
	}
	var flags []Attribute
	for _, item := range items {
		for _, a := range itemAtoms(item) {
			flags = append(flags, Attribute{Name: b.flag(v, a)})
		}
	}
	if len(flags) > maxItems {
		return nil, fmt.Errorf("abe: %d blinded attributes are over the limit of %d: declare smaller ranges and fewer values", len(flags), maxItems)
	}
	slices.SortFunc(flags, func(x, y Attribute) int { return strings.Compare(x.Name, y.Name) })
	return flags, nil
}

// Format prints "redacted" under every verb.
func (Blinding) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (Blinding) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "redacted", in JSON too.
func (Blinding) MarshalText() ([]byte, error) { return []byte(redacted), nil }
